"""The composition root: builds the engine from its settings, runs it, and ends it in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Coroutine, Sequence
from decimal import Decimal
from typing import Any

import aiohttp

from interlock_core.clock import Clock
from interlock_core.instrument import Venue as VenueName
from interlock_core.money import ZERO
from interlock_core.reasons import Severity
from interlock_core.wire.gate import SessionGranted, Telemetry
from interlock_engine.book.market import Market, Venue
from interlock_engine.decide.guards import EntryGuard, Health
from interlock_engine.decide.sizing import CAP_ROOM, notional_within
from interlock_engine.execute.armed import ArmedQuestion
from interlock_engine.execute.gate_client import GateClient
from interlock_engine.execute.lease import Lease
from interlock_engine.execute.legs import Legs
from interlock_engine.execute.planner import Planner
from interlock_engine.execute.reconcile import Reconciler
from interlock_engine.execute.trader import Trader
from interlock_engine.feed.feeds import new_state, sockets
from interlock_engine.feed.listing import choose_universe
from interlock_engine.feed.socket import VenueSocket
from interlock_engine.housekeeping import Checkpoints, Housekeeping, watch_market_source
from interlock_engine.ledger.file import LedgerError
from interlock_engine.ledger.records import Ended
from interlock_engine.ledger.recovery import replay, residuals, restore
from interlock_engine.ledger.sessions import Run
from interlock_engine.loop import Loop
from interlock_engine.observe import metrics
from interlock_engine.observe.kpi import MarketSource, Snapshots
from interlock_engine.observe.process import ProcessMeter
from interlock_engine.observe.scoreboard import Scoreboard
from interlock_engine.observe.server import Server
from interlock_engine.settings import EngineSettings
from interlock_engine.status import Status
from interlock_engine.store.sinks import Stores

log = logging.getLogger(__name__)

EXIT_DONE, EXIT_FAILED, EXIT_KILLED = 0, 1, 4
KILLED = "KILLED"
# Together under 4 s: Ctrl+C must end within 5 s.
CLOSE_POSITIONS_S = 2.0
DRAIN_STORES_S = 0.5
# What a session that ran out while nobody ran it is given to close its positions.
CLOSE_RESUMED_S = 15.0


class App:
    """One engine process: one session, or what an earlier process left of it, to its end."""

    def __init__(self, settings: EngineSettings, run: Run, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._run = run
        self._stop = asyncio.Event()
        self._build_record()
        self._build_hands()
        self._build_faces()

    def _build_record(self) -> None:
        """What is known of the market and kept of the session."""
        settings, clock = self._settings, self._clock
        self._facts = facts = self._run.facts
        self._stores = Stores(
            facts,
            ledger_path=self._run.ledger.path,
            postgres_dsn=settings.postgres_dsn,
            redis_url=settings.redis_url,
        )
        self._score = Scoreboard(clock, self._run.ledger, self._stores.sinks())
        self._recovered = replay(self._run.records, self._score)
        binance = VenueName.BINANCE_PERP if settings.perp else VenueName.BINANCE
        self._market = Market(Venue(VenueName.UPBIT), Venue(binance), clock)
        self._meter = ProcessMeter(clock.boot_ns())
        self._health = Health()
        self._guard = EntryGuard(
            settings.guards, self._health, on_trigger=self._score.guard_triggered
        )

    def _build_hands(self) -> None:
        """What decides and what reaches the gatekeeper."""
        settings, clock, score = self._settings, self._clock, self._score
        self._loss_limit_usd = ZERO
        self._question = ArmedQuestion(settings.gatekeeper_url, settings.config_sha256)
        self._client = GateClient(settings.gate_socket, clock=clock, on_lost=self._session_lost)
        self._lease = Lease(
            self._client,
            self._question,
            session_id=self._facts.session_id,
            stage=settings.stage,
            config_sha256=settings.config_sha256,
            telemetry=self._telemetry,
            on_granted=self._session_granted,
        )
        unconfirmed: set[int] = set()
        legs = Legs(
            self._client,
            quotes=self._market,
            observer=score,
            clock=clock,
            settings=settings.legs,
            session_id=self._facts.session_id,
            unconfirmed=unconfirmed,
        )
        self._trader = Trader(
            self._market,
            legs=legs,
            planner=Planner(
                self._market,
                bounds=settings.legs.bounds(settings.strategy.exits.stop_loss_bps),
                guard=self._guard,
                clock=clock,
                loss_left_usd=self._loss_left_usd,
                dust=score.dust,
            ),
            permission=self._lease,
            reporter=score,
            guard=self._guard,
            clock=clock,
            cooldown_ns=round(settings.cooldown_s * 1e9),
            unconfirmed=unconfirmed,
        )
        self._trader.planner.notional_usd = settings.order_notional_usd
        self._trader.numbers = self._recovered.numbers
        self._trader.residuals += residuals(self._recovered)
        self._reconciler = Reconciler(
            self._client,
            market=self._market,
            record=score,
            positions=self._trader,
            unconfirmed=unconfirmed,
            clock=clock,
            on_begun=self._session_begun,
        )
        self._reconciler.restore(self._recovered.baseline, self._recovered.own_fills)
        self._loop = Loop(
            self._market,
            strategy=settings.strategy,
            guard=self._guard,
            hands=self._trader,
            clock=clock,
            record_latency_ns=score.loop_latency.add,
        )

    def _build_faces(self) -> None:
        """What is shown, and what keeps it fresh."""
        settings, market = self._settings, self._market
        self._http = aiohttp.ClientSession()
        self._snapshots = Snapshots(
            self._facts,
            score=self._score,
            market=market,
            meter=self._meter,
            source=MarketSource("unknown" if settings.simulated else "real"),
            residuals=self._trader.residuals,
            clock=self._clock,
        )
        self._status = Status(
            market=market,
            guard=self._guard,
            client=self._client,
            lease=self._lease,
            trader=self._trader,
            snapshots=self._snapshots,
            stores=self._stores,
            reconciler=self._reconciler,
            venue_stale_ns=settings.guards.venue_stale_ns,
        )
        self._checkpoints = Checkpoints(
            self._snapshots,
            settings.runs_dir / self._facts.session_id,
            postgres=self._stores.postgres,
            every_s=settings.checkpoint_s,
        )
        self._server = Server(
            host=settings.host,
            port=settings.port,
            registry=metrics.registry(self._snapshots.take, self._status.live),
            state=self._status.document,
            not_ready=self._status.not_ready,
        )

    def stop(self) -> None:
        """Ask `run` to end in order."""
        self._stop.set()

    async def run(self) -> int:
        """Run until told to stop or DURATION has passed; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
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
        if self._recovered.begun is not None:
            self._score.alert(Severity.P1, "engine resumed", open=len(self._recovered.trips))
        work, stores = asyncio.create_task(self._work()), self._stores.start()
        told = asyncio.create_task(self._stop.wait())
        await asyncio.wait(
            [work, told, *stores],
            timeout=self._time_left_s(),
            return_when=asyncio.FIRST_COMPLETED,
        )
        failed = [task for task in (work, *stores) if task.done()]
        for task in failed:
            log.critical("a part of the engine ended by itself", exc_info=task.exception())
        return await self._end(work, [*stores, told], failed=bool(failed))

    def _time_left_s(self) -> float | None:
        """Return how long to run; a session that goes on with positions has time to close them."""
        if not self._settings.duration_s:
            return None
        passed_s = (self._clock.boot_ns() - self._facts.started_boot_ns) / 1e9
        least_s = CLOSE_RESUMED_S if self._recovered.trips else 0.0
        return max(self._settings.duration_s - passed_s, least_s)

    async def _work(self) -> None:
        """Find the universe, then do everything at once until cancelled."""
        settings, source = self._settings, self._snapshots.source
        universe = await choose_universe(
            self._http,
            settings.endpoints,
            perp=settings.perp,
            count=settings.universe_size,
            notional_usd=settings.order_notional_usd,
            keep={trip.opened.asset for trip in self._recovered.trips.values()},
            tell=self._status.tell,
        )
        for route in universe.routes:
            self._market.routes[route.asset] = new_state(route, settings.strategy.signal)
        self._take_over()
        parts: list[Coroutine[Any, Any, None]] = [
            *(feed.run() for feed in self._feeds()),
            self._lease.run(
                [i.key for route in universe.routes for i in (route.upbit, route.binance)]
            ),
            self._housekeeping().run(),
            self._checkpoints.run(),
            self._reconciler.run(),
            self._run.ledger.run(),
        ]
        self._stores.begin(source.source)
        if settings.simulated:
            watch = watch_market_source(
                self._http,
                settings.simvenues_url,
                source,
                on_change=lambda: self._stores.begin(source.source),
            )
            parts.append(watch)
        # What exists by now stays for the session: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)

    def _take_over(self) -> None:
        """Go on with the round trips that an earlier process left open."""
        for trip in self._recovered.trips.values():
            state = self._market.routes.get(trip.opened.asset)
            if state is None:
                raise LedgerError(
                    f"{trip.opened.asset} is held but not listed on both venues any more: "
                    "close it at the venues and take it over with `interlock reset`"
                )
            self._trader.take_over(*restore(trip, state.route, self._clock))

    def _feeds(self) -> Sequence[VenueSocket]:
        return sockets(
            self._market,
            self._http,
            self._settings.endpoints,
            perp=self._settings.perp,
            touch=self._loop.touch,
            clock=self._clock,
        )

    def _housekeeping(self) -> Housekeeping:
        return Housekeeping(
            market=self._market,
            loop=self._loop,
            trader=self._trader,
            guard=self._guard,
            lease=self._lease,
            reconciler=self._reconciler,
            ledger=self._run.ledger,
            snapshots=self._snapshots,
            meter=self._meter,
            clock=self._clock,
        )

    async def _end(
        self, work: asyncio.Task[None], others: list[asyncio.Task[Any]], *, failed: bool
    ) -> int:
        """Close positions, end the session, write the final KPI JSON: each even if one fails."""
        self._health.stopping = True
        # Asked before the session is ended: afterwards it says nothing of this run any more.
        killed = self._lease.gate_state == KILLED
        log.info("stopping", extra={"open_positions": len(self._market.open_positions())})
        try:
            await self._trader.close_all(CLOSE_POSITIONS_S)
            await self._client.end()
        finally:
            code = EXIT_KILLED if killed else self._exit_code(failed=failed)
            self._finish_record(code)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await self._stores.drain(DRAIN_STORES_S)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._close_connections()
        log.info("engine ended", extra={"exit_code": code})
        return code

    def _exit_code(self, *, failed: bool) -> int:
        unhedged = any(not item.resolved for item in self._trader.residuals)
        return EXIT_FAILED if failed or unhedged or self._is_open else EXIT_DONE

    @property
    def _is_open(self) -> bool:
        """Say whether anything is left for another process to go on with."""
        untaken = self._recovered.trips and not self._market.routes
        return bool(untaken or self._market.open_positions() or self._score.in_doubt)

    def _finish_record(self, code: int) -> None:
        for state in self._market.open_positions():
            self._score.alert(Severity.P0, "position left open at the end", asset=state.route.asset)
        try:
            path = self._checkpoints.write(final=True, exit_code=code)
            log.info("KPI JSON written", extra={"path": str(path)})
        except OSError as error:
            self._score.alert(Severity.P0, "KPI JSON could not be written", why=str(error))
        if not self._is_open:
            self._run.ledger.append(Ended(code))
        self._stores.end(
            ended_wall_ns=self._clock.wall_ns(),
            exit_code=code,
            market_source=self._snapshots.source.source,
        )

    async def _close_connections(self) -> None:
        await self._run.ledger.sync()
        self._run.ledger.close()
        await self._server.stop()
        await self._stores.close()
        await self._client.close()
        await self._question.close()
        await self._http.close()

    def _session_granted(self, granted: SessionGranted) -> None:
        wanted, planner = self._settings.order_notional_usd, self._trader.planner
        planner.notional_usd = notional_within(wanted, granted.order_cap_usd)
        if planner.notional_usd < wanted:
            log.warning(
                "order notional lowered to the session's cap",
                extra={"wanted_usd": str(wanted), "usd": f"{planner.notional_usd:.2f}"},
            )
        fits = int(granted.gross_cap_usd / (2 * CAP_ROOM * planner.notional_usd))
        self._guard.max_positions = min(self._settings.guards.max_positions, fits)
        self._snapshots.equity_usd = granted.gross_cap_usd
        self._loss_limit_usd = granted.loss_limit_usd
        self._reconciler.begin_session()

    def _loss_left_usd(self) -> Decimal:
        """Return what the session may still lose; nothing before there is one."""
        return self._loss_limit_usd + min(self._snapshots.take().total_usd, ZERO)

    def _session_begun(self) -> None:
        self._status.session_begun()

    def _telemetry(self) -> Telemetry:
        return self._status.telemetry()

    def _session_lost(self, why: str) -> None:
        self._lease.lost(why)
        self._health.gate_ready = False
        if not self._health.stopping:
            self._score.alert(Severity.P1, "session with the gatekeeper lost", why=why)
