"""Draws a whole displayed book around a best bid and ask; sizes persist while a level stays."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from interlock_core.instrument import Venue
from interlock_simvenues.market import calibration
from interlock_simvenues.market.depth import Shape, ask_prices, bid_prices, shape
from interlock_simvenues.market.instruments import Instrument
from interlock_simvenues.matching.book import Levels
from interlock_simvenues.units import SCALE

LEVELS = {Venue.UPBIT: 30, Venue.BINANCE: 40, Venue.BINANCE_PERP: 40}
_KIND = {Venue.UPBIT: "upbit", Venue.BINANCE: "spot", Venue.BINANCE_PERP: "perp"}
# Assumed for assets that were not recorded: the best level grows with the square root of turnover.
_TOP_USD_PER_ROOT_TURNOVER = {
    Venue.UPBIT: 0.35,
    Venue.BINANCE: 0.25,
    Venue.BINANCE_PERP: 0.5,
}
_SIZE_POOL = 8192
_SIZE_SIGMA = 0.8
_DEEPER_GROWTH = 0.06


class Sizes:
    """Random multipliers of a level's typical size, drawn once and walked through."""

    def __init__(self, random: np.random.Generator) -> None:
        pool = random.lognormal(0.0, _SIZE_SIGMA, _SIZE_POOL)
        self._pool: list[float] = np.maximum(pool, 0.25).tolist()
        self._at = 0

    def next(self) -> float:
        """Return the next multiplier."""
        self._at = (self._at + 1) % _SIZE_POOL
        return self._pool[self._at]


class Painter:
    """Keeps the levels of one instrument."""

    __slots__ = ("_form", "_instrument", "_krw", "_sizes", "_top_units", "_turn")

    def __init__(self, instrument: Instrument, sizes: Sizes, *, usd_price: float) -> None:
        self._instrument = instrument
        self._sizes = sizes
        self._krw = instrument.tick == 0
        self._form: Shape | None = None
        self._turn = 0
        self._top_units = _top_usd(instrument) / usd_price * SCALE

    def paint(
        self, *, bid: int, ask: int, tick: int, now_ns: int, top: tuple[int, int] | None = None
    ) -> bool:
        """Redraw both sides around the best prices; say whether the book changed.

        `top` fixes the sizes of the best bid and ask; without it they are drawn like the others.
        """
        form = self._form
        if form is None or not form.fits(bid, tick):
            form = self._form = shape(bid, tick, LEVELS[self._instrument.venue])
        book = self._instrument.book
        bids = self._keep(bid_prices(bid, form, krw=self._krw), book.bids.source)
        asks = self._keep(ask_prices(ask, form, krw=self._krw), book.asks.source)
        self._turn += 1
        for side in (bids, asks):
            self._freshen(side)
        if top is not None:
            bids[bid], asks[ask] = top
        return book.refresh(bids, asks, now_ns)

    def _keep(self, prices: list[int], old: Levels) -> Levels:
        levels: Levels = {}
        for depth, price in enumerate(prices):
            size = old.get(price)
            levels[price] = self._size(depth) if size is None else size
        return levels

    def _freshen(self, levels: Levels) -> None:
        """Give the best level, and one other in turn, a new size: others trade there too."""
        for depth, price in _chosen(levels, self._turn):
            levels[price] = self._size(depth)

    def _size(self, depth: int) -> int:
        lot = self._instrument.lot
        units = self._top_units * (1 + _DEEPER_GROWTH * depth) * self._sizes.next()
        return max(int(units) // lot, 1) * lot


def _chosen(levels: Levels, turn: int) -> Iterator[tuple[int, int]]:
    wanted = turn % max(len(levels), 1)
    for depth, price in enumerate(levels):
        if depth == 0 and turn % 2 == 0:
            yield depth, price
        if depth == wanted:
            yield depth, price
        if depth >= wanted:
            return


def _top_usd(instrument: Instrument) -> float:
    name = instrument.asset.name if instrument.asset else "USDT"
    measured = calibration.TOP_USD[_KIND[instrument.venue]].get(name)
    if measured is not None:
        return measured
    turnover = instrument.asset.turnover_usd if instrument.asset else 1.0e9
    return max(2_000.0, _TOP_USD_PER_ROOT_TURNOVER[instrument.venue] * math.sqrt(turnover))
