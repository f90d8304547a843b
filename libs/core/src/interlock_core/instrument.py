"""Venues, assets, instruments, their tick and lot rules, and routes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from interlock_core.money import ZERO, ceil_to, floor_to, is_multiple


class Venue(StrEnum):
    """A place where orders go; spot and perpetual Binance have their own ledgers and limits."""

    UPBIT = "UPBIT"
    BINANCE = "BINANCE"
    BINANCE_PERP = "BINANCE_PERP"


class Side(StrEnum):
    """The side of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        """Return the other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


TAKER_FEE_RATE = {
    Venue.UPBIT: Decimal("0.0005"),
    Venue.BINANCE: Decimal("0.001"),
    Venue.BINANCE_PERP: Decimal("0.0005"),
}

# Upbit's KRW price steps since 2025-07-31 (docs, krw-market-info): (lowest price, tick), falling.
UPBIT_KRW_TICKS = tuple(
    (Decimal(low), Decimal(tick))
    for low, tick in (
        ("1000000", "1000"),
        ("500000", "500"),
        ("100000", "100"),
        ("50000", "50"),
        ("10000", "10"),
        ("5000", "5"),
        ("100", "1"),
        ("10", "0.1"),
        ("1", "0.01"),
        ("0.1", "0.001"),
        ("0.01", "0.0001"),
        ("0.001", "0.00001"),
        ("0.0001", "0.000001"),
        ("0.00001", "0.0000001"),
        ("0", "0.00000001"),
    )
)


def upbit_krw_tick(price: Decimal) -> Decimal:
    """Return the price step of an Upbit KRW market at a price in KRW."""
    if price < 0:
        raise ValueError(f"expected a price >= 0, was {price}")
    return next(tick for low, tick in UPBIT_KRW_TICKS if price >= low)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One market of one venue, with the rules its orders must keep.

    `tick` is None where the price step depends on the price (Upbit KRW markets).
    Notionals are in the quote currency, quantities in the asset.
    """

    venue: Venue
    symbol: str
    asset: str
    quote: str
    tick: Decimal | None
    lot: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    max_notional: Decimal | None

    @property
    def key(self) -> str:
        """Return the name used on the wire between services, e.g. `UPBIT:KRW-BTC`."""
        return f"{self.venue}:{self.symbol}"

    def tick_at(self, price: Decimal) -> Decimal:
        """Return the price step that holds at price."""
        return self.tick if self.tick is not None else upbit_krw_tick(price)

    def round_price(self, price: Decimal, side: Side) -> Decimal:
        """Return price on the tick grid, moved toward the fill: up for a buy, down for a sell."""
        step = self.tick_at(price)
        return ceil_to(price, step) if side is Side.BUY else floor_to(price, step)

    def round_quantity(self, quantity: Decimal) -> Decimal:
        """Return the largest tradable quantity that is <= quantity."""
        return floor_to(quantity, self.lot)

    def problem(self, quantity: Decimal, price: Decimal) -> str | None:
        """Return why the venue's filters refuse this order, or None where they accept it."""
        notional = quantity * price
        checks = (
            (price > ZERO, "price is not positive"),
            (is_multiple(price, self.tick_at(price)), f"price is off tick {self.tick_at(price)}"),
            (is_multiple(quantity, self.lot), f"quantity is off lot {self.lot}"),
            (quantity >= self.min_quantity and quantity > ZERO, "quantity is below the minimum"),
            (quantity <= self.max_quantity, "quantity is above the maximum"),
            (notional >= self.min_notional, f"notional is below {self.min_notional} {self.quote}"),
            (
                self.max_notional is None or notional <= self.max_notional,
                f"notional is above {self.max_notional} {self.quote}",
            ),
        )
        return next((message for holds, message in checks if not holds), None)


@dataclass(frozen=True, slots=True)
class Route:
    """One asset on Upbit and on one Binance market."""

    asset: str
    upbit: Instrument
    binance: Instrument


@lru_cache(maxsize=4096)
def parse_key(key: str) -> tuple[Venue, str]:
    """Return venue and symbol of an instrument key, or raise ValueError."""
    venue, separator, symbol = key.partition(":")
    if not separator or not symbol or venue not in Venue.__members__:
        raise ValueError(f"expected VENUE:SYMBOL, was {key[:40]!r}")
    return Venue(venue), symbol
