"""A displayed book: the source's levels less what our own fills took from them.

Prices and sizes are whole numbers of 1e-8. A fill takes from the displayed size of a level until
the source refreshes that level, so a second order cannot buy the same size again.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from interlock_core.instrument import Side

Levels = dict[int, int]
Level = tuple[int, int]


class Changes:
    """Collects what changed on a book between two publications of one stream."""

    __slots__ = ("asks", "bids", "last_id")

    def __init__(self, last_id: int) -> None:
        self.bids: set[int] = set()
        self.asks: set[int] = set()
        self.last_id = last_id

    def clear(self, last_id: int) -> None:
        """Forget the collected changes: they were published up to last_id."""
        self.bids.clear()
        self.asks.clear()
        self.last_id = last_id


class Ladder:
    """One side of a book, best price first."""

    __slots__ = ("rising", "source", "taken")

    def __init__(self, *, rising: bool) -> None:
        self.rising = rising
        self.source: Levels = {}
        self.taken: Levels = {}

    def replace(self, levels: Levels) -> list[int]:
        """Take the source's new levels (best first); return the prices that changed."""
        old = self.source
        changed = [price for price, size in levels.items() if old.get(price) != size]
        changed += [price for price in old if price not in levels]
        if self.taken:
            for price in changed:
                self.taken.pop(price, None)
        self.source = levels
        return changed

    def size_at(self, price: int) -> int:
        """Return the displayed size at a price."""
        size = self.source.get(price, 0)
        return size - self.taken.get(price, 0) if self.taken else size

    def __iter__(self) -> Iterator[Level]:
        taken = self.taken
        if not taken:
            return iter(self.source.items())
        return (
            (price, size - taken.get(price, 0))
            for price, size in self.source.items()
            if size > taken.get(price, 0)
        )

    def best(self) -> Level | None:
        """Return the best displayed level."""
        return next(iter(self), None)


class Book:
    """Both sides of one instrument, with the update id its REST and stream views share."""

    __slots__ = ("asks", "bids", "changed_ns", "update_id", "watchers")

    def __init__(self, first_id: int = 1) -> None:
        self.bids = Ladder(rising=False)
        self.asks = Ladder(rising=True)
        self.update_id = first_id
        self.changed_ns = 0
        self.watchers: list[Changes] = []

    def refresh(self, bids: Levels, asks: Levels, now_ns: int) -> bool:
        """Take new levels from the source, each side best first; say whether anything changed."""
        changed_bids = self.bids.replace(bids)
        changed_asks = self.asks.replace(asks)
        count = len(changed_bids) + len(changed_asks)
        if count:
            self._changed(changed_bids, changed_asks, count, now_ns)
        return count > 0

    def take(self, side: Side, price: int, size: int, now_ns: int) -> None:
        """Remove size from the displayed level that an order of this side took from."""
        ladder = self.against(side)
        ladder.taken[price] = ladder.taken.get(price, 0) + size
        changed = [price]
        if side is Side.BUY:
            self._changed([], changed, 1, now_ns)
        else:
            self._changed(changed, [], 1, now_ns)

    def against(self, side: Side) -> Ladder:
        """Return the ladder that an order of this side trades against."""
        return self.asks if side is Side.BUY else self.bids

    def watch(self) -> Changes:
        """Start collecting changes for one stream."""
        changes = Changes(self.update_id)
        self.watchers.append(changes)
        return changes

    def _changed(self, bids: list[int], asks: list[int], count: int, now_ns: int) -> None:
        self.update_id += count
        self.changed_ns = now_ns
        for watcher in self.watchers:
            watcher.bids.update(bids)
            watcher.asks.update(asks)


def take_plan(
    book: Book, side: Side, *, limit: int | None, quantity: int | None, budget: int | None, lot: int
) -> list[Level]:
    """Return the (price, size) fills that an order would get now, best price first.

    Exactly one of quantity (units of 1e-8) and budget (price units x quantity units) is given.
    """
    fills: list[Level] = []
    left_quantity, left_budget = quantity, budget
    for price, displayed in book.against(side):
        if limit is not None and (price > limit if side is Side.BUY else price < limit):
            break
        size = displayed
        if left_quantity is not None:
            size = min(size, left_quantity)
        if left_budget is not None:
            size = min(size, left_budget // price)
        size -= size % lot
        if size <= 0:
            break
        fills.append((price, size))
        if left_quantity is not None:
            left_quantity -= size
            if left_quantity <= 0:
                break
        if left_budget is not None:
            left_budget -= size * price
    return fills


def shortened(plan: list[Level], share: Decimal, lot: int) -> list[Level]:
    """Return the first fills of a plan, up to a share (0..1) of its size in whole lots."""
    left = int(sum(size for _, size in plan) * share)
    left -= left % lot
    fills: list[Level] = []
    for price, size in plan:
        taken = min(size, left)
        if taken <= 0:
            break
        fills.append((price, taken))
        left -= taken
    return fills
