"""The session's own books: what its fills hold, cost and earned, and how fast it sends. Pure.

Called by `records.apply` alone, so that a replay of the journal gives the same books.
"""

from __future__ import annotations

from decimal import Decimal

from interlock_core.instrument import TAKER_FEE_RATE, Side, parse_key
from interlock_core.money import ZERO
from interlock_core.wire.gate import (
    Holding,
    OrderIntent,
    OrderResult,
    OwnFill,
    Purpose,
    SessionBooks,
)
from interlock_gatekeeper import flatten
from interlock_gatekeeper import order_rates as rates
from interlock_gatekeeper.budget import Rates, asset_of, in_usd, quote_of
from interlock_gatekeeper.limits import (
    DUST_USD,
    REPEAT_WINDOW_NS,
    SAME_SHAPE_NS,
)
from interlock_gatekeeper.state import (
    Group,
    Ledger,
    Sent,
    Session,
    State,
    shape_of,
    signed,
)

SENT_MEMORY_NS = 60_000_000_000
OWN_FILLS_TOLD = 100


def count_order(
    state: State, session: Session, intent: OrderIntent, at_ns: int, *, reducing: bool
) -> None:
    ledger = state.ledger
    ledger.orders += 1
    ledger.sent.append(Sent(at_ns, intent))
    while ledger.sent[0].at_ns <= at_ns - SENT_MEMORY_NS:
        ledger.sent.popleft()
    ledger.shapes_ns = {k: t for k, t in ledger.shapes_ns.items() if t > at_ns - SAME_SHAPE_NS}
    ledger.shapes_ns[shape_of(intent)] = at_ns
    rates.take(ledger.buckets, rates.venue_rate(intent, session.caps, reducing=reducing), at_ns)
    group = ledger.groups.setdefault(intent.group_id, Group(asset_of(intent.instrument), at_ns))
    if reducing:
        # It may close what an earlier session opened: that is no round trip of this one.
        return
    ledger.open_groups[intent.group_id] = group
    if group.ended:
        group.ended = False
        for key, quantity in group.held.items():
            _leave(ledger, group, key, -quantity)
    rates.take(ledger.buckets, rates.symbol_rate(intent), at_ns)
    if intent.purpose is Purpose.ENTRY:
        group.entered.add(intent.leg)
        opens = ledger.opens_ns.setdefault(intent.instrument, [])
        opens[:] = [t for t in opens if t > at_ns - REPEAT_WINDOW_NS] + [at_ns]


def change_of(intent: OrderIntent, result: OrderResult) -> Decimal:
    """Return what a result did to the holding of the asset: a fee may have been taken in it."""
    if result.filled_quantity == ZERO:
        return ZERO
    fee = result.fee if result.fee_currency == asset_of(intent.instrument) else ZERO
    return signed(result.filled_quantity, intent.side) - fee


def books_of(state: State) -> SessionBooks:
    """Return our books as the engine is told them; the latest of our own orders' fills."""
    own = [s for name, s in state.settled.items() if name.startswith(flatten.PREFIX)]
    return SessionBooks(
        epoch=state.epoch,
        holdings=tuple(
            Holding(key, Side.BUY if held > ZERO else Side.SELL, abs(held))
            for key, held in sorted(state.positions.items())
        ),
        open_intents=tuple(state.open_orders),
        own_fills=tuple(
            OwnFill(
                intent_id=settled.result.intent_id,
                instrument=settled.instrument,
                side=settled.side,
                filled_quantity=settled.result.filled_quantity,
                average_price=settled.result.average_price,
                fee=settled.result.fee,
                fee_currency=settled.result.fee_currency,
            )
            for settled in own[-OWN_FILLS_TOLD:]
            if settled.result.filled_quantity != ZERO
        ),
    )


def add_to(held: dict[str, Decimal], key: str, change: Decimal) -> None:
    total = held.get(key, ZERO) + change
    if total == ZERO:
        held.pop(key, None)
    else:
        held[key] = total


def _leave(ledger: Ledger, group: Group, key: str, change: Decimal) -> None:
    """Change what the ended round trips of an asset left."""
    left = ledger.leftovers.setdefault(group.asset, {})
    add_to(left, key, change)
    if not left:
        del ledger.leftovers[group.asset]


def book_fill(ledger: Ledger, intent: OrderIntent, result: OrderResult, fx: Rates | None) -> None:
    """Enter a fill into the session's and the round trip's books."""
    value = result.filled_quantity * result.average_price
    if value == ZERO:
        return
    venue, _ = parse_key(intent.instrument)
    group, quote = ledger.groups[intent.group_id], quote_of(venue)
    change = change_of(intent, result)
    cash = in_usd(-signed(value, intent.side), quote, fx) or ZERO
    cash -= _fee_usd(intent, result, quote, fx)
    add_to(ledger.held, intent.instrument, change)
    add_to(group.held, intent.instrument, change)
    if group.ended:
        _leave(ledger, group, intent.instrument, change)
    ledger.cash_usd += cash
    fee = result.fee if (result.fee_currency or quote) == quote else ZERO
    add_to(ledger.cash, venue, -signed(value, intent.side) - fee)
    add_to(ledger.traded, venue, value)
    group.cash_usd += cash
    group.traded.add(intent.instrument)
    group.unit_usd = abs(in_usd(result.average_price, quote, fx) or ZERO)
    ledger.turnover_usd += result.filled_quantity * group.unit_usd


def _fee_usd(intent: OrderIntent, result: OrderResult, quote: str, fx: Rates | None) -> Decimal:
    """Return the fee in USD; one in the asset is in the holding, one in a third coin is guessed.

    The guess is the taker rate, which no discount coin exceeds.
    """
    currency = result.fee_currency or quote
    if currency == asset_of(intent.instrument):
        return ZERO
    if currency == quote:
        return -(in_usd(-result.fee, quote, fx) or ZERO)
    rate = TAKER_FEE_RATE[parse_key(intent.instrument)[0]]
    value = result.filled_quantity * result.average_price * rate
    return -(in_usd(-value, quote, fx) or ZERO)


def weigh(ledger: Ledger, name: str, at_ns: int, *, waiting: bool) -> None:
    """Note since when a round trip is unhedged, and whether it has ended won or lost."""
    group = ledger.groups[name]
    unhedged = abs(group.gap) * group.unit_usd > DUST_USD
    if not unhedged:
        group.unhedged_since_ns = None
    elif group.unhedged_since_ns is None:
        group.unhedged_since_ns = at_ns
    left = sum((abs(q) * group.unit_usd for q in group.held.values()), ZERO)
    if waiting or left > DUST_USD or ledger.open_groups.pop(name, None) is None:
        return
    group.ended = True
    for key, quantity in group.held.items():
        _leave(ledger, group, key, quantity)
    result = group.cash_usd + sum((q * group.unit_usd for q in group.held.values()), ZERO)
    if result < ZERO:
        ledger.losses, ledger.losing_streak = ledger.losses + 1, ledger.losing_streak + 1
    elif result > ZERO and len(group.traded) > 1:
        ledger.wins, ledger.losing_streak = ledger.wins + 1, 0
