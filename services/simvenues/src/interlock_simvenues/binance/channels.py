"""What each market stream sends at a step of the market; one object a live stream."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from interlock_simvenues.binance import encode, events
from interlock_simvenues.binance.face import Face
from interlock_simvenues.binance.public import INTERVALS
from interlock_simvenues.market.instruments import Instrument
from interlock_simvenues.matching.book import Changes
from interlock_simvenues.units import NS_PER_MS

_NAME = re.compile(
    r"(?P<symbol>[a-z0-9]+)@(?P<kind>depth|bookTicker|ticker|miniTicker|aggTrade|trade|kline"
    r"|markPrice|avgPrice|forceOrder)(?P<depth>5|10|20)?(_(?P<interval>\w+))?(@(?P<rate>\w+))?"
)
_ALL = re.compile(
    r"!(?P<kind>bookTicker|ticker|miniTicker|markPrice|forceOrder)(@arr)?(@(?P<rate>\w+))?"
)
STEP_MS = 100
_RATES_MS = {"0ms": 100, "100ms": 100, "250ms": 200, "500ms": 500, "1000ms": 1_000, "1s": 1_000}
_DEFAULT_RATE_MS = {
    "ticker": 1_000,
    "miniTicker": 1_000,
    "kline": 1_000,
    "avgPrice": 1_000,
    "markPrice": 3_000,
}
# Carried by the public category of a USD-M connection; everything else is market data.
_BOOK_KINDS = ("depth", "bookTicker", "trade")


@dataclass(slots=True)
class _Now:
    """The running step, shared by all channels."""

    number: int = 0
    ns: int = 0
    moved: frozenset[str] = frozenset()
    printed: frozenset[str] = frozenset()

    @property
    def ms(self) -> int:
        return self.ns // NS_PER_MS

    def due(self, rate_ms: int) -> bool:
        return self.number % max(rate_ms // STEP_MS, 1) == 0


@dataclass(slots=True)
class Channel:
    """A live stream."""

    name: str
    is_book: bool
    frames: Callable[[], Iterable[str]]
    sequenced: bool = False
    watched: tuple[Instrument, Changes] | None = None


class Channels:
    """Makes the streams of one market."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._now = _Now()

    def begin(self, moved: list[Instrument], printed: list[Instrument], now_ns: int) -> None:
        """Note what the step that is about to be published changed."""
        venue = self._face.venue
        self._now.number += 1
        self._now.ns = now_ns
        self._now.moved = frozenset(i.symbol for i in moved if i.venue is venue)
        self._now.printed = frozenset(i.symbol for i in printed if i.venue is venue)

    def open(self, name: str) -> Channel | None:
        """Return a new live stream, or None where the name means nothing."""
        everything = _ALL.fullmatch(name)
        if everything is not None:
            return self._open_all(name, everything["kind"], everything["rate"])
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        item = self._face.instruments.get(match["symbol"].upper())
        if item is None:
            return None
        kind = match["kind"]
        default_ms = _DEFAULT_RATE_MS.get(kind, 250 if self._face.perp else 1_000)
        rate_ms = _RATES_MS.get(match["rate"] or "", default_ms)
        if kind == "depth" and match["depth"] is None:
            return self._open_diff(name, item, rate_ms)
        if kind == "depth":
            return self._open_partial(name, item, int(match["depth"]), rate_ms)
        if kind == "kline" and match["interval"] not in INTERVALS:
            return None
        return Channel(name, kind in _BOOK_KINDS, self._simple(kind, item, rate_ms, match))

    def close(self, channel: Channel) -> None:
        """Stop collecting changes for a stream that nobody watches."""
        if channel.watched is not None:
            item, changes = channel.watched
            item.shown.watchers.remove(changes)

    def _simple(
        self, kind: str, item: Instrument, rate_ms: int, match: re.Match[str]
    ) -> Callable[[], Iterable[str]]:
        if kind == "bookTicker":
            return self._best_quotes(item)
        if kind in ("trade", "aggTrade"):
            return lambda: self._trades(item, aggregated=kind == "aggTrade")
        if kind == "forceOrder":
            return tuple
        makers: dict[str, Callable[[], dict[str, Any]]] = {
            "ticker": lambda: events.ticker(item, self._now.ms),
            "miniTicker": lambda: events.mini_ticker(item, self._now.ms),
            "markPrice": lambda: events.mark_price(item, self._now.ms),
            "avgPrice": lambda: events.average_price(item, self._now.ms),
            "kline": lambda: events.kline(item, match["interval"] or "", self._now.ms),
        }
        maker = makers[kind]
        return lambda: [_json(maker())] if self._now.due(rate_ms) else ()

    def _open_all(self, name: str, kind: str, rate: str | None) -> Channel:
        rate_ms = _RATES_MS.get(rate or "", _DEFAULT_RATE_MS.get(kind, STEP_MS))
        items = list(self._face.instruments.values())
        if kind == "bookTicker":
            parts = [self._best_quotes(item) for item in items]
            return Channel(name, True, lambda: [f for part in parts for f in part()])  # noqa: FBT003
        makers: dict[str, Callable[[Instrument, int], dict[str, Any]]] = {
            "ticker": events.ticker,
            "miniTicker": events.mini_ticker,
            "markPrice": events.mark_price,
        }
        maker = makers.get(kind)
        if maker is None:
            return Channel(name, is_book=False, frames=tuple)

        def frames() -> Iterable[str]:
            if not self._now.due(rate_ms):
                return ()
            return [_json([maker(item, self._now.ms) for item in items])]

        return Channel(name, is_book=False, frames=frames)

    def _open_diff(self, name: str, item: Instrument, rate_ms: int) -> Channel:
        changes = item.shown.watch()

        def frames() -> Iterator[str]:
            if (changes.bids or changes.asks) and self._now.due(rate_ms):
                yield self._diff(item, changes)

        return Channel(name, is_book=True, frames=frames, sequenced=True, watched=(item, changes))

    def _diff(self, item: Instrument, changes: Changes) -> str:
        book = item.shown
        places, lot_places = encode.digits(item)
        bids = [(price, book.bids.size_at(price)) for price in sorted(changes.bids, reverse=True)]
        asks = [(price, book.asks.size_at(price)) for price in sorted(changes.asks)]
        first, previous = changes.last_id + 1, changes.last_id
        changes.clear(book.update_id)
        times = f'"E":{self._now.ms},'
        extra = ""
        if self._face.perp:
            times += f'"T":{book.changed_ns // NS_PER_MS},'
            extra = f'"pu":{previous},'
        return (
            f'{{"e":"depthUpdate",{times}"s":"{item.symbol}","U":{first},"u":{book.update_id},'
            f'{extra}"b":[{encode.levels_json(bids, places, lot_places)}],'
            f'"a":[{encode.levels_json(asks, places, lot_places)}]}}'
        )

    def _open_partial(self, name: str, item: Instrument, depth: int, rate_ms: int) -> Channel:
        changes = item.shown.watch()
        # The first frame is due at once, whether or not the book moves.
        changes.last_id = 0

        def frames() -> Iterator[str]:
            changed = changes.last_id != item.shown.update_id
            if changed and self._now.due(rate_ms):
                previous = changes.last_id
                changes.clear(item.shown.update_id)
                yield self._partial(item, depth, previous)

        return Channel(name, is_book=True, frames=frames, watched=(item, changes))

    def _partial(self, item: Instrument, depth: int, previous: int) -> str:
        book = item.shown
        places, lot_places = encode.digits(item)
        bids = encode.levels_json(islice(book.bids, depth), places, lot_places)
        asks = encode.levels_json(islice(book.asks, depth), places, lot_places)
        if not self._face.perp:
            return f'{{"lastUpdateId":{book.update_id},"bids":[{bids}],"asks":[{asks}]}}'
        return (
            f'{{"e":"depthUpdate","E":{self._now.ms},"T":{book.changed_ns // NS_PER_MS},'
            f'"s":"{item.symbol}","U":{previous + 1},"u":{book.update_id},"pu":{previous},'
            f'"b":[{bids}],"a":[{asks}]}}'
        )

    def _best_quotes(self, item: Instrument) -> Callable[[], Iterable[str]]:
        last: list[Any] = [None]

        def frames() -> Iterator[str]:
            best = (item.shown.bids.best(), item.shown.asks.best())
            if best != last[0] and best[0] is not None and best[1] is not None:
                last[0] = best
                yield events.book_ticker(item, best[0], best[1], self._now.ms)

        return frames

    def _trades(self, item: Instrument, *, aggregated: bool) -> Iterator[str]:
        if item.symbol in self._now.printed:
            maker = events.aggregate_trade if aggregated else events.trade
            for trade in item.tape.fresh:
                yield _json(maker(item, trade, self._now.ms))


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
