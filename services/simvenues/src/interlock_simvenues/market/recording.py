"""Plays a recording; the venue it lacks is derived and the label says so.

Three kinds, by their columns: Binance best quotes (Upbit is derived), Upbit trades (Binance is
derived), and bars of both venues. Books behind the best price are always drawn. At its end a
recording starts again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interlock_core.instrument import Venue
from interlock_simvenues.market import calibration
from interlock_simvenues.market.instruments import USDT_MARKET, Instrument, Instruments
from interlock_simvenues.market.painter import Painter, Sizes
from interlock_simvenues.market.source import STEP_NS, Label
from interlock_simvenues.market.ticks import krw_tick_units
from interlock_simvenues.units import NS_PER_MS, NS_PER_S, SCALE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MINUTE_NS = 60 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Quote:
    """Best prices in quote currency; sizes are None where the recording has none."""

    bid: float
    ask: float
    sizes: tuple[float, float] | None = None

    @property
    def mid(self) -> float:
        """Return the middle."""
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class Track:
    """What was recorded of one market, by rising time; columns bid, ask[, bid_qty, ask_qty]."""

    times_ns: Ints
    columns: tuple[Floats, ...]

    def at(self, time_ns: int) -> Quote:
        """Return the last quote at or before a time (the first before the recording starts)."""
        index = max(int(np.searchsorted(self.times_ns, time_ns, side="right")) - 1, 0)
        values = [float(column[index]) for column in self.columns]
        sizes = (values[2], values[3]) if len(values) > 2 else None  # noqa: PLR2004
        return Quote(values[0], values[1], sizes)


@dataclass(frozen=True, slots=True)
class Tracks:
    """A whole recording: tracks by venue and asset; `derived` says what was not recorded."""

    detail: str
    by_market: dict[tuple[Venue, str], Track]
    fx: Track | None

    def span_ns(self) -> tuple[int, int]:
        """Return first and last time that every track covers."""
        tracks = list(self.by_market.values())
        first = max(int(track.times_ns[0]) for track in tracks)
        last = min(int(track.times_ns[-1]) for track in tracks)
        if first < last:
            return first, last
        return (
            min(int(track.times_ns[0]) for track in tracks),
            max(int(track.times_ns[-1]) for track in tracks),
        )


class Swing:
    """A premium that wanders around its median as recorded premiums do; seeded."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._keep = 0.5 ** (STEP_NS / NS_PER_S / calibration.DEVIATION_HALF_LIFE_S)
        self._kick = calibration.DEVIATION_SD_BPS / 1e4 * math.sqrt(1 - self._keep**2)
        self._value = 0.0

    def step(self) -> None:
        """Advance by one market step."""
        self._value = self._value * self._keep + self._kick * float(self._random.normal())

    @property
    def factor(self) -> float:
        """Return 1 + premium."""
        return 1 + calibration.PREMIUM_MEDIAN_BPS / 1e4 + self._value


@dataclass(slots=True)
class _Line:
    instrument: Instrument
    painter: Painter
    quote: Callable[[int], Quote]
    last: Quote | None = None


class Recording:
    """A market source that repeats what was recorded."""

    def __init__(
        self, instruments: Instruments, tracks: Tracks, *, seed: int, speed: float
    ) -> None:
        self.label = Label("recording", None, tracks.detail)
        self._tracks = tracks
        self._first_ns, self._last_ns = tracks.span_ns()
        self._speed = speed
        self._started_ns: int | None = None
        self._swing = Swing(seed)
        sizes = Sizes(np.random.default_rng(seed))
        self._lines = [self._line(item, sizes) for item in instruments.all()]

    def step(self, now_ns: int) -> list[Instrument]:
        """Play up to now and redraw the books whose best prices changed."""
        if self._started_ns is None:
            self._started_ns = now_ns
        length = max(self._last_ns - self._first_ns, 1)
        played = int((now_ns - self._started_ns) * self._speed) % length
        self._swing.step()
        return [
            line.instrument for line in self._lines if _play(line, self._first_ns + played, now_ns)
        ]

    def is_live(self, now_ns: int) -> bool:
        """Say that a recording is always played on."""
        _ = now_ns
        return True

    async def stop(self) -> None:
        """Hold nothing open."""

    def _line(self, item: Instrument, sizes: Sizes) -> _Line:
        usd = item.asset.usd if item.asset else 1.0
        return _Line(item, Painter(item, sizes, usd_price=usd), self._quote_of(item))

    def _quote_of(self, item: Instrument) -> Callable[[int], Quote]:
        tracks, venue = self._tracks.by_market, item.venue
        if item.symbol == USDT_MARKET:
            return self._fx_quote
        name = item.asset.name if item.asset else item.base
        recorded = tracks.get((venue, name))
        if recorded is not None:
            return recorded.at
        if venue is Venue.UPBIT:
            other = tracks.get((Venue.BINANCE, name)) or tracks[Venue.BINANCE_PERP, name]
            return lambda t: _middle(other.at(t).mid * self._fx(t) * self._swing.factor)
        binance = tracks.get((Venue.BINANCE, name)) or tracks.get((Venue.BINANCE_PERP, name))
        basis = calibration.BASIS_BPS.get(name, calibration.BASIS_DEFAULT_BPS) / 1e4
        shift = 1 + basis if venue is Venue.BINANCE_PERP else 1.0
        if binance is not None:
            shift = shift if venue is Venue.BINANCE_PERP else 1 - basis
            return lambda t: _middle(binance.at(t).mid * shift)
        upbit = tracks[Venue.UPBIT, name]
        return lambda t: _middle(upbit.at(t).mid / self._fx(t) / self._swing.factor * shift)

    def _fx(self, time_ns: int) -> float:
        fx = self._tracks.fx
        return calibration.FX_KRW_PER_USDT if fx is None else fx.at(time_ns).mid

    def _fx_quote(self, time_ns: int) -> Quote:
        return _middle(self._fx(time_ns))


def _middle(price: float) -> Quote:
    return Quote(price, price)


def _play(line: _Line, time_ns: int, now_ns: int) -> bool:
    quote = line.quote(time_ns)
    if quote == line.last:
        return False
    first = line.last is None
    line.last = quote
    item = line.instrument
    tick = item.tick or krw_tick_units(int(quote.bid * SCALE))
    bid = round(quote.bid * SCALE / tick) * tick
    ask = max(round(quote.ask * SCALE / tick) * tick, bid + tick)
    top = None
    if quote.sizes is not None:
        sizes = [max(int(size * SCALE) // item.lot, 1) * item.lot for size in quote.sizes]
        top = (sizes[0], sizes[1])
    if first:
        mid = quote.mid
        now_ms = now_ns // NS_PER_MS
        item.tape.open_day(opened=mid, high=mid, low=mid, volume=0.0, now=now_ms)
    changed = line.painter.paint(bid=bid, ask=ask, tick=tick, now_ns=now_ns, top=top)
    rising = item.tape.last < quote.mid
    price = ask if rising else bid
    item.tape.add(price=price, size=item.lot, buyer_is_maker=not rising, now_ns=now_ns)
    return changed
