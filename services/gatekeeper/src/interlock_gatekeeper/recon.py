"""Our books beside a venue's: what differs by more than a lot and the fees' rounding. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from interlock_core.instrument import Instrument, Venue, parse_key
from interlock_core.money import ZERO
from interlock_gatekeeper.budget import asset_of, quote_of
from interlock_gatekeeper.seen import Balances, Mismatch
from interlock_gatekeeper.state import State
from interlock_gatekeeper.venues.readings import FORCED_PREFIXES, Resting

# What rounding may add up to in a currency: its smallest sums, and a share of what was traded.
CASH_SLACK = {"KRW": Decimal(1000), "USDT": Decimal(1)}
CASH_SLACK_SHARE = Decimal("0.001")


def compare(
    state: State, venue: Venue, baseline: Balances, seen: Balances, resting: Iterable[Resting]
) -> list[Mismatch]:
    """Return where a venue's balances, positions and open orders are not what our fills say."""
    found = [_order(venue, order) for order in resting if not _is_ours(state, order)]
    lots = {key: item.lot for key, item in state.instruments.items() if item.venue is venue}
    held = {k: q for k, q in state.ledger.held.items() if parse_key(k)[0] is venue}
    if venue is Venue.BINANCE_PERP:
        return found + _positions(venue, baseline, seen, held, lots)
    found += _assets(venue, baseline, seen, held, state.instruments)
    cash = _cash(state, venue, baseline, seen)
    return found if cash is None else [*found, cash]


def _is_ours(state: State, order: Resting) -> bool:
    intent_id = state.intent_of.get(order.client_order_id or "")
    return intent_id is not None and intent_id in state.open_orders


def was_sent(state: State, order: Resting) -> bool:
    """Say whether the journal holds a SENT record of the order, ended or not."""
    name = order.client_order_id
    return bool(name) and (name in state.intent_of or hash(name) in state.forgotten)


def _order(venue: Venue, order: Resting) -> Mismatch:
    name = order.client_order_id or order.venue_order_id
    forced = name.startswith(tuple(FORCED_PREFIXES))
    return Mismatch(venue, f"open order {name}", "none", f"{order.side} {order.instrument}", forced)


def _positions(
    venue: Venue,
    baseline: Balances,
    seen: Balances,
    held: Mapping[str, Decimal],
    lots: Mapping[str, Decimal],
) -> list[Mismatch]:
    found = []
    for key in sorted({*baseline.positions, *seen.positions, *held}):
        ours = baseline.positions.get(key, ZERO) + held.get(key, ZERO)
        theirs = seen.positions.get(key, ZERO)
        if abs(ours - theirs) > lots.get(key, ZERO):
            found.append(Mismatch(venue, f"position {key}", str(ours), str(theirs)))
    return found


def _assets(
    venue: Venue,
    baseline: Balances,
    seen: Balances,
    held: Mapping[str, Decimal],
    instruments: Mapping[str, Instrument],
) -> list[Mismatch]:
    changes = {asset_of(key): (quantity, instruments.get(key)) for key, quantity in held.items()}
    found = []
    for asset in sorted({*baseline.total, *seen.total, *changes} - {quote_of(venue)}):
        change, instrument = changes.get(asset, (ZERO, None))
        ours, theirs = baseline.total.get(asset, ZERO) + change, seen.total.get(asset, ZERO)
        if abs(ours - theirs) > (instrument.lot if instrument else ZERO):
            found.append(Mismatch(venue, f"balance {asset}", str(ours), str(theirs)))
    return found


def _cash(state: State, venue: Venue, baseline: Balances, seen: Balances) -> Mismatch | None:
    quote = quote_of(venue)
    flow = state.ledger.cash.get(venue, ZERO)
    traded = state.ledger.traded.get(venue, ZERO)
    ours, theirs = baseline.total.get(quote, ZERO) + flow, seen.total.get(quote, ZERO)
    slack = CASH_SLACK[quote] + traded * CASH_SLACK_SHARE
    if abs(ours - theirs) <= slack:
        return None
    return Mismatch(venue, f"balance {quote}", str(ours), str(theirs))
