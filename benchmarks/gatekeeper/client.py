"""The engine's own client, and the patience to wait until a fresh gatekeeper grants a session."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from benchmarks.gatekeeper import market
from benchmarks.gatekeeper.processes import Gatekeeper
from benchmarks.report import BenchmarkError
from interlock_core.clock import SystemClock
from interlock_core.wire import gate
from interlock_core.wire.gate import OrderIntent, SessionOpen, Telemetry
from interlock_engine.execute.gate_client import GateClient, GateError

READY_TIMEOUT_S = 20.0
READY_POLL_S = 0.02
CLOCK = SystemClock()
QUIET = Telemetry(
    loop_p99_ms=1.0,
    cpu_percent=1.0,
    memory_mb=50.0,
    market_age_ms=10.0,
    pnl_usd=0.0,
    open_positions=0,
)


@contextlib.asynccontextmanager
async def session(gatekeeper: Gatekeeper, name: str) -> AsyncIterator[GateClient]:
    """Yield a client with an open session on every instrument of the benchmark's market."""
    settings = gatekeeper.settings
    client = GateClient(settings.gate_socket, clock=CLOCK, on_lost=lambda _: None)
    asked = SessionOpen(gate.SCHEMA, name, settings.stage, settings.config_sha256, market.KEYS)
    try:
        await _open(client, asked, gatekeeper)
        yield client
    finally:
        await client.close()


async def _open(client: GateClient, asked: SessionOpen, gatekeeper: Gatekeeper) -> None:
    """Ask until the gatekeeper listens and knows its venues' markets."""
    why = ""
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while True:
                gatekeeper.check()
                try:
                    await client.open(asked)
                except GateError as error:
                    why = str(error)
                    await asyncio.sleep(READY_POLL_S)
                else:
                    return
    except TimeoutError as error:
        raise BenchmarkError(f"no session within {READY_TIMEOUT_S} s: {why}") from error


async def beat(client: GateClient, pnl_usd: float = 0.0) -> None:
    """Renew the lease, with the session's result so far."""
    if await client.heartbeat(replace(QUIET, pnl_usd=pnl_usd)) is None:
        raise BenchmarkError("the session was lost: the lease was not renewed")


def stamped(intent: OrderIntent, client: GateClient) -> OrderIntent:
    """Return an intent as created now in the running epoch."""
    return replace(intent, created_boot_ns=CLOCK.boot_ns(), epoch=client.epoch)
