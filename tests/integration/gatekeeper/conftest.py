"""A whole gatekeeper on temporary sockets and free ports, over a scripted venue."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.integration.gatekeeper.scripted_venue import ScriptedVenue
from tests.ports import free_port

from interlock_core.clock import SystemClock, rfc3339
from interlock_core.wire import attestation, gate, strict
from interlock_core.wire.attestation import Attestation
from interlock_core.wire.gate import SessionGranted, SessionOpen
from interlock_gatekeeper.app import App
from interlock_gatekeeper.settings import LIVE_SECRETS, read_settings
from interlock_gatekeeper.vault import PAPER_VAULT, open_vault

COMMIT = "a" * 40
LIVE_KEY = "0123456789abcdef"
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


def open_for_business(venue):
    """Let a scripted venue have two markets and fill every order."""
    venue.script["GET /upbit/v1/market/all"].append(says(MARKETS))
    venue.script["GET /upbit/v1/orderbook"].append(says(BOOKS))
    venue.script["GET /fapi/v1/exchangeInfo"].append(says(EXCHANGE_INFO))
    venue.script["GET /fapi/v1/ticker/bookTicker"].append(says(TICKERS))
    venue.script[POST].append(says({"orderId": 7, "executedQty": "0.001", "status": "FILLED"}))
    fill = {"orderId": 7, "qty": "0.001", "price": "9999"}
    fee = {"commission": "0.005", "commissionAsset": "USDT"}
    venue.script[FILLS].append(says([{**fill, **fee}]))
    open_accounts(venue)


def open_accounts(venue):
    """Let both accounts hold money and nothing else, on keys that may trade and no more."""
    script = venue.script
    wallet = {"asset": "USDT", "walletBalance": "100000", "availableBalance": "100000"}
    for path, body in {
        "GET /upbit/v1/accounts": [{"currency": "KRW", "balance": "100000000", "locked": "0"}],
        "GET /upbit/v1/orders/open": [],
        "DELETE /upbit/v1/orders/open": {
            "success": {"count": 0, "orders": []},
            "failed": {"count": 0, "orders": []},
        },
        "GET /upbit/v1/api_keys": [
            {"access_key": key, "expire_at": "2099-01-01T00:00:00+09:00"}
            for key in (PAPER_VAULT.upbit.key, LIVE_KEY + "UPBIT_ACCESS_KEY")
        ],
        "GET /upbit/v1/trades/ticks": [],
        "GET /fapi/v3/account": {"assets": [wallet], "positions": []},
        "GET /fapi/v1/openOrders": [],
        "GET /fapi/v1/openAlgoOrders": [],
        "DELETE /fapi/v1/allOpenOrders": {"code": 200, "msg": "done"},
        "DELETE /fapi/v1/algoOpenOrders": {"code": 200, "msg": "done"},
        "GET /fapi/v1/accountConfig": {"dualSidePosition": False},
        "GET /fapi/v1/symbolConfig": [
            {"symbol": "BTCUSDT", "leverage": 1, "marginType": "ISOLATED"}
        ],
        "GET /sapi/v1/account/apiRestrictions": {
            "enableSpotAndMarginTrading": True,
            "enableFutures": True,
            "enableWithdrawals": False,
            "ipRestrict": True,
        },
    }.items():
        script[path].append(says(body))
    out_of_scope = {"error": {"name": "out_of_scope", "message": "no"}}
    script["GET /upbit/v1/pockets/api_keys"].append(says(out_of_scope, 403))
    script["GET /fapi/v1/time"].append(
        lambda: says({"serverTime": SystemClock().wall_ns() // 1_000_000})
    )
    script["DELETE /upbit/v1/order"].append(says({"error": {"name": "order_not_found"}}, 404))
    script["DELETE /fapi/v1/order"].append(says({"code": -2011, "msg": "Unknown order sent."}, 400))


@pytest.fixture
async def venue():
    async with ScriptedVenue() as made:
        open_for_business(made)
        yield made


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


def live_environment(folder: Path, dsn=""):
    """Return settings of a live gatekeeper on the scripted venue, with keys and an attestation."""
    environ = {
        "ARBITRAGE_ENV": "live",
        "STAGE": "smoke",
        "INTERLOCK_COMMIT": COMMIT,
        "POSTGRES_DSN": dsn,
        "ATTESTATION_FILE": str(folder / "attestation"),
        "ATTESTATION_KEY_FILE": str(folder / "attestation-key"),
    }
    key = folder / "attestation-key"
    key.write_text("k" * 64)
    key.chmod(0o400)
    for name in LIVE_SECRETS:
        file = folder / name
        file.write_text(LIVE_KEY + name)
        file.chmod(0o400)
        environ[f"{name}_FILE"] = str(file)
    return environ


def attest(environ, **changes):
    """Write what the preflight writes after seven passed checks."""
    values = {
        "schema": 1,
        "at_wall_ns": SystemClock().wall_ns(),
        "config_sha256": read_settings(environ).config_sha256,
        "commit": COMMIT,
        "passed": attestation.CHECKS,
        "report_id": "test",
        **changes,
    }
    key = attestation.key_in(Path(environ["ATTESTATION_KEY_FILE"]).read_bytes())
    file = Path(environ["ATTESTATION_FILE"])
    file.unlink(missing_ok=True)
    file.write_bytes(attestation.seal(Attestation(**values), key))
    file.chmod(0o440)


async def until_flat(stack):
    """Wait until the halt of the start has proven that nothing is left."""
    async with asyncio.timeout(20):
        while not (await stack.health.get("/health")).json()["flat"]:
            await asyncio.sleep(0.05)


async def ready_to_arm(stack):
    """Report a passed drill, and wait until every condition but the operator's facts holds."""
    uds = httpx.AsyncHTTPTransport(uds=stack.environ["OPERATOR_SOCKET"])
    report = {"passed": True, "drills": 1, "deny_p99_ms": 1.0, "cancel_p99_ms": 1.0}
    async with httpx.AsyncClient(transport=uds, base_url="http://operator") as operator:
        assert (await operator.post("/v1/drill", json=report)).status_code == 200
    answer = await stack.health.get("/health/ready")
    for _ in range(400):
        if answer.status_code == 200:
            return
        await asyncio.sleep(0.05)
        answer = await stack.health.get("/health/ready")
    pytest.fail(f"not ready to arm: {answer.json()['reasons']}")


def facts(**changes):
    at = rfc3339(SystemClock().wall_ns())
    return {
        "LIVE_ARM_ACK": "I_UNDERSTAND_LIVE_RISK",
        "LIVE_ARM_AT": at,
        "LIVE_MAX_NOTIONAL_USD": "50",
        **changes,
    }
