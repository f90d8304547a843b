"""The notional ledger: what is reserved, what is exposed, what would reduce.

All amounts are USD, worst case, rounded up. An order in doubt keeps its reservation.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, localcontext

from interlock_core.instrument import TAKER_FEE_RATE, Venue, parse_key
from interlock_core.money import CENT, EXACT_PRECISION, ZERO, worst_case_notional_usd
from interlock_core.wire.gate import OrderIntent
from interlock_gatekeeper.limits import QUOTE_MARGIN
from interlock_gatekeeper.state import State, signed


def usd_per_quote(state: State, instrument_key: str) -> Decimal | None:
    """Return the highest plausible USD value of one unit of the quote, or None when unknown."""
    venue, _ = parse_key(instrument_key)
    if venue is not Venue.UPBIT:
        return QUOTE_MARGIN
    if state.krw_per_usdt is None or state.krw_per_usdt.bid <= ZERO:
        return None
    with localcontext() as context:
        context.prec = EXACT_PRECISION
        context.rounding = ROUND_CEILING
        return QUOTE_MARGIN / state.krw_per_usdt.bid


def order_notional_usd(state: State, intent: OrderIntent) -> Decimal | None:
    """Return quantity x max(limit, reference ask) in USD with the fee, or None when unknown."""
    reference = state.references.get(intent.instrument)
    rate = usd_per_quote(state, intent.instrument)
    if reference is None or rate is None:
        return None
    venue, _ = parse_key(intent.instrument)
    return worst_case_notional_usd(
        intent.quantity,
        max(intent.price, reference.ask),
        usd_per_quote=rate,
        fee_rate=TAKER_FEE_RATE[venue],
    )


def reserved_usd(state: State) -> Decimal:
    """Return the worst-case notional of every order that may still be travelling or open."""
    return sum((order.notional_usd for order in state.open_orders.values()), ZERO)


def exposure_usd(state: State) -> Decimal | None:
    """Return the worst-case value of all positions, or None where one cannot be valued."""
    total = ZERO
    for key, quantity in state.positions.items():
        reference = state.references.get(key)
        rate = usd_per_quote(state, key)
        if reference is None or rate is None:
            return None
        with localcontext() as context:
            context.prec = EXACT_PRECISION
            value = abs(quantity) * reference.ask * rate
            total += value.quantize(CENT, rounding=ROUND_CEILING)
    return total


def is_reducing(state: State, intent: OrderIntent) -> bool:
    """Say whether the order provably shrinks a confirmed position and cannot flip it.

    Computed from own fills and pending reductions, never from what the engine claims.
    """
    position = state.positions.get(intent.instrument, ZERO)
    change = signed(intent.quantity, intent.side)
    if position == ZERO or (position > ZERO) == (change > ZERO):
        return False
    pending = sum(
        (
            order.intent.quantity
            for order in state.open_orders.values()
            if order.intent.instrument == intent.instrument and order.intent.side is intent.side
        ),
        ZERO,
    )
    return intent.quantity + pending <= abs(position)
