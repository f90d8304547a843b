"""All books of a session: the routes, KRW per USDT, and how old each venue's data is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median

from interlock_core.clock import NS_PER_S, Clock
from interlock_engine.account.leg import LEG_UPBIT, LEGS
from interlock_engine.account.pnl import Fx, Touch
from interlock_engine.account.position import Position
from interlock_engine.book.book import Book
from interlock_engine.book.route import RouteState

# Exits may use a price this old: staying is worse, and the gatekeeper checks against its own.
MAX_TOUCH_AGE_NS = 10 * NS_PER_S
FOREVER_NS = 1 << 62


@dataclass(slots=True)
class Venue:
    """When a venue's socket last said anything, boot time, and how much."""

    name: str
    last_ns: int = 0
    frames: int = 0

    def age_ns(self, now_ns: int) -> int:
        """Return the age of the newest frame; very large before the first."""
        return now_ns - self.last_ns if self.last_ns else FOREVER_NS


@dataclass(slots=True)
class Market:
    """What is known of the market; the loop writes it, everything else reads."""

    upbit: Venue
    binance: Venue
    clock: Clock
    fx_book: Book = field(default_factory=Book)
    routes: dict[str, RouteState] = field(default_factory=dict)
    common_bps: float = 0.0

    def update_common(self) -> None:
        """Take the median of all baselines as what the routes have in common."""
        known = [s.baseline.value for s in self.routes.values() if s.baseline.since_ns]
        if known:
            self.common_bps = median(known)

    @property
    def venues(self) -> tuple[Venue, Venue]:
        """Return both venues."""
        return self.upbit, self.binance

    def fx_age_ns(self, now_ns: int) -> int:
        """Return the age of KRW per USDT; very large before the first."""
        return now_ns - self.fx_book.at_ns if self.fx_book.at_ns else FOREVER_NS

    def fx(self) -> Fx | None:
        """Return KRW per USDT as it was last seen, or None before that."""
        book = self.fx_book
        return Fx(_exact(book.bid), _exact(book.ask)) if book.bid > 0.0 else None

    def touch(self, position: Position, leg: str) -> Touch | None:
        """Return a leg's best prices, or None where they are too old to trade on."""
        return self._touch(self.routes[position.route.asset], leg, MAX_TOUCH_AGE_NS)

    def marks(self, state: RouteState) -> dict[str, Touch] | None:
        """Return the last known best prices of both legs, or None before the first."""
        found = {leg: self._touch(state, leg, FOREVER_NS) for leg in LEGS}
        marks = {leg: touch for leg, touch in found.items() if touch is not None}
        return marks if len(marks) == len(LEGS) else None

    def _touch(self, state: RouteState, leg: str, max_age_ns: int) -> Touch | None:
        book = state.upbit if leg == LEG_UPBIT else state.binance
        if book.bid <= 0.0 or self.clock.boot_ns() - book.at_ns > max_age_ns:
            return None
        return Touch(_exact(book.bid), _exact(book.ask))

    def size_books(self, notional_usd: float) -> None:
        """Set the notional that the books' executable prices are for."""
        krw = notional_usd * self.fx_book.ask
        for state in self.routes.values():
            state.binance.notional = notional_usd
            state.upbit.notional = krw

    def open_positions(self) -> Sequence[RouteState]:
        """Return the routes that hold a position."""
        return [state for state in self.routes.values() if state.position is not None]


def _exact(price: float) -> Decimal:
    # The shortest text of a float that came from decimal text is that text's value.
    return Decimal(repr(price))
