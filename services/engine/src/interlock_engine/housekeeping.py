"""What happens once a second or less often, off the main path: facts, retries, checkpoints."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path

import aiohttp

from interlock_core.clock import Clock, rfc3339
from interlock_core.reasons import Severity
from interlock_engine.book.market import Market
from interlock_engine.decide.guards import EntryGuard
from interlock_engine.execute.lease import Lease
from interlock_engine.execute.reconcile import Reconciler
from interlock_engine.execute.trader import Trader
from interlock_engine.ledger.file import Ledger
from interlock_engine.loop import Loop
from interlock_engine.observe import checkpoint, kpi
from interlock_engine.observe.kpi import MarketSource, Snapshots
from interlock_engine.observe.process import ProcessMeter
from interlock_engine.store.postgres import Postgres

log = logging.getLogger(__name__)

TICK_S = 0.25
TICKS_A_SECOND = 4
WINDOW_SECONDS = 5
SOURCE_EVERY_S = 5.0
TIMEOUT = aiohttp.ClientTimeout(total=2)
HTTP_OK = 200


class Housekeeping:
    """Keeps the guards' facts fresh and gives the exit rules their turn when nothing arrives."""

    def __init__(
        self,
        *,
        market: Market,
        loop: Loop,
        trader: Trader,
        guard: EntryGuard,
        lease: Lease,
        reconciler: Reconciler,
        ledger: Ledger,
        snapshots: Snapshots,
        meter: ProcessMeter,
        clock: Clock,
    ) -> None:
        self._market = market
        self._loop = loop
        self._trader = trader
        self._guard = guard
        self._lease = lease
        self._reconciler = reconciler
        self._ledger = ledger
        self._snapshots = snapshots
        self._meter = meter
        self._clock = clock
        self._ticks = 0

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(TICK_S)

    def tick(self) -> None:
        """Refresh the facts; every second also sample the process and look after positions."""
        health, score = self._guard.health, self._snapshots.score
        health.gate_ready = self._lease.ready and self._reconciler.compared
        health.books_differ = bool(self._reconciler.differences)
        if self._ledger.failed and not health.ledger_failed:
            score.alert(Severity.P0, "nothing is entered any more", why=self._ledger.failed)
            health.ledger_failed = True
        health.unknown = bool(score.in_doubt)
        self._ticks += 1
        now_ns = self._clock.boot_ns()
        self._market.update_common()
        self._trader.tend(now_ns)
        if self._ticks % TICKS_A_SECOND:
            return
        self._meter.sample(now_ns)
        health.cpu_percent = self._meter.recent_cpu_percent
        if self._ticks % (TICKS_A_SECOND * WINDOW_SECONDS) == 0:
            health.loop_p99_ms = score.loop_latency.window_p99_ms()
        self._market.size_books(float(self._trader.planner.notional_usd))
        self._loop.watch(now_ns)
        market = self._market
        self._guard.note_engine(
            venue_age_ns=max(market.upbit.age_ns(now_ns), market.binance.age_ns(now_ns)),
            fx_age_ns=market.fx_age_ns(now_ns),
        )


class Checkpoints:
    """Writes the KPI JSON at intervals and at the end."""

    def __init__(
        self, snapshots: Snapshots, folder: Path, *, postgres: Postgres | None, every_s: float
    ) -> None:
        self._snapshots = snapshots
        self._folder = folder
        self._postgres = postgres
        self._every_s = every_s
        self._ended = False

    async def run(self) -> None:
        """Write at intervals until the end; a full disk is reported and tried again."""
        while True:
            await asyncio.sleep(self._every_s)
            # A checkpoint that falls due in the very moment of the end must not undo the final.
            if self._ended:
                return
            try:
                self.write(final=False, exit_code=0)
            except OSError as error:
                log.error("checkpoint failed", extra={"why": str(error)})  # noqa: TRY400 - one line

    def write(self, *, final: bool, exit_code: int) -> Path:
        """Write the KPI JSON as of now; raises OSError."""
        self._ended = self._ended or final
        snapshot = self._snapshots.take()
        document = kpi.document(snapshot, final=final, exit_code=exit_code)
        if self._postgres is not None:
            self._postgres.snapshot(rfc3339(snapshot.at_wall_ns), document)
        return checkpoint.write(self._folder, document)


async def watch_market_source(
    http: aiohttp.ClientSession,
    simvenues_url: str,
    source: MarketSource,
    *,
    on_change: Callable[[], None],
) -> None:
    """Keep what the simulator says of its market data, until cancelled."""
    while True:
        if await _read_source(http, f"{simvenues_url}/admin/market", source):
            log.info("market source", extra={"source": source.source, "regime": source.regime})
            on_change()
        await asyncio.sleep(SOURCE_EVERY_S)


async def _read_source(http: aiohttp.ClientSession, url: str, source: MarketSource) -> bool:
    """Update source from the simulator's answer; return whether it changed."""
    try:
        async with http.get(url, timeout=TIMEOUT, allow_redirects=False) as response:
            if response.status != HTTP_OK:
                return False
            answer = json.loads(await response.read())
        found = (str(answer["source"]), answer.get("regime"), answer.get("fallback_reason"))
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError):
        return False
    if found == (source.source, source.regime, source.fallback_reason):
        return False
    source.source, source.regime, source.fallback_reason = found
    return True
