"""The composition root: names every part, joins them, and runs the market's clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from interlock_core.clock import Clock, SystemClock
from interlock_core.instrument import Venue
from interlock_simvenues.admin import Admin
from interlock_simvenues.binance import auth as binance_auth
from interlock_simvenues.binance import limits as binance_limits
from interlock_simvenues.binance.account_perp import PerpAccount
from interlock_simvenues.binance.face import Face
from interlock_simvenues.binance.private import SpotTrading
from interlock_simvenues.binance.private_perp import PerpTrading
from interlock_simvenues.binance.public import MarketData
from interlock_simvenues.binance.rest import Rest as BinanceRest
from interlock_simvenues.binance.routes import perp_routes, spot_routes
from interlock_simvenues.binance.sockets import ApiSocket, MarketSockets, UserSockets
from interlock_simvenues.binance.stream import MarketStream
from interlock_simvenues.binance.user_stream import SpotUserStream
from interlock_simvenues.binance.user_stream_perp import ListenKeys, PerpUserStream
from interlock_simvenues.binance.ws_api import WsApi
from interlock_simvenues.faults.admin import FaultAdmin
from interlock_simvenues.faults.calls import Calls
from interlock_simvenues.faults.faults import Faults
from interlock_simvenues.market.choose import Choice, choose
from interlock_simvenues.market.source import STEP_NS
from interlock_simvenues.metrics import Metrics
from interlock_simvenues.outbox import Connections
from interlock_simvenues.settings import Settings
from interlock_simvenues.units import NS_PER_S
from interlock_simvenues.upbit import auth as upbit_auth
from interlock_simvenues.upbit import limits as upbit_limits
from interlock_simvenues.upbit.private import Trading
from interlock_simvenues.upbit.rest import Rest as UpbitRest
from interlock_simvenues.upbit.sockets import Sockets as UpbitSockets
from interlock_simvenues.upbit.stream import PublicStream
from interlock_simvenues.upbit.user_stream import PrivateStream
from interlock_simvenues.world import Funds, World

log = logging.getLogger(__name__)

STEP_S = STEP_NS / NS_PER_S


class Simulator:
    """The whole simulator, ready to listen."""

    def __init__(self, settings: Settings, choice: Choice, clock: Clock) -> None:
        self.metrics = Metrics()
        self.choice = choice
        funds = Funds(
            krw=settings.krw,
            usdt_spot=settings.usdt,
            usdt_perp=settings.usdt_perp,
            inventory_usd=settings.inventory_usd,
        )
        scenario = settings.scenario
        faults = Faults(seed=settings.seed if scenario.seed is None else scenario.seed)
        faults.add(scenario.rules, clock.wall_ns())
        self.world = World(
            instruments=choice.instruments,
            source=choice.source,
            funds=funds,
            clock=clock,
            metrics=self.metrics,
            faults=faults,
        )
        self._settings = settings
        self._connections = {
            venue: Connections(self.metrics.connections.labels(venue), venue, faults, clock)
            for venue in Venue
        }
        label = choice.source.label
        self.metrics.source.labels(label.source, label.regime or "none").set(1)
        if choice.fallback_reason is not None:
            self.metrics.fallback.labels(choice.fallback_reason).set(1)
        self.app = self._application()

    def _application(self) -> web.Application:
        app = web.Application()
        Admin(self.world, self.choice, seed=self._settings.seed).add_routes(app)
        FaultAdmin(self.world.faults, self.world.clock).add_routes(app)
        self._add_upbit(app)
        self._add_spot(app)
        self._add_perp(app)
        return app

    def _add_upbit(self, app: web.Application) -> None:
        settings, world = self._settings, self.world
        auth = upbit_auth.Authenticator(settings.upbit_keys)
        limiter = upbit_limits.Limiter(enabled=settings.rate_limits)
        trading = Trading(world, settings.upbit_keys)
        UpbitSockets(
            public=PublicStream(world),
            private=PrivateStream(world, trading),
            auth=auth,
            connections=self._connections[Venue.UPBIT],
        ).add_routes(app)
        calls = self._calls(Venue.UPBIT)
        UpbitRest(world, auth=auth, limiter=limiter, trading=trading, calls=calls).add_routes(app)

    def _calls(self, venue: Venue) -> Calls:
        return Calls(self.world.faults, venue, self.world.clock, self.metrics)

    def _add_spot(self, app: web.Application) -> None:
        settings, calls = self._settings, self._calls(Venue.BINANCE)
        auth = binance_auth.Authenticator(settings.binance_keys, calls.server)
        limiter = binance_limits.Limiter(binance_limits.SPOT, enabled=settings.rate_limits)
        face = Face(Venue.BINANCE, self.world, limiter, calls.server)
        connections = self._connections[Venue.BINANCE]
        routes = spot_routes(MarketData(face), SpotTrading(face))
        BinanceRest(face, auth, routes, calls).add_routes(app)
        MarketSockets(MarketStream(face), connections, perp=False).add_routes(app)
        api = WsApi(face, auth, routes, SpotUserStream(face), calls)
        ApiSocket(api, connections, "/ws-api/v3").add_routes(app)

    def _add_perp(self, app: web.Application) -> None:
        settings, calls = self._settings, self._calls(Venue.BINANCE_PERP)
        auth = binance_auth.Authenticator(settings.binance_keys, calls.server)
        limiter = binance_limits.Limiter(binance_limits.PERP, enabled=settings.rate_limits)
        face = Face(Venue.BINANCE_PERP, self.world, limiter, calls.server)
        connections = self._connections[Venue.BINANCE_PERP]
        trading, listen = PerpTrading(face), ListenKeys(face)
        self.world.timers.append(trading.run_deadlines)
        routes = perp_routes(MarketData(face), trading, PerpAccount(face), listen)
        BinanceRest(face, auth, routes, calls).add_routes(app)
        MarketSockets(MarketStream(face), connections, perp=True).add_routes(app)
        UserSockets(PerpUserStream(face), listen, connections).add_routes(app)
        api = WsApi(face, auth, routes, None, calls)
        ApiSocket(api, connections, "/ws-api/v1").add_routes(app)

    async def tick(self) -> None:
        """Step the market every STEP_S until canceled; a late step is not made up for."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self.world.step()
            due = max(due + STEP_S, loop.time())
            await asyncio.sleep(due - loop.time())

    def cut_connections(self) -> None:
        """Close every WebSocket at once, without waiting for the clients."""
        for connections in self._connections.values():
            connections.abort_all()


@asynccontextmanager
async def running(
    settings: Settings, clock: Clock | None = None
) -> AsyncIterator[tuple[Simulator, int]]:
    """Run a simulator on the configured address; yield it and the port it listens on."""
    used = clock or SystemClock()
    choice = await choose(settings, used)
    simulator = Simulator(settings, choice, used)
    simulator.world.step()
    runner = web.AppRunner(simulator.app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    ticking = asyncio.create_task(simulator.tick())
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        port = runner.addresses[0][1]
        label = choice.source.label
        log.info(
            "listening",
            extra={
                "host": settings.host,
                "port": port,
                "source": label.source,
                "regime": label.regime,
                "requested": choice.requested,
                "fallback_reason": choice.fallback_reason,
            },
        )
        yield simulator, port
    finally:
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
        simulator.cut_connections()
        await runner.cleanup()
        await choice.source.stop()
