"""The top of one order book as numbers, refused where it cannot be traded on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

MAX_PRICE = 1e15


class UnitLike(Protocol):
    """A row that holds both sides of the book."""

    @property
    def ask(self) -> float:
        """Ask price."""
        ...

    @property
    def bid(self) -> float:
        """Bid price."""
        ...

    @property
    def ask_size(self) -> float:
        """Ask size in the asset."""
        ...

    @property
    def bid_size(self) -> float:
        """Bid size in the asset."""
        ...


Level = tuple[float, float]


class Book:
    """Touch and executable prices for a notional, in the quote currency.

    `bid_vwap` and `ask_vwap` are what a taker of `notional` gets on average; where the visible
    levels do not hold that much, the last level's price stands for the rest. `usable` is False
    before the first message and for a crossed, locked or one-sided book.
    """

    __slots__ = ("ask", "ask_vwap", "at_ns", "bid", "bid_vwap", "crossed", "notional", "usable")

    def __init__(self, notional: float = 0.0) -> None:
        self.notional = notional
        self.bid = self.ask = self.bid_vwap = self.ask_vwap = 0.0
        self.at_ns = 0
        self.usable = self.crossed = False

    def set_units(self, units: Sequence[UnitLike], at_ns: int) -> None:
        """Take a book whose rows hold both sides; at_ns is when it arrived, boot time."""
        if not units:
            self._refuse(at_ns, crossed=False)
            return
        top = units[0]
        if not self._set_touch(top.bid, top.ask, at_ns):
            return
        notional = self.notional
        if top.bid * top.bid_size < notional:
            self.bid_vwap = vwap([(u.bid, u.bid_size) for u in units], notional)
        if top.ask * top.ask_size < notional:
            self.ask_vwap = vwap([(u.ask, u.ask_size) for u in units], notional)

    def set_levels(self, bids: Sequence[Level], asks: Sequence[Level], at_ns: int) -> None:
        """Take a book of two lists of (price, size), best first."""
        if not bids or not asks:
            self._refuse(at_ns, crossed=False)
            return
        (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
        if not self._set_touch(bid, ask, at_ns):
            return
        notional = self.notional
        if bid * bid_size < notional:
            self.bid_vwap = vwap(bids, notional)
        if ask * ask_size < notional:
            self.ask_vwap = vwap(asks, notional)

    def _set_touch(self, bid: float, ask: float, at_ns: int) -> bool:
        # Written so that a NaN fails it.
        if not 0.0 < bid < ask < MAX_PRICE:
            self._refuse(at_ns, crossed=bid >= ask > 0.0)
            return False
        self.bid = self.bid_vwap = bid
        self.ask = self.ask_vwap = ask
        self.at_ns = at_ns
        self.usable = True
        self.crossed = False
        return True

    def _refuse(self, at_ns: int, *, crossed: bool) -> None:
        self.at_ns = at_ns
        self.usable = False
        self.crossed = crossed


def vwap(levels: Sequence[Level], notional: float) -> float:
    """Return the average price of taking `notional` in quote from levels, best first.

    What the levels do not hold is priced at the last level with a size.
    """
    left, quantity, last = notional, 0.0, levels[0][0]
    for price, size in levels:
        if price <= 0.0 or size <= 0.0:
            break
        last = price
        value = price * size
        if value >= left:
            break
        left -= value
        quantity += size
    return notional / (quantity + left / last) if notional > 0.0 else last
