"""Both venues' feeds for a universe: which books there are, and who hears of each frame."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from functools import partial

import aiohttp

from interlock_core.clock import Clock
from interlock_core.endpoints import Endpoints
from interlock_core.instrument import Route
from interlock_engine.book.book import Book
from interlock_engine.book.market import Market
from interlock_engine.book.route import RouteState, fees_of
from interlock_engine.decide.signal import Baseline, SignalSettings
from interlock_engine.feed.books import BinanceFrames, UpbitFrames
from interlock_engine.feed.socket import Subscription, VenueSocket
from interlock_venues.binance_perp import symbols as perp_symbols
from interlock_venues.binance_spot import symbols as spot_symbols
from interlock_venues.upbit.messages import subscribe_orderbooks
from interlock_venues.upbit.symbols import FX_MARKET


def new_state(route: Route, settings: SignalSettings) -> RouteState:
    """Return the state of a route before its first frame."""
    baseline = Baseline(settings.half_life_s, settings.warm_up_s)
    return RouteState(route, Book(), Book(), baseline, fees_of(route))


def sockets(
    market: Market,
    http: aiohttp.ClientSession,
    where: Endpoints,
    *,
    perp: bool,
    touch: Callable[[RouteState, int], None],
    clock: Clock,
) -> Sequence[VenueSocket]:
    """Return one socket a venue that keeps every book of the market up to date."""
    states = market.routes.values()
    upbit = UpbitFrames(
        {s.route.upbit.symbol: (s.upbit, partial(touch, s)) for s in states}
        | {FX_MARKET: (market.fx_book, _unheard)}
    )
    names = perp_symbols if perp else spot_symbols
    binance = BinanceFrames(
        {
            names.depth_stream(s.route.binance.symbol): (s.binance, partial(touch, s))
            for s in states
        },
        perp=perp,
    )
    codes = [FX_MARKET, *(s.route.upbit.symbol for s in states)]
    hello = subscribe_orderbooks(codes, ticket=str(uuid.uuid4()))
    base = where.binance_perp_ws if perp else where.binance_ws
    streams = base + names.combined_path([s.route.binance.symbol for s in states])
    return (
        VenueSocket(
            market.upbit,
            http,
            Subscription(where.upbit_ws, hello),
            on_connect=_nothing,
            on_frame=upbit,
            clock=clock,
        ),
        VenueSocket(
            market.binance,
            http,
            Subscription(streams, None),
            on_connect=binance.forget,
            on_frame=binance,
            clock=clock,
        ),
    )


def _unheard(_arrived_ns: int) -> None:
    """Do nothing: the FX rate counts at each route's next own frame."""


def _nothing() -> None:
    """Do nothing: Upbit's books carry no update ids."""
