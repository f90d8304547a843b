"""The composition root: builds the engine from its settings, runs it, and ends it in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Coroutine
from typing import Any

import aiohttp

from interlock_core import ids
from interlock_core.clock import SystemClock, rfc3339
from interlock_core.instrument import Venue as VenueName
from interlock_core.reasons import Severity
from interlock_core.wire.gate import SessionGranted, Telemetry
from interlock_engine.book.market import Market, Venue
from interlock_engine.decide.guards import EntryGuard, Health
from interlock_engine.decide.sizing import CAP_ROOM, notional_within
from interlock_engine.decide.universe import select
from interlock_engine.execute.armed import ArmedQuestion
from interlock_engine.execute.gate_client import GateClient
from interlock_engine.execute.lease import Lease
from interlock_engine.execute.legs import Legs
from interlock_engine.execute.trader import Trader
from interlock_engine.feed.feeds import new_state, sockets
from interlock_engine.feed.rest import MarketDataError, fetch_candidates
from interlock_engine.housekeeping import Checkpoints, Housekeeping, watch_market_source
from interlock_engine.loop import Loop
from interlock_engine.observe import metrics
from interlock_engine.observe.kpi import MarketSource, SessionFacts, Snapshots
from interlock_engine.observe.process import ProcessMeter
from interlock_engine.observe.scoreboard import Scoreboard, Sink
from interlock_engine.observe.server import Server
from interlock_engine.observe.view import Standing, state_document
from interlock_engine.settings import EngineSettings
from interlock_engine.store.postgres import Postgres
from interlock_engine.store.redis import HotState

log = logging.getLogger(__name__)

EXIT_DONE, EXIT_FAILED, EXIT_KILLED = 0, 1, 4
KILLED = "KILLED"
RETRY_S = 1.0
# Together under 4 s: Ctrl+C must end within 5 s.
CLOSE_POSITIONS_S = 2.0
DRAIN_STORES_S = 0.5


class App:
    """One engine process: one session id, from start to the final KPI JSON."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._clock = clock = SystemClock()
        self._facts = facts = _session_facts(settings, clock)
        self._stopping = self._killed = False
        self._problem = "reading what the venues list"
        name = facts.session_id
        self._postgres = Postgres(settings.postgres_dsn, name) if settings.postgres_dsn else None
        self._redis = HotState(settings.redis_url, name) if settings.redis_url else None
        sinks: list[Sink] = [sink for sink in (self._postgres, self._redis) if sink is not None]
        self._score = score = Scoreboard(clock, tuple(sinks))
        binance = VenueName.BINANCE_PERP if settings.perp else VenueName.BINANCE
        self._market = market = Market(Venue(VenueName.UPBIT), Venue(binance), clock)
        self._meter = ProcessMeter(clock.boot_ns())
        self._health = Health()
        self._guard = EntryGuard(settings.guards, self._health, on_trigger=score.guard_triggered)
        self._http = aiohttp.ClientSession()
        self._question = ArmedQuestion(settings.gatekeeper_url, settings.config_sha256)
        self._client = GateClient(settings.gate_socket, clock=clock, on_lost=self._session_lost)
        self._lease = Lease(
            self._client,
            self._question,
            session_id=name,
            stage=settings.stage,
            config_sha256=settings.config_sha256,
            telemetry=self._telemetry,
            on_granted=self._session_granted,
        )
        legs = Legs(
            self._client,
            quotes=market,
            observer=score,
            clock=clock,
            settings=settings.legs,
            session_id=name,
        )
        self._trader = Trader(
            market,
            legs=legs,
            permission=self._lease,
            reporter=score,
            health=self._health,
            clock=clock,
            cooldown_ns=round(settings.cooldown_s * 1e9),
        )
        self._trader.notional_usd = settings.order_notional_usd
        self._loop = Loop(
            market,
            strategy=settings.strategy,
            guard=self._guard,
            hands=self._trader,
            clock=clock,
            record_latency_ns=score.loop_latency.add,
        )
        self._snapshots = Snapshots(
            facts,
            score=score,
            market=market,
            meter=self._meter,
            source=MarketSource("unknown" if settings.simulated else "real"),
            residuals=self._trader.residuals,
            clock=clock,
        )
        self._housekeeping = Housekeeping(
            market=market,
            loop=self._loop,
            trader=self._trader,
            guard=self._guard,
            lease=self._lease,
            snapshots=self._snapshots,
            meter=self._meter,
            clock=clock,
        )
        self._checkpoints = Checkpoints(
            self._snapshots,
            settings.runs_dir / name,
            postgres=self._postgres,
            every_s=settings.checkpoint_s,
        )
        self._server = Server(
            host=settings.host,
            port=settings.port,
            registry=metrics.registry(self._snapshots.take, self._live),
            state=self._state,
            not_ready=self._not_ready,
        )

    async def run(self) -> int:
        """Run until told to stop or DURATION has passed; return the exit code."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            # The first file claims the session id before an order can be named after it.
            self._checkpoints.write(final=False, exit_code=EXIT_DONE)
            await self._server.start()
        except OSError as error:
            log.critical("cannot start", extra={"why": str(error)})
            self._finish_record(EXIT_FAILED)
            await self._close_connections()
            return EXIT_FAILED
        log.info("engine started", extra={"session_id": self._facts.session_id})
        work = asyncio.create_task(self._work())
        stores = [asyncio.create_task(s.run()) for s in (self._postgres, self._redis) if s]
        told = asyncio.create_task(stop.wait())
        await asyncio.wait(
            [work, told, *stores],
            timeout=self._settings.duration_s or None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        failed = [task for task in (work, *stores) if task.done()]
        for task in failed:
            log.critical("a part of the engine ended by itself", exc_info=task.exception())
        return await self._end(work, [*stores, told], failed=bool(failed))

    async def _work(self) -> None:
        """Find the universe, then do everything at once until cancelled."""
        await self._choose_universe()
        settings = self._settings
        feeds = sockets(
            self._market,
            self._http,
            settings.endpoints,
            perp=settings.perp,
            touch=self._loop.touch,
            clock=self._clock,
        )
        routes = [state.route for state in self._market.routes.values()]
        instruments = [i.key for route in routes for i in (route.upbit, route.binance)]
        parts: list[Coroutine[Any, Any, None]] = [
            *(feed.run() for feed in feeds),
            self._lease.run(instruments),
            self._housekeeping.run(),
            self._checkpoints.run(),
        ]
        if settings.simulated:
            parts.append(
                watch_market_source(
                    self._http,
                    settings.simvenues_url,
                    self._snapshots.source,
                    on_change=self._keep_session,
                )
            )
        self._keep_session()
        # What exists by now stays for the session: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)

    async def _choose_universe(self) -> None:
        settings = self._settings
        while True:
            try:
                found = await fetch_candidates(self._http, settings.endpoints, perp=settings.perp)
                break
            except MarketDataError as error:
                if self._problem != str(error):
                    log.warning("no market data yet", extra={"why": str(error)})
                self._problem = str(error)
            await asyncio.sleep(RETRY_S)
        universe = select(found, settings.universe_size, settings.order_notional_usd)
        for route in universe.routes:
            self._market.routes[route.asset] = new_state(route, settings.strategy.signal)
        self._problem = "" if universe.routes else "no asset is listed on both venues and fits"
        log.info(
            "universe",
            extra={
                "assets": [route.asset for route in universe.routes],
                "left_out": dict(universe.left_out),
            },
        )

    async def _end(
        self, work: asyncio.Task[None], others: list[asyncio.Task[Any]], *, failed: bool
    ) -> int:
        """Close positions, end the session, write the final KPI JSON: each even if one fails."""
        self._stopping = self._health.stopping = True
        # Asked before the session is ended: afterwards it says nothing of this run any more.
        self._killed = self._lease.gate_state == KILLED
        log.info("stopping", extra={"open_positions": len(self._market.open_positions())})
        try:
            await self._trader.close_all(CLOSE_POSITIONS_S)
            await self._client.end()
        finally:
            code = self._exit_code(failed=failed)
            self._finish_record(code)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        drains = [s.drain(DRAIN_STORES_S) for s in (self._postgres, self._redis) if s]
        await asyncio.gather(*drains)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._close_connections()
        log.info("engine ended", extra={"exit_code": code})
        return code

    def _exit_code(self, *, failed: bool) -> int:
        if self._killed:
            return EXIT_KILLED
        unhedged = any(not item.resolved for item in self._trader.residuals)
        left = bool(self._market.open_positions() or self._score.in_doubt)
        return EXIT_FAILED if failed or unhedged or left else EXIT_DONE

    def _finish_record(self, code: int) -> None:
        for state in self._market.open_positions():
            self._score.alert(Severity.P0, "position left open at the end", asset=state.route.asset)
        try:
            path = self._checkpoints.write(final=True, exit_code=code)
            log.info("KPI JSON written", extra={"path": str(path)})
        except OSError as error:
            self._score.alert(Severity.P0, "KPI JSON could not be written", why=str(error))
        if self._postgres is not None:
            self._postgres.session_end(
                ended_at=rfc3339(self._clock.wall_ns()),
                exit_code=code,
                market_source=self._snapshots.source.source,
            )

    async def _close_connections(self) -> None:
        await self._server.stop()
        for store in (self._postgres, self._redis):
            if store is not None:
                await store.close()
        await self._client.close()
        await self._question.close()
        await self._http.close()

    def _keep_session(self) -> None:
        if self._postgres is not None:
            facts = self._facts
            self._postgres.session(
                env=facts.environment,
                stage=facts.stage,
                universe=facts.universe,
                config_sha256=facts.config_sha256,
                market_source=self._snapshots.source.source,
                started_at=rfc3339(facts.started_wall_ns),
            )

    def _session_granted(self, granted: SessionGranted) -> None:
        wanted, trader = self._settings.order_notional_usd, self._trader
        trader.notional_usd = notional_within(wanted, granted.order_cap_usd)
        if trader.notional_usd < wanted:
            log.warning(
                "order notional lowered to the session's cap",
                extra={"wanted_usd": str(wanted), "usd": f"{trader.notional_usd:.2f}"},
            )
        fits = int(granted.gross_cap_usd / (2 * CAP_ROOM * trader.notional_usd))
        self._guard.max_positions = min(self._settings.guards.max_positions, fits)
        self._snapshots.equity_usd = granted.gross_cap_usd

    def _session_lost(self, why: str) -> None:
        self._lease.lost(why)
        self._health.gate_ready = False
        if not self._stopping:
            self._score.alert(Severity.P1, "session with the gatekeeper lost", why=why)

    def _telemetry(self) -> Telemetry:
        snapshot, now_ns, market = self._snapshots.take(), self._clock.boot_ns(), self._market
        age_ns = max(market.upbit.age_ns(now_ns), market.binance.age_ns(now_ns))
        return Telemetry(
            loop_p99_ms=self._health.loop_p99_ms,
            cpu_percent=snapshot.recent_cpu_percent,
            memory_mb=snapshot.memory_mb,
            market_age_ms=age_ns / 1e6,
            pnl_usd=float(snapshot.total_usd),
            open_positions=snapshot.open_positions,
        )

    def _standing(self) -> Standing:
        state, reason = "trading", ""
        if self._stopping:
            state = "stopping"
        elif self._problem:
            state, reason = "starting", self._problem
        elif not_ready := self._not_ready():
            state, reason = "starting", not_ready[0]
        elif not self._lease.ready:
            state, reason = "standing_by", self._lease.reason or "opening a session"
        return Standing(
            state=state,
            reason=reason,
            gate_state=self._lease.gate_state,
            gate_ready=self._lease.ready,
            epoch=self._client.epoch,
            order_notional_usd=self._trader.notional_usd,
            guards=self._guard.holding(),
        )

    def _state(self) -> dict[str, Any]:
        return state_document(self._snapshots.take(), self._standing(), self._market, self._clock)

    def _not_ready(self) -> list[str]:
        now_ns, limit_ns = self._clock.boot_ns(), self._settings.guards.venue_stale_ns
        silent = [v.name for v in self._market.venues if v.age_ns(now_ns) > limit_ns]
        return [self._problem] if self._problem else [f"no data from {name}" for name in silent]

    def _live(self) -> metrics.Live:
        now_ns, market = self._clock.boot_ns(), self._market
        stores = [s for s in (self._postgres, self._redis) if s is not None]
        return metrics.Live(
            state=self._standing().state,
            frames={v.name: v.frames for v in market.venues},
            ages_s={v.name: v.age_ns(now_ns) / 1e9 if v.last_ns else -1.0 for v in market.venues},
            premiums_bps={
                asset: state.premium.mid
                for asset, state in market.routes.items()
                if state.premium is not None
            },
            store_dropped={store.name: store.dropped for store in stores},
        )


def _session_facts(settings: EngineSettings, clock: SystemClock) -> SessionFacts:
    wall_ns = clock.wall_ns()
    return SessionFacts(
        session_id=settings.session_id or ids.new_session_id(wall_ns, settings.environment),
        environment=settings.environment,
        stage=settings.stage,
        universe=settings.universe,
        config_sha256=settings.config_sha256,
        started_wall_ns=wall_ns,
        started_boot_ns=clock.boot_ns(),
    )
