"""A kill drill: a second, throw-away gatekeeper on the simulated venues, killed while it trades.

It has its own folder, sockets and ports and paper's keys; the running gatekeeper is only told the
figures. What is proven: after the latch every intent is denied, and the halt's cancels go out.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import random
import socket
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from interlock_core.clock import SystemClock
from interlock_core.instrument import Instrument, Side, Venue
from interlock_core.wire import gate, strict
from interlock_core.wire.gate import OrderIntent, OrderResult, Purpose, SessionGranted, SessionOpen
from interlock_core.wire.problem import Problem
from interlock_gatekeeper.app import App, throw_away
from interlock_gatekeeper.operator_api import PATH_KILL
from interlock_gatekeeper.settings import GateSettings, read_settings

MAX_DENY_MS, MAX_CANCEL_MS = 10.0, 150.0
# Below those that the kernel hands out to others' outgoing connections.
_PORTS = iter(random.sample(range(20_000, 32_000), 12_000))
READY_S, HALT_S, TIMEOUT_S = 20.0, 30.0, 10.0
POLL_S = 0.05
HTTP_OK = 200
SESSION = "drill-session"
ORDER_USD = Decimal(25)


class DrillError(Exception):
    """The drill could not be held, or what it must prove did not hold."""


@dataclass(frozen=True, slots=True)
class Drilled:
    """One kill: milliseconds from the latch to the first denial and to the first cancel's end."""

    deny_ms: float
    cancel_ms: float


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("gatekeeper", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


async def run(simvenues_url: str, count: int, say: Callable[[str], None]) -> list[Drilled]:
    """Hold `count` drills; raise DrillError where one did not go as it must."""
    done = []
    for number in range(1, count + 1):
        with tempfile.TemporaryDirectory(prefix="drill-") as folder:
            drilled = await _hold_one(simvenues_url, Path(folder))
        say(
            f"drill {number}/{count}: first denial after {drilled.deny_ms:.1f} ms, "
            f"first cancel answered after {drilled.cancel_ms:.1f} ms"
        )
        done.append(drilled)
    return done


def p99(values: list[float]) -> float:
    """Return the value that 99 of 100 do not exceed."""
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * 99 // 100) - 1, 0)]


def passed(drills: list[Drilled]) -> bool:
    """Say whether the drills kept the limits."""
    fast = p99([drill.deny_ms for drill in drills]) <= MAX_DENY_MS
    return fast and p99([drill.cancel_ms for drill in drills]) <= MAX_CANCEL_MS


async def _hold_one(simvenues_url: str, folder: Path) -> Drilled:
    settings = read_settings(
        {
            "SIMVENUES_URL": simvenues_url,
            "GATE_SOCKET": str(folder / "engine" / "engine.sock"),
            "OPERATOR_SOCKET": str(folder / "operator" / "operator.sock"),
            "GATE_HEALTH_PORT": str(_free_port()),
            "GATE_CONSOLE_PORT": str(_free_port()),
            "GATE_STATE_DIR": str(folder / "state"),
        }
    )
    app = throw_away(settings)
    running = asyncio.create_task(app.run())
    try:
        await _until(running, lambda: _is_ready(settings), READY_S, "its venues never answered")
        instrument = _instrument(app.instruments())
        with ThreadPoolExecutor(max_workers=2) as pool:
            return await _kill_while_trading(app, settings, instrument, pool, running)
    finally:
        app.stop()
        await asyncio.gather(running, return_exceptions=True)


async def _kill_while_trading(
    app: App,
    settings: GateSettings,
    instrument: Instrument,
    pool: ThreadPoolExecutor,
    running: asyncio.Task[None],
) -> Drilled:
    loop = asyncio.get_running_loop()
    engine = await loop.run_in_executor(pool, _Engine.open, settings, instrument)
    with contextlib.closing(engine):
        return await _kill(app, settings, engine, pool, running)


async def _kill(
    app: App,
    settings: GateSettings,
    engine: _Engine,
    pool: ThreadPoolExecutor,
    running: asyncio.Task[None],
) -> Drilled:
    loop, key = asyncio.get_running_loop(), engine.instrument.key
    await loop.run_in_executor(pool, engine.order, app.best(key))
    end_s = loop.time() + TIMEOUT_S
    killing = loop.run_in_executor(pool, _ask_to_kill, settings)
    while await loop.run_in_executor(pool, engine.order, app.best(key)) != "KILLED":
        if loop.time() > end_s:
            raise DrillError("intents were not denied after the kill")
    denied_ns = SystemClock().boot_ns()
    await killing
    deny_ms = (denied_ns - app.killed_ns()) / 1e6
    await _until(running, lambda: app.cancel_ms() is not None, HALT_S, "no cancel went out")
    return Drilled(deny_ms, app.cancel_ms() or 0.0)


class _Engine:
    """An engine that knows nothing but how to order."""

    def __init__(
        self, settings: GateSettings, instrument: Instrument, granted: SessionGranted
    ) -> None:
        self._connection = _UnixConnection(str(settings.gate_socket))
        self.instrument = instrument
        self._granted = granted
        self._count = 0

    @classmethod
    def open(cls, settings: GateSettings, instrument: Instrument) -> _Engine:
        """Open a session on one instrument."""
        asked = SessionOpen(
            gate.SCHEMA, SESSION, "paper", settings.config_sha256, (instrument.key,)
        )
        connection = _UnixConnection(str(settings.gate_socket))
        connection.request("POST", gate.PATH_SESSION, strict.encode(asked))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != HTTP_OK:
            raise DrillError(f"no session: {strict.decode(Problem, body).code}")
        return cls(settings, instrument, strict.decode(SessionGranted, body))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def order(self, best: tuple[Decimal, Decimal]) -> str:
        """Order the least there is at the ask; return the outcome, or the code of the refusal."""
        self._count += 1
        _, ask = best
        price = self.instrument.round_price(ask, Side.BUY)
        least = max(ORDER_USD, self.instrument.min_notional * 2)
        quantity = self.instrument.round_quantity(least / price)
        intent = OrderIntent(
            schema=gate.SCHEMA,
            intent_id=f"drill-{self._count:06d}",
            group_id=f"drill-{self._count:06d}",
            leg="a",
            purpose=Purpose.ENTRY,
            instrument=self.instrument.key,
            side=Side.BUY,
            type="limit",
            time_in_force="ioc",
            quantity=max(quantity, self.instrument.min_quantity),
            price=price,
            quoted_price=ask,
            edge_bps=Decimal(1),
            created_boot_ns=SystemClock().boot_ns(),
            epoch=self._granted.epoch,
        )
        body = strict.encode(intent)
        headers = self._signed(body)
        self._connection.request("POST", gate.PATH_ORDERS, body, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status == HTTP_OK:
            return strict.decode(OrderResult, said).outcome
        return str(json.loads(said).get("code"))

    def _signed(self, body: bytes) -> Mapping[str, str]:
        epoch = self._granted.epoch
        key = bytes.fromhex(self._granted.key)
        mac = gate.mac(
            key,
            method="POST",
            path=gate.PATH_ORDERS,
            sequence=self._count,
            epoch=epoch,
            body=body,
        )
        return {
            gate.HEADER_EPOCH: str(epoch),
            gate.HEADER_SEQUENCE: str(self._count),
            gate.HEADER_MAC: mac,
        }


def _ask_to_kill(settings: GateSettings) -> None:
    connection = _UnixConnection(str(settings.operator_socket))
    connection.request("POST", PATH_KILL, json.dumps({"reason": "drill"}))
    if connection.getresponse().status != HTTP_OK:
        raise DrillError("the kill was refused")
    connection.close()


def _is_ready(settings: GateSettings) -> bool:
    connection = http.client.HTTPConnection(settings.host, settings.health_port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == HTTP_OK
    except OSError:
        return False
    finally:
        connection.close()


async def _until(
    running: asyncio.Task[None], holds: Callable[[], Any], within_s: float, problem: str
) -> None:
    loop = asyncio.get_running_loop()
    end_s = loop.time() + within_s
    while not await asyncio.to_thread(holds):
        if running.done():
            raise DrillError("the drilled gatekeeper ended")
        if loop.time() > end_s:
            raise DrillError(problem)
        await asyncio.sleep(POLL_S)


def _instrument(known: Mapping[str, Instrument]) -> Instrument:
    """Return a perpetual whose smallest order is small."""
    perps = [item for item in known.values() if item.venue is not Venue.UPBIT]
    if not perps:
        raise DrillError("the simulated venues list no instrument")
    return min(perps, key=lambda item: (item.asset not in ("XRP", "DOGE", "TRX"), item.key))


def _free_port() -> int:
    """Return a port nobody listens on, each once."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("no port of 127.0.0.1 is free")
