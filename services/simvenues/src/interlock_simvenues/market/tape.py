"""The public tape of one market: recent trades, one-minute bars, and the day so far."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from interlock_simvenues.units import NS_PER_MS

TRADES_KEPT = 100
BARS_KEPT = 240
MINUTE_MS = 60_000


class Print(NamedTuple):
    """One public trade; price and size in units of 1e-8."""

    trade_id: int
    time_ms: int
    price: int
    size: int
    buyer_is_maker: bool


@dataclass(slots=True)
class Bar:
    """Prices of one minute in quote currency, volume in the asset."""

    start_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int


class Tape:
    """Recent trades, bars and day statistics; fed by the market source and by our own fills."""

    __slots__ = (
        "bars",
        "fresh",
        "high",
        "last",
        "low",
        "next_id",
        "opened",
        "prints",
        "volume",
    )  # fmt: skip

    def __init__(self) -> None:
        self.prints: deque[Print] = deque(maxlen=TRADES_KEPT)
        self.bars: deque[Bar] = deque(maxlen=BARS_KEPT)
        self.opened = 0.0
        self.high = 0.0
        self.low = 0.0
        self.last = 0.0
        self.volume = 0.0
        self.next_id = 1
        self.fresh: list[Print] = []

    def open_day(self, *, opened: float, high: float, low: float, volume: float, now: int) -> None:
        """Set the day's statistics as of the start and the first trade id."""
        self.opened, self.high, self.low, self.volume = opened, high, low, volume
        self.last = opened
        self.next_id = now

    def add(self, *, price: int, size: int, buyer_is_maker: bool, now_ns: int) -> None:
        """Record one public trade; `fresh` holds it until the world has published it."""
        time_ms = now_ns // NS_PER_MS
        item = Print(self.next_id, time_ms, price, size, buyer_is_maker)
        self.next_id += 1
        self.prints.append(item)
        self.fresh.append(item)
        self._count(price / 1e8, size / 1e8, time_ms)

    def _count(self, price: float, volume: float, time_ms: int) -> None:
        self.last = price
        self.high = max(self.high, price)
        self.low = min(self.low, price) if self.low else price
        self.volume += volume
        start = time_ms - time_ms % MINUTE_MS
        bar = self.bars[-1] if self.bars else None
        if bar is None or bar.start_ms != start:
            self.bars.append(Bar(start, price, price, price, price, volume, 1))
            return
        bar.high = max(bar.high, price)
        bar.low = min(bar.low, price)
        bar.close = price
        bar.volume += volume
        bar.trades += 1
