"""What a round trip may cost at worst, priced before its first order.

It bounds the prices of the entry, the time that a leg may stay unhedged, and the loss that the
session must still be able to bear. The bounds are of the moment: a market that jumps within the
time limit is what the gatekeeper's own limits on unhedged exposure are for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from interlock_core.instrument import TAKER_FEE_RATE, Instrument, Side
from interlock_core.money import CENT, ZERO
from interlock_engine.account.pnl import Fx, Touch, usd
from interlock_engine.decide.sizing import BPS, limit_price


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far orders may go, in bps beyond the touch, and how long, in nanoseconds.

    `stop_bps` is the move of the premium at which a hedged position is closed.
    """

    entry_bps: Decimal
    unwind_bps: Decimal
    exit_bps: Decimal
    stop_bps: Decimal
    legging_ns: int


@dataclass(frozen=True, slots=True)
class Budget:
    """Worst prices by leg, in its quote currency; the longest time a leg stays unhedged; USD."""

    entry: Mapping[str, Decimal]
    unwind: Mapping[str, Decimal]
    legging_ns: int
    worst_usd: Decimal

    def within_entry(self, leg: str, side: Side, price: Decimal) -> Decimal:
        """Return the price, or the entry bound where the price lies beyond it."""
        bound = self.entry[leg]
        return min(price, bound) if side is Side.BUY else max(price, bound)

    def breaks_unwind(self, leg: str, side: Side, price: Decimal) -> bool:
        """Say whether undoing a leg at this price costs more than was priced."""
        bound = self.unwind[leg]
        return price > bound if side is Side.BUY else price < bound


@dataclass(frozen=True, slots=True)
class LegPlan:
    """One leg as it is to be opened: the side that opens it, and its market now."""

    instrument: Instrument
    side: Side
    touch: Touch


def price(legs: Mapping[str, LegPlan], quantity: Decimal, fx: Fx, bounds: Bounds) -> Budget:
    """Return the budget of a round trip of a quantity of the asset.

    The worst case is the larger of two. One leg is opened at its entry bound, the other never,
    and it is undone at its unwind bound. Or both are opened at their bounds, the premium moves to
    the stop loss, and both are closed at the exit collar. Fees are the takers'.
    """
    entry = {leg: _worst(plan, plan.side, bounds.entry_bps) for leg, plan in legs.items()}
    unwind = {
        leg: _worst(plan, plan.side.opposite, bounds.unwind_bps) for leg, plan in legs.items()
    }
    leave = {leg: _worst(plan, plan.side.opposite, bounds.exit_bps) for leg, plan in legs.items()}
    alone = max(_loss_usd(legs[leg], quantity, entry[leg], unwind[leg], fx) for leg in legs)
    both = sum((_loss_usd(legs[leg], quantity, entry[leg], leave[leg], fx) for leg in legs), ZERO)
    value = max(abs(usd(-quantity * entry[leg], legs[leg].instrument.quote, fx)) for leg in legs)
    worst = max(alone, both + value * bounds.stop_bps / BPS)
    return Budget(entry, unwind, bounds.legging_ns, worst.quantize(CENT))


def _worst(plan: LegPlan, side: Side, collar_bps: Decimal) -> Decimal:
    touch = plan.touch.ask if side is Side.BUY else plan.touch.bid
    return limit_price(plan.instrument, side, touch, collar_bps)


def _loss_usd(
    plan: LegPlan, quantity: Decimal, opened: Decimal, closed: Decimal, fx: Fx
) -> Decimal:
    """Return what opening and closing a leg at these prices loses, fees included; in USD."""
    quote, fee = plan.instrument.quote, TAKER_FEE_RATE[plan.instrument.venue]
    paid, received = (opened, closed) if plan.side is Side.BUY else (closed, opened)
    spent = usd(-quantity * paid * (1 + fee), quote, fx)
    return -(spent + usd(quantity * received * (1 - fee), quote, fx))
