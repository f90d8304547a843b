"""A whole gatekeeper on temporary sockets and free ports, over a scripted venue."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.integration.gatekeeper.scripted_venue import ScriptedVenue

from interlock_core.clock import SystemClock, rfc3339
from interlock_core.wire import gate, strict
from interlock_core.wire.gate import SessionGranted, SessionOpen
from interlock_gatekeeper.app import App
from interlock_gatekeeper.settings import LIVE_SECRETS, read_settings
from interlock_gatekeeper.vault import open_vault

PERP_BTC, UPBIT_BTC = "BINANCE_PERP:BTCUSDT", "UPBIT:KRW-BTC"


def says(body, status=200):
    return status, json.dumps(body).encode()


MARKETS = [{"market": "KRW-BTC"}, {"market": "KRW-USDT"}]
BOOKS = [
    {"market": "KRW-BTC", "orderbook_units": [{"bid_price": 13990000, "ask_price": 14000000}]},
    {"market": "KRW-USDT", "orderbook_units": [{"bid_price": 1399, "ask_price": 1400}]},
]
EXCHANGE_INFO = {
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "status": "TRADING",
            "contractType": "PERPETUAL",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
                {
                    "filterType": "LOT_SIZE",
                    "stepSize": "0.001",
                    "minQty": "0.001",
                    "maxQty": "1000",
                },
                {"filterType": "MIN_NOTIONAL", "notional": "5"},
            ],
        }
    ]
}
TICKERS = [{"symbol": "BTCUSDT", "bidPrice": "9999.9", "askPrice": "10000.0"}]
POST, QUERY, FILLS = "POST /fapi/v1/order", "GET /fapi/v1/order", "GET /fapi/v1/userTrades"


@pytest.fixture
async def venue():
    async with ScriptedVenue() as made:
        made.script["GET /upbit/v1/market/all"].append(says(MARKETS))
        made.script["GET /upbit/v1/orderbook"].append(says(BOOKS))
        made.script["GET /fapi/v1/exchangeInfo"].append(says(EXCHANGE_INFO))
        made.script["GET /fapi/v1/ticker/bookTicker"].append(says(TICKERS))
        ended = {"orderId": 7, "executedQty": "0.001", "status": "FILLED"}
        made.script[POST].append(says(ended))
        fill = {"qty": "0.001", "price": "9999", "commission": "0.005", "commissionAsset": "USDT"}
        made.script[FILLS].append(says([fill]))
        yield made


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@dataclass
class Client:
    """The engine's side of the socket, with switches to misbehave."""

    http: httpx.AsyncClient
    config: str
    key: bytes = b""
    epoch: int = 0
    sequence: int = 0
    sent: list = field(default_factory=list)

    async def open(self, session_id="session-1", stage="paper", **changes):
        fields = {
            "schema": 1,
            "session_id": session_id,
            "stage": stage,
            "config_sha256": self.config,
            "instruments": (UPBIT_BTC, PERP_BTC),
        }
        message = SessionOpen(**{**fields, **changes})
        answer = await self.http.post(gate.PATH_SESSION, content=strict.encode(message))
        if answer.status_code == 200:
            granted = strict.decode(SessionGranted, answer.content)
            self.key, self.epoch, self.sequence = bytes.fromhex(granted.key), granted.epoch, 0
        return answer

    async def call(self, method, path, body=b"", *, bound=None):
        self.sequence += 1
        bound = {
            "method": method,
            "path": path,
            "sequence": self.sequence,
            "epoch": self.epoch,
            "body": body,
            **(bound or {}),
        }
        headers = {
            gate.HEADER_EPOCH: str(bound["epoch"]),
            gate.HEADER_SEQUENCE: str(bound["sequence"]),
            gate.HEADER_MAC: gate.mac(self.key, **bound),
        }
        self.sent.append((method, path, body, headers))
        return await self.http.request(method, path, content=body, headers=headers)

    async def order(self, name="intent-0001", **changes):
        body = {
            "schema": 1,
            "intent_id": name,
            "group_id": "group-0001",
            "leg": "a",
            "purpose": "entry",
            "instrument": PERP_BTC,
            "side": "buy",
            "type": "limit",
            "time_in_force": "ioc",
            "quantity": "0.001",
            "price": "10000",
            "quoted_price": "10000",
            "edge_bps": "20",
            "created_boot_ns": SystemClock().boot_ns(),
            "epoch": self.epoch,
            **changes,
        }
        return await self.call("POST", gate.PATH_ORDERS, json.dumps(body).encode())

    async def beat(self):
        telemetry = {
            "loop_p99_ms": 1.0,
            "cpu_percent": 1.0,
            "memory_mb": 1.0,
            "market_age_ms": 1.0,
            "pnl_usd": 0.0,
            "open_positions": 0,
        }
        body = json.dumps({"telemetry": telemetry}).encode()
        return await self.call("POST", gate.PATH_HEARTBEAT, body)


@dataclass
class Stack:
    """A running gatekeeper and ways to reach its faces."""

    engine: Client
    health: httpx.AsyncClient
    console: httpx.AsyncClient
    environ: dict
    app: App

    async def ctl(self, *arguments, **environ):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "interlock_gatekeeper.ctl",
            *arguments,
            env={**os.environ, **self.environ, **environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    async def armed(self):
        answer = await self.health.get("/health/armed", params={"nonce": "n"})
        return answer.status_code, answer.json()


@asynccontextmanager
async def gatekeeper(venue, state_dir, **environ):
    with tempfile.TemporaryDirectory(prefix="ilk-") as sockets:
        environ = {
            "SIMVENUES_URL": venue.url,
            "GATE_SOCKET": f"{sockets}/e/engine.sock",
            "OPERATOR_SOCKET": f"{sockets}/o/operator.sock",
            "GATE_HEALTH_PORT": str(free_port()),
            "GATE_CONSOLE_PORT": str(free_port()),
            "GATE_STATE_DIR": str(state_dir),
            **environ,
        }
        settings = read_settings(environ)
        app = App(settings, open_vault(settings), settings.stage)
        running = asyncio.create_task(app.run())
        uds = httpx.AsyncHTTPTransport(uds=environ["GATE_SOCKET"])
        async with (
            httpx.AsyncClient(transport=uds, base_url="http://engine") as engine,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.health_port}") as health,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.console_port}") as console,
        ):
            stack = Stack(Client(engine, settings.config_sha256), health, console, environ, app)
            try:
                await serving(stack, running)
                yield stack
            finally:
                app.stop()
                async with asyncio.timeout(10):
                    await running


async def serving(stack, running):
    """Wait until the health port answers and both venues are known."""
    async with asyncio.timeout(10):
        while not running.done():
            with contextlib.suppress(httpx.TransportError):
                await stack.health.get("/health")
                if stack.app._state.journal_failed or not stack.app._market.problems():
                    return
            await asyncio.sleep(0.02)
    running.result()


@pytest.fixture
async def paper(venue, tmp_path):
    async with gatekeeper(venue, tmp_path / "state") as stack:
        yield stack


def live_environment(folder: Path):
    environ = {"ARBITRAGE_ENV": "live", "STAGE": "smoke"}
    for name in LIVE_SECRETS:
        file = folder / name
        file.write_text("0123456789abcdef" + name)
        file.chmod(0o400)
        environ[f"{name}_FILE"] = str(file)
    return environ


def facts(**changes):
    at = rfc3339(SystemClock().wall_ns())
    return {
        "LIVE_ARM_ACK": "I_UNDERSTAND_LIVE_RISK",
        "LIVE_ARM_AT": at,
        "LIVE_MAX_NOTIONAL_USD": "50",
        **changes,
    }
