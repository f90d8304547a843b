"""From frames to books: one decode, one look-up, one book; then the loop is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import msgspec

from interlock_engine.book.book import Book
from interlock_engine.feed.socket import FeedError
from interlock_venues.binance_perp.messages import decode_depth as decode_perp
from interlock_venues.binance_spot.messages import decode_depth as decode_spot
from interlock_venues.upbit.messages import decode_frame
from interlock_venues.upbit.symbols import market_of_code

log = logging.getLogger(__name__)

Touched = Callable[[int], None]
Slot = tuple[Book, Touched]


class UpbitFrames:
    """Puts Upbit's order-book frames into books by market."""

    def __init__(self, slots: Mapping[str, Slot]) -> None:
        self._slots = dict(slots)
        self.garbage = 0

    def __call__(self, raw: bytes, now_ns: int) -> None:
        """Take one frame; raises FeedError where the venue refused the subscription."""
        try:
            frame = decode_frame(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.garbage += 1
            return
        if frame.error is not None:
            raise FeedError(f"{frame.error.name} {frame.error.message}")
        slot = self._slots.get(frame.code) or self._learn(frame.code)
        if slot is not None:
            book, touched = slot
            book.set_units(frame.units, now_ns)
            touched(now_ns)

    def _learn(self, code: str) -> Slot | None:
        """Take a code with a depth suffix as its market, from now on."""
        slot = self._slots.get(market_of_code(code))
        if slot is not None:
            self._slots[code] = slot
        return slot


class BinanceFrames:
    """Puts partial-depth frames of spot or perpetuals into books by stream name."""

    def __init__(self, slots: Mapping[str, Slot], *, perp: bool) -> None:
        self._slots = dict(slots)
        self._decode = decode_perp if perp else decode_spot
        self._last_update: dict[str, int] = {}
        self.garbage = 0

    def __call__(self, raw: bytes, now_ns: int) -> None:
        """Take one frame; an older update than the last one is left out."""
        try:
            frame = self._decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.garbage += 1
            return
        slot, data = self._slots.get(frame.stream), frame.data
        if slot is None or data is None:
            return
        if data.update_id < self._last_update.get(frame.stream, 0):
            return
        self._last_update[frame.stream] = data.update_id
        book, touched = slot
        book.set_levels(data.bids, data.asks, now_ns)
        touched(now_ns)

    def forget(self) -> None:
        """Accept any update id again, as after a new connection."""
        self._last_update.clear()
