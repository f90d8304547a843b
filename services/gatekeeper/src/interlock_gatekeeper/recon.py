"""Our books beside a venue's: what differs by more than a lot and the fees' rounding. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Row:
    """One thing in our books beside the same at a venue; None where one of them is not known."""

    what: str
    ours: str | None
    theirs: str | None
    verdict: str


OK, DIFFERS, NOT_COMPARED = "ok", "DIFFERS", "not compared"


def side_by_side(
    state: State,
    venue: Venue,
    baseline: Balances | None,
    seen: Balances,
    resting: Iterable[Resting],
) -> list[Row]:
    """Return everything of a venue beside our books, for a person.

    Balances are compared from a session's beginning on: before one, only what the venue shows is
    known. Positions come from the journal where no session runs.
    """
    rested = list(resting)
    if baseline is None:
        rows = _without_baseline(state, venue, seen)
    else:
        differing = {m.what for m in compare(state, venue, baseline, seen, rested)}
        rows = _with_baseline(state, venue, baseline, seen, differing)
    for order in rested:
        what = f"open order {order.client_order_id or order.venue_order_id}"
        shape = f"{order.side} {order.instrument}"
        mine = _is_ours(state, order)
        rows.append(Row(what, shape if mine else None, shape, OK if mine else DIFFERS))
    return rows


def _without_baseline(state: State, venue: Venue, seen: Balances) -> list[Row]:
    held = {k: q for k, q in state.positions.items() if parse_key(k)[0] is venue}
    if venue is not Venue.BINANCE_PERP:
        found = [(f"balance {asset}", str(total)) for asset, total in sorted(seen.total.items())]
        return [Row(what, None, total, NOT_COMPARED) for what, total in found]
    rows = []
    for key in sorted({*held, *seen.positions}):
        ours, theirs = held.get(key, ZERO), seen.positions.get(key, ZERO)
        rows.append(_row(f"position {key}", ours, theirs, differs=ours != theirs))
    return rows


def _with_baseline(
    state: State, venue: Venue, baseline: Balances, seen: Balances, differing: set[str]
) -> list[Row]:
    held = {k: q for k, q in state.ledger.held.items() if parse_key(k)[0] is venue}
    if venue is Venue.BINANCE_PERP:
        word, start, end, change = "position", baseline.positions, seen.positions, held
    else:
        word, start, end = "balance", baseline.total, seen.total
        change = {asset_of(key): quantity for key, quantity in held.items()}
        change[quote_of(venue)] = state.ledger.cash.get(venue, ZERO)
    rows = []
    for name in sorted({*start, *end, *change}):
        what, ours = f"{word} {name}", start.get(name, ZERO) + change.get(name, ZERO)
        rows.append(_row(what, ours, end.get(name, ZERO), differs=what in differing))
    return rows


def _row(what: str, ours: Decimal, theirs: Decimal, *, differs: bool) -> Row:
    return Row(what, str(ours), str(theirs), DIFFERS if differs else OK)


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
