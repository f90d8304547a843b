"""Order rules of Upbit's KRW markets (docs, new-order and krw-market-info).

The venue publishes no filter list: lot, minimum and maximum are the documented constants, and
the price step depends on the price (`interlock_core.instrument.UPBIT_KRW_TICKS`).
"""

from __future__ import annotations

from decimal import Decimal

from interlock_core.instrument import Instrument, Venue
from interlock_core.money import ZERO
from interlock_venues.upbit.symbols import QUOTE

LOT = Decimal("0.00000001")
MIN_TOTAL_KRW = Decimal(5_000)
MAX_TOTAL_KRW = Decimal(1_000_000_000)


def instrument(market: str, asset: str) -> Instrument:
    """Return the rules of one KRW market."""
    return Instrument(
        venue=Venue.UPBIT,
        symbol=market,
        asset=asset,
        quote=QUOTE,
        tick=None,
        lot=LOT,
        min_quantity=ZERO,
        max_quantity=MAX_TOTAL_KRW,
        min_notional=MIN_TOTAL_KRW,
        max_notional=MAX_TOTAL_KRW,
    )
