"""What fills and holdings are worth in USD. Exact inputs, conversions on the bad side.

A KRW leg is converted at the rate of its own moment: KRW that was paid cost USDT sold at the FX
bid, KRW that was received buys USDT at the FX ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from interlock_core.instrument import TAKER_FEE_RATE, Instrument, Side
from interlock_core.money import ZERO

KRW = "KRW"


@dataclass(frozen=True, slots=True)
class Fx:
    """KRW per USDT."""

    bid: Decimal
    ask: Decimal


@dataclass(frozen=True, slots=True)
class Touch:
    """Best prices of an instrument in its quote currency."""

    bid: Decimal
    ask: Decimal


@dataclass(frozen=True, slots=True)
class Fill:
    """What one order filled: average price in quote, and the FX rate of that moment."""

    leg: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str | None
    fx: Fx

    @property
    def held(self) -> Decimal:
        """Return the change of the holding: signed, less a fee that was taken in the asset."""
        change = self.quantity if self.side is Side.BUY else -self.quantity
        return change - self.fee if self.fee_currency == self.instrument.asset else change


def dust_fill(leg: str, instrument: Instrument, dust: Decimal, touch: Touch, fx: Fx) -> Fill:
    """Return a signed quantity of dust as if it were traded now, at its worth and without a fee."""
    return Fill(
        leg=leg,
        instrument=instrument,
        side=Side.BUY if dust > ZERO else Side.SELL,
        quantity=abs(dust),
        price=touch.bid if dust > ZERO else touch.ask,
        fee=ZERO,
        fee_currency=None,
        fx=fx,
    )


def usd(amount: Decimal, currency: str, fx: Fx) -> Decimal:
    """Return a signed amount of KRW or USDT in USD: received at the FX ask, paid at the bid."""
    if currency != KRW:
        return amount
    return amount / (fx.ask if amount > ZERO else fx.bid)


def cash_usd(fill: Fill) -> Decimal:
    """Return what a fill added to (or took from) the cash of both venues, fee included."""
    value = fill.quantity * fill.price
    proceeds = -value if fill.side is Side.BUY else value
    cash = usd(proceeds, fill.instrument.quote, fill.fx)
    if fill.fee and fill.fee_currency != fill.instrument.asset:
        cash += usd(-fill.fee, fill.fee_currency or fill.instrument.quote, fill.fx)
    return cash


def unit_usd(fill: Fill) -> Decimal:
    """Return the price of one unit of the asset in USD, without the fee."""
    signed = -fill.price if fill.side is Side.BUY else fill.price
    return abs(usd(signed, fill.instrument.quote, fill.fx))


def mark_usd(
    instrument: Instrument, held: Decimal, *, touch: Touch, fx: Fx, with_fee: bool
) -> Decimal:
    """Return what closing a signed holding at the touch would bring, with its taker fee or not."""
    if held == ZERO:
        return ZERO
    price = touch.bid if held > ZERO else touch.ask
    value = usd(held * price, instrument.quote, fx)
    return value - abs(value) * TAKER_FEE_RATE[instrument.venue] if with_fee else value
