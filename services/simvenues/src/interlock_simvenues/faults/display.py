"""What the market shows under fault rules: books that stand still or cross, markets that halt."""

from __future__ import annotations

from dataclasses import dataclass

from interlock_core.instrument import Venue
from interlock_simvenues.faults.faults import Faults
from interlock_simvenues.faults.kinds import BOOK_KINDS, STATUS_KINDS, FaultKind, Operation
from interlock_simvenues.faults.rule import Rule
from interlock_simvenues.market.instruments import Instrument, Status
from interlock_simvenues.market.ticks import krw_tick_units
from interlock_simvenues.matching.book import Book
from interlock_simvenues.units import NS_PER_MS

Key = tuple[Venue, str]
_KINDS = BOOK_KINDS | STATUS_KINDS
_STATUS = {FaultKind.DELISTED: Status.DELISTED, FaultKind.HALTED: Status.HALTED}


@dataclass(frozen=True, slots=True)
class _Veil:
    rule: Rule
    until_ns: int | None


class Display:
    """Makes every shown book and status follow the rules, once a step; orders meet the truth."""

    def __init__(self, faults: Faults, instruments: list[Instrument]) -> None:
        self._faults = faults
        self._all = instruments
        self._veils: dict[Key, _Veil] = {}
        self._marked = False

    def step(self, moved: list[Instrument], now_ns: int) -> list[Instrument]:
        """Return the instruments whose shown book moved, given those whose real one did."""
        if not self._marked and self._faults.kinds.isdisjoint(_KINDS):
            return moved
        really = {(item.venue, item.symbol) for item in moved}
        shown = [item for item in self._all if self._follow(item, really, now_ns)]
        self._marked = bool(self._veils) or any(
            item.status is not Status.TRADING for item in self._all
        )
        return shown

    def _follow(self, item: Instrument, really: set[Key], now_ns: int) -> bool:
        """Bring one instrument up to the rules; say whether its shown book moved."""
        item.status = self._status(item, now_ns)
        key = (item.venue, item.symbol)
        veil = self._veils.get(key)
        if veil is not None and not self._lasts(veil, now_ns):
            del self._veils[key]
            _uncover(item, now_ns)
            return True
        if veil is None:
            rule = self._faults.decide(
                item.venue, Operation.PUBLIC, item.symbol, now_ns, kinds=BOOK_KINDS
            )
            if rule is None:
                return key in really
            until_ns = None if rule.ms is None else now_ns + rule.ms * NS_PER_MS
            veil = self._veils[key] = _Veil(rule, until_ns)
            _cover(item)
        return veil.rule.kind is FaultKind.CROSSED_BOOK and _cross(item, now_ns)

    def _status(self, item: Instrument, now_ns: int) -> Status:
        for kind, status in _STATUS.items():
            if self._faults.standing(kind, item.venue, item.symbol, now_ns) is not None:
                return status
        return Status.TRADING

    def _lasts(self, veil: _Veil, now_ns: int) -> bool:
        over = veil.until_ns is not None and now_ns >= veil.until_ns
        return not over and self._faults.in_force(veil.rule.id, now_ns)


def _cover(item: Instrument) -> None:
    """Show a copy of the book from now on; the streams collect the copy's changes."""
    book = item.book
    copy = Book(book.update_id)
    copy.bids.source, copy.asks.source = dict(book.bids), dict(book.asks)
    copy.changed_ns = book.changed_ns
    copy.watchers, book.watchers = book.watchers, []
    item.shown = copy


def _uncover(item: Instrument, now_ns: int) -> None:
    """Show the real book again; the streams see the way back as one more change."""
    book, copy = item.book, item.shown
    copy.refresh(dict(book.bids), dict(book.asks), now_ns)
    book.update_id = max(book.update_id, copy.update_id)
    book.watchers = copy.watchers
    item.shown = book


def _cross(item: Instrument, now_ns: int) -> bool:
    """Show the real book with one bid a tick over its best ask; say whether that moved."""
    bids, asks = dict(item.book.bids), dict(item.book.asks)
    if bids and asks:
        ask = next(iter(asks))
        over = ask + (item.tick or krw_tick_units(ask))
        bids = {over: next(iter(bids.values())), **bids}
    return item.shown.refresh(bids, asks, now_ns)
