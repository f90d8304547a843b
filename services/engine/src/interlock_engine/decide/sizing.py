"""How much: one quantity that both venues accept, in Decimal."""

from __future__ import annotations

from decimal import Decimal

from interlock_core.instrument import Instrument, Side
from interlock_core.money import floor_to, is_multiple

# The gatekeeper values an order at 1.01 x its limit with the fee, against its own ask; this leaves
# room for that and for the market to move while the order travels.
CAP_ROOM = Decimal("1.03")
# An entry must leave an exit that the venue still accepts after the price fell this much.
MIN_NOTIONAL_ROOM = Decimal("1.25")
BPS = Decimal(10_000)


def notional_within(wanted_usd: Decimal, order_cap_usd: Decimal) -> Decimal:
    """Return the notional of one leg, lowered where the worst case would break the cap."""
    return min(wanted_usd, order_cap_usd / CAP_ROOM)


def common_lot(first: Instrument, second: Instrument) -> Decimal | None:
    """Return the lot that both instruments trade in, or None where neither divides the other."""
    coarse, fine = sorted((first.lot, second.lot), reverse=True)
    return coarse if is_multiple(coarse, fine) else None


def quantity(
    notional_usd: Decimal,
    upbit: Instrument,
    binance: Instrument,
    *,
    upbit_krw: Decimal,
    binance_usdt: Decimal,
) -> Decimal | None:
    """Return the quantity of the asset for both legs, or None where the filters leave none.

    The prices are the venues' own; the notional is divided by the Binance price.
    """
    lot = common_lot(upbit, binance)
    if lot is None or binance_usdt <= 0 or upbit_krw <= 0:
        return None
    result = floor_to(notional_usd / binance_usdt, lot)
    for instrument, price in ((upbit, upbit_krw), (binance, binance_usdt)):
        if not fits(instrument, result, price):
            return None
    return result


def fits(instrument: Instrument, wanted: Decimal, price: Decimal) -> bool:
    """Say whether a quantity can be entered and, after a fall in price, still be left."""
    return (
        wanted > 0
        and instrument.min_quantity <= wanted <= instrument.max_quantity
        and wanted * price >= instrument.min_notional * MIN_NOTIONAL_ROOM
        and (instrument.max_notional is None or wanted * price <= instrument.max_notional)
    )


def limit_price(instrument: Instrument, side: Side, touch: Decimal, collar_bps: Decimal) -> Decimal:
    """Return the IOC limit: the touch plus the collar, on the tick grid, never past the collar.

    Rounded against the fill, but at least the touch: on a coarse grid one tick may be more than
    the collar allows.
    """
    if side is Side.BUY:
        bound = touch * (1 + collar_bps / BPS)
        return max(touch, instrument.round_price(bound, Side.SELL))
    bound = touch * (1 - collar_bps / BPS)
    return min(touch, instrument.round_price(bound, Side.BUY))
