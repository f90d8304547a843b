"""What the engine knows of one route: both books, the premium, its baseline, its position."""

from __future__ import annotations

from dataclasses import dataclass

from interlock_core.instrument import TAKER_FEE_RATE, Route
from interlock_engine.account.position import Position
from interlock_engine.book.book import Book
from interlock_engine.decide.exits import Held
from interlock_engine.decide.signal import Baseline
from interlock_engine.decide.spread import BPS, Fees, Premium, premium


@dataclass(slots=True)
class RouteState:
    """Mutable state of a route. `busy` while orders of it travel: then nothing is decided."""

    route: Route
    upbit: Book
    binance: Book
    baseline: Baseline
    fees: Fees
    premium: Premium | None = None
    position: Position | None = None
    held: Held | None = None
    busy: bool = False
    cooldown_until_ns: int = 0
    retry_close_ns: int = 0
    touched: bool = False

    def update_premium(self, fx: Book) -> Premium | None:
        """Return the executable premium now, or None where one of the three books is unusable."""
        upbit, binance = self.upbit, self.binance
        if not (upbit.usable and binance.usable and fx.usable):
            self.premium = None
            return None
        self.premium = premium(
            upbit.bid_vwap,
            upbit.ask_vwap,
            binance_bid=binance.bid_vwap,
            binance_ask=binance.ask_vwap,
            fx_bid=fx.bid,
            fx_ask=fx.ask,
        )
        return self.premium

    @property
    def crossed(self) -> bool:
        """Say whether a book of this route is crossed or locked."""
        return self.upbit.crossed or self.binance.crossed

    @property
    def oldest_book_ns(self) -> int:
        """Return when the older of both books arrived."""
        return min(self.upbit.at_ns, self.binance.at_ns)


def fees_of(route: Route) -> Fees:
    """Return the taker fees of a route's venues in bps."""
    return Fees(
        float(TAKER_FEE_RATE[route.upbit.venue]) * BPS,
        float(TAKER_FEE_RATE[route.binance.venue]) * BPS,
    )
