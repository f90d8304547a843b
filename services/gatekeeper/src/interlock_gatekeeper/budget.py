"""The notional ledger: what is reserved, exposed, unhedged and earned; what would reduce.

Amounts are USD. Limits count the worst case, rounded up; an order in doubt keeps its reservation.
Profit counts the bad side: paid KRW at the FX bid, received at the FX ask, holdings at the touch
they would be closed at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext
from itertools import takewhile

from interlock_core.instrument import TAKER_FEE_RATE, Side, Venue, parse_key
from interlock_core.money import CENT, EXACT_PRECISION, ZERO, worst_case_notional_usd
from interlock_core.wire.gate import OrderIntent
from interlock_gatekeeper.limits import QUOTE_MARGIN
from interlock_gatekeeper.state import State, signed

KRW = "KRW"
# KRW per USDT, bid and ask.
Rates = tuple[Decimal, Decimal]


def quote_of(venue: Venue) -> str:
    """Return the currency in which a venue's instruments are priced."""
    return KRW if venue is Venue.UPBIT else "USDT"


def asset_of(instrument_key: str) -> str:
    """Return the asset of an instrument key: BTC of `UPBIT:KRW-BTC` and `BINANCE:BTCUSDT`."""
    venue, symbol = parse_key(instrument_key)
    return symbol.removeprefix("KRW-") if venue is Venue.UPBIT else symbol.removesuffix("USDT")


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


def _worst_usd(state: State, key: str, quantity: Decimal) -> Decimal | None:
    reference = state.references.get(key)
    rate = usd_per_quote(state, key)
    if reference is None or rate is None:
        return None
    with localcontext() as context:
        context.prec = EXACT_PRECISION
        value = abs(quantity) * reference.ask * rate
        return value.quantize(CENT, rounding=ROUND_CEILING)


def exposure_usd(state: State) -> Decimal | None:
    """Return the worst-case value of all positions, or None where one cannot be valued."""
    total = ZERO
    for key, quantity in state.positions.items():
        value = _worst_usd(state, key, quantity)
        if value is None:
            return None
        total += value
    return total


def unhedged_usd(state: State, adding: OrderIntent | None = None) -> Decimal | None:
    """Return the sum over round trips of the worst gap between bought and sold, or None.

    Worst: of the orders on their way (and `adding`), only those that widen the gap fill. What ended
    round trips of one asset left counts together: the dust of one may leave with the next. Cost:
    linear in open round trips and assets.
    """
    waiting = [order.intent for order in state.open_orders.values()]
    if adding is not None:
        waiting.append(adding)
    ledger = state.ledger
    gaps: dict[str, tuple[Mapping[str, Decimal], list[OrderIntent]]] = {
        **{f"left {asset}": (held, []) for asset, held in ledger.leftovers.items()},
        **{name: (group.held, []) for name, group in ledger.open_groups.items()},
    }
    for intent in waiting:
        group = ledger.groups.get(intent.group_id)
        held: Mapping[str, Decimal] = {} if group is None else group.held
        name = intent.group_id
        if group is not None and group.ended:
            name, held = f"left {group.asset}", ledger.leftovers.get(group.asset, {})
        gaps.setdefault(name, (held, []))[1].append(intent)
    total = ZERO
    for held, orders in gaps.values():
        value = _gap_usd(state, held, orders)
        if value is None:
            return None
        total += value
    return total


def _gap_usd(
    state: State, held: Mapping[str, Decimal], waiting: list[OrderIntent]
) -> Decimal | None:
    gap = sum(held.values(), ZERO)
    changes = [signed(intent.quantity, intent.side) for intent in waiting]
    up = gap + sum((change for change in changes if change > ZERO), ZERO)
    down = gap + sum((change for change in changes if change < ZERO), ZERO)
    worst = max(abs(up), abs(down))
    if worst == ZERO:
        return ZERO
    keys = {intent.instrument for intent in waiting} | set(held)
    values = [_worst_usd(state, key, worst) for key in keys]
    known = [value for value in values if value is not None]
    return max(known, default=None) if len(known) == len(values) else None


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


def closes(intent: OrderIntent, held: Decimal) -> bool:
    """Say whether the order goes against a signed quantity and not beyond it."""
    return (held > ZERO) is (intent.side is Side.SELL) and intent.quantity <= abs(held)


def in_usd(amount: Decimal, currency: str, fx: Rates | None) -> Decimal | None:
    """Return a signed amount of KRW or a dollar coin in USD; received at the ask, paid at the bid.

    None where KRW cannot be converted.
    """
    if currency != KRW:
        return amount
    if fx is None or fx[0] <= ZERO:
        return None
    return amount / (fx[1] if amount > ZERO else fx[0])


def _mark_usd(state: State, key: str, held: Decimal, fx: Rates | None) -> Decimal | None:
    reference, (venue, _) = state.references.get(key), parse_key(key)
    if reference is None:
        return None
    price = reference.bid if held > ZERO else reference.ask
    value = in_usd(held * price, quote_of(venue), fx)
    return None if value is None else value - abs(value) * TAKER_FEE_RATE[venue]


def pnl_usd(state: State) -> Decimal | None:
    """Return the running session's profit: cash from own fills plus holdings on the bad side."""
    fx, total = state.krw_per_usdt, state.ledger.cash_usd
    for key, held in state.ledger.held.items():
        value = _mark_usd(state, key, held, None if fx is None else (fx.bid, fx.ask))
        if value is None:
            return None
        total += value
    return total


@dataclass(frozen=True, slots=True)
class Outflow:
    """What an order takes from a venue's account if it fills: an asset and the most of it."""

    venue: Venue
    asset: str
    amount: Decimal


def outflow(intent: OrderIntent) -> Outflow:
    """Return what the order would take; a perpetual takes its whole notional as margin."""
    venue, _ = parse_key(intent.instrument)
    if intent.side is Side.SELL and venue is not Venue.BINANCE_PERP:
        return Outflow(venue, asset_of(intent.instrument), intent.quantity)
    with localcontext() as context:
        context.prec = EXACT_PRECISION
        cost = intent.quantity * intent.price * (1 + TAKER_FEE_RATE[venue])
    return Outflow(venue, quote_of(venue), cost)


def available(state: State, wanted: Outflow, now_ns: int, max_age_ns: int) -> Decimal | None:
    """Return what is free for `wanted` at the worst, or None where the balance is not known.

    Orders on their way, and those sent since the balance was read, are taken off; what they
    brought in is not counted before the next reading.
    """
    seen = state.seen.venues.get(wanted.venue)
    balances = seen.balances if seen is not None else None
    if balances is None or now_ns - balances.at_ns > max_age_ns:
        return None
    free = balances.free.get(wanted.asset, ZERO)
    waiting = {order.intent.intent_id: order.intent for order in state.open_orders.values()}
    # The newest come last: whatever was sent before the reading is in it.
    for sent in takewhile(lambda sent: sent.at_ns >= balances.at_ns, reversed(state.ledger.sent)):
        waiting[sent.intent.intent_id] = sent.intent
    for intent in waiting.values():
        taken = outflow(intent)
        if (taken.venue, taken.asset) == (wanted.venue, wanted.asset):
            free -= taken.amount
    return free
