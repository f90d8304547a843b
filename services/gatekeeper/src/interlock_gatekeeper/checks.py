"""Read this file to know what is safe: the ordered checks an order must pass.

Pure: each check reads one case and gives None or one line of why not. The first failure is the
reason of the denial (`policy`). What a reducing order is let off stands in its check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import OrderIntent, Purpose
from interlock_gatekeeper import budget, limits
from interlock_gatekeeper import order_rates as rates
from interlock_gatekeeper.facts import Facts
from interlock_gatekeeper.order_rates import Rate
from interlock_gatekeeper.state import Killed, Session, State, shape_of

BPS = Decimal(10_000)
LIFETIMES = ("ioc", "fok")


@dataclass(frozen=True, slots=True)
class Case:
    """An order, the state, and what was seen of its world."""

    intent: OrderIntent
    state: State
    facts: Facts

    @property
    def session(self) -> Session:
        """Return the running session, or raise LookupError."""
        session = self.state.session
        if session is None:
            raise LookupError("no session")
        return session

    @property
    def notional_usd(self) -> Decimal:
        """Return the order's worst-case notional, or raise LookupError."""
        if self.facts.notional_usd is None:
            raise LookupError("no reference")
        return self.facts.notional_usd


Check = Callable[[Case], str | None]


def _not_killed(case: Case) -> str | None:
    phase = case.state.phase
    return f"killed: {phase.cause}" if isinstance(phase, Killed) else None


def _has_session(case: Case) -> str | None:
    return None if case.state.session else f"state is {case.state.phase_name}, no live session"


def _no_hold(case: Case) -> str | None:
    hold = case.state.hold
    return None if hold is None or case.facts.reducing else f"on hold: {hold.cause}"


def _epoch_is_current(case: Case) -> str | None:
    current = case.session.epoch
    if case.intent.epoch == current:
        return None
    return f"expected epoch {current}, was {case.intent.epoch}"


def _lease_runs(case: Case) -> str | None:
    until = case.facts.lease_until_ns
    if until is not None and case.facts.now_boot_ns < until:
        return None
    return "the lease has lapsed"


def _before_deadline(case: Case) -> str | None:
    deadline = case.session.hard_deadline_ns
    if deadline is None or case.facts.now_boot_ns + limits.DEADLINE_MARGIN_NS < deadline:
        return None
    return "the session's hard deadline is less than 2 s away"


def _intent_is_fresh(case: Case) -> str | None:
    age = case.facts.now_boot_ns - case.intent.created_boot_ns
    reducing = case.facts.reducing
    limit = limits.MAX_REDUCING_INTENT_AGE_NS if reducing else limits.MAX_INTENT_AGE_NS
    return None if 0 <= age <= limit else f"expected an age of 0..{limit} ns, was {age}"


def _shape_is_new(case: Case) -> str | None:
    at_ns = case.state.ledger.shapes_ns.get(shape_of(case.intent))
    if at_ns is None or case.facts.now_boot_ns - at_ns >= limits.SAME_SHAPE_NS:
        return None
    return "the same order was sent less than 2 s ago under another id"


def _instrument_is_listed(case: Case) -> str | None:
    key = case.intent.instrument
    listed = key in case.session.instruments and case.facts.is_known
    return None if listed else f"{key} is not an instrument of this session"


def _limit_ioc(case: Case) -> str | None:
    kind = (case.intent.type, case.intent.time_in_force)
    allowed = kind[0] == "limit" and kind[1] in LIFETIMES
    return None if allowed else f"expected limit ioc or fok, was {' '.join(kind)[:40]}"


def _venue_filters(case: Case) -> str | None:
    age = case.facts.filters_age_ns
    if age is None or age > limits.MAX_FILTER_AGE_NS:
        return f"the venue's filters are {age} ns old"
    return case.facts.filter_problem


def _venue_is_up(case: Case) -> str | None:
    facts = case.facts
    if facts.backing_off:
        return "the venue asked for a pause"
    age = facts.private_age_ns
    if age is not None and age <= limits.MAX_PRIVATE_AGE_NS:
        return None
    return f"the venue's last good private answer is {age} ns old"


def _references_are_fresh(case: Case) -> str | None:
    facts = case.facts
    # A reducing order looks at its own price only: the other venue may be the one that is down.
    age = facts.reference_age_ns if facts.reducing else facts.pair_age_ns
    limit = limits.MAX_REFERENCE_AGE_NS
    if facts.reducing:
        limit = limits.MAX_REDUCING_REFERENCE_AGE_NS
    return None if age is not None and 0 <= age <= limit else f"a reference price is {age} ns old"


def _quote_agrees(case: Case) -> str | None:
    own = case.facts.ask if case.intent.side is Side.BUY else case.facts.bid
    limit = limits.MAX_DIVERGENCE_BPS
    if case.facts.reducing:
        limit = limits.MAX_REDUCING_DIVERGENCE_BPS
    apart = abs(case.intent.quoted_price - own) * BPS
    return None if apart <= limit * own else f"quoted {case.intent.quoted_price}, own price {own}"


def _within_collar(case: Case) -> str | None:
    facts = case.facts
    collar = limits.REDUCING_COLLAR_BPS if facts.reducing else limits.COLLAR_BPS
    if case.intent.side is Side.BUY:
        bound = facts.ask * (1 + collar / BPS)
        return None if case.intent.price <= bound else f"buy limit is above {bound}"
    bound = facts.bid * (1 - collar / BPS)
    return None if case.intent.price >= bound else f"sell limit is below {bound}"


def _fx_is_plausible(case: Case) -> str | None:
    facts = case.facts
    if facts.reducing:
        return None
    if facts.fx_bid is None or facts.fx_ask is None or facts.fx_age_ns is None:
        return "KRW per USDT is unknown"
    low, high = limits.FX_BAND_KRW
    if not low <= facts.fx_bid <= facts.fx_ask <= high:
        return f"KRW per USDT {facts.fx_bid}/{facts.fx_ask} is outside {low}..{high}"
    if not 0 <= facts.fx_age_ns <= limits.MAX_FX_AGE_NS:
        return f"KRW per USDT is {facts.fx_age_ns} ns old"
    median = facts.fx_median
    if median is None or abs(facts.fx_bid - median) > median * limits.MAX_FX_DRIFT:
        return f"KRW per USDT {facts.fx_bid} is more than 3 % from its median {median}"
    return None


def _edge_is_plausible(case: Case) -> str | None:
    if case.facts.reducing or case.intent.purpose is not Purpose.ENTRY:
        return None
    edge = case.intent.edge_bps
    return None if ZERO < edge <= limits.MAX_EDGE_BPS else f"claimed edge is {edge} bps"


def _within_order_cap(case: Case) -> str | None:
    if case.facts.reducing:
        return None
    notional, cap = case.notional_usd, case.session.caps.order_usd
    return None if notional <= cap else f"order is {notional} USD worst case, cap is {cap}"


def _within_gross_cap(case: Case) -> str | None:
    if case.facts.reducing:
        return None
    if case.facts.exposure_usd is None:
        return "a position cannot be valued"
    total = case.facts.reserved_usd + case.facts.exposure_usd + case.notional_usd
    cap = case.session.caps.gross_usd
    return None if total <= cap else f"gross would be {total} USD, cap is {cap}"


def _within_unhedged_cap(case: Case) -> str | None:
    if case.facts.reducing:
        return None
    worst, cap = case.facts.unhedged_usd, case.session.caps.unhedged_usd
    if worst is None:
        return "a round trip cannot be valued"
    return None if worst <= cap else f"unhedged would be {worst} USD at the worst, cap is {cap}"


def _group_has_room(case: Case) -> str | None:
    ledger, name = case.state.ledger, case.intent.group_id
    if case.facts.reducing or name in ledger.open_groups:
        return None
    count, cap = len(ledger.open_groups), case.session.caps.open_groups
    return None if count < cap else f"{count} round trips are open, cap is {cap}"


def _leg_is_free(case: Case) -> str | None:
    """An entry is the first of its leg; any other order closes a gap or a leg of an open trip."""
    intent, ledger = case.intent, case.state.ledger
    group = ledger.groups.get(intent.group_id)
    if group is not None and group.asset != budget.asset_of(intent.instrument):
        return f"the round trip trades {group.asset}"
    if case.facts.reducing:
        return None
    is_entry = intent.purpose is Purpose.ENTRY
    if group is None:
        return None if is_entry else "the round trip is not known"
    if intent.group_id not in ledger.open_groups:
        return "the round trip has ended"
    if is_entry:
        return None if intent.leg not in group.entered else f"leg {intent.leg} was entered"
    closes = budget.closes(intent, group.gap) or budget.closes(
        intent, group.held.get(intent.instrument, ZERO)
    )
    return None if closes else "it closes neither a gap nor a leg of its round trip"


def _open_orders_have_room(case: Case) -> str | None:
    if case.facts.reducing:
        return None
    count, cap = len(case.state.open_orders), case.session.caps.open_orders
    return None if count < cap else f"{count} orders are open or in doubt, cap is {cap}"


def _within_turnover(case: Case) -> str | None:
    cap = case.session.caps.turnover_usd
    if case.facts.reducing or cap is None:
        return None
    total = case.state.ledger.turnover_usd + case.facts.reserved_usd + case.notional_usd
    return None if total <= cap else f"turnover would be {total} USD, cap is {cap}"


def _within_order_count(case: Case) -> str | None:
    cap, count = case.session.caps.orders, case.state.ledger.orders
    if case.facts.reducing or cap is None or count < cap:
        return None
    return f"{count} orders were sent in this session, cap is {cap}"


def _venue_rate(case: Case) -> str | None:
    rate = rates.venue_rate(case.intent, case.session.caps, reducing=case.facts.reducing)
    return _token_problem(case, rate)


def _symbol_rate(case: Case) -> str | None:
    return None if case.facts.reducing else _token_problem(case, rates.symbol_rate(case.intent))


def _token_problem(case: Case, rate: Rate) -> str | None:
    bucket = case.state.ledger.buckets.get(rate.name)
    if rates.tokens_left(bucket, rate, case.facts.now_boot_ns) >= 1:
        return None
    return f"more than {rate.per_s} orders a second of {rate.name}"


def _not_repeating(case: Case) -> str | None:
    cap = case.session.caps.opens_per_symbol
    if case.facts.reducing or cap is None or case.intent.purpose is not Purpose.ENTRY:
        return None
    since = case.facts.now_boot_ns - limits.REPEAT_WINDOW_NS
    opens = case.state.ledger.opens_ns.get(case.intent.instrument, ())
    count = sum(1 for at_ns in opens if at_ns > since)
    return None if count < cap else f"{count} entries of {case.intent.instrument} in 5 minutes"


def _loss_is_bearable(case: Case) -> str | None:
    pnl, cap = case.facts.pnl_usd, case.session.caps.loss_usd
    if case.facts.reducing:
        return None
    if pnl is None:
        return "the session's result is unknown"
    return None if -pnl < cap else f"the session's result is {pnl} USD, limit is -{cap}"


def _drawdown_is_bearable(case: Case) -> str | None:
    pnl, cap = case.facts.pnl_usd, case.session.caps.drawdown_usd
    if case.facts.reducing or pnl is None:
        return None
    drawdown = max(case.facts.pnl_peak_usd, pnl) - pnl
    return None if drawdown < cap else f"drawdown is {drawdown} USD, limit is {cap}"


def _balance_covers(case: Case) -> str | None:
    facts = case.facts
    if facts.reducing:
        return None
    if facts.available is None:
        return "the venue's balance is not known"
    if facts.needed > facts.available:
        return f"needs {facts.needed} {facts.needed_asset}, {facts.available} is free"
    left = facts.allocation_left
    if left is not None and case.intent.quantity > left:
        return f"{left} {facts.needed_asset} is left of what this session may sell"
    return None


def _nothing_unknown(case: Case) -> str | None:
    unknown = len(case.state.unknown_orders)
    if case.facts.reducing or unknown <= limits.MAX_UNKNOWN_ORDERS:
        return None
    return f"{unknown} order(s) are in doubt"


def _journal_works(case: Case) -> str | None:
    return None if case.facts.journal_works else "the journal failed"


def _audit_is_healthy(case: Case) -> str | None:
    facts = case.facts
    if not facts.journal_works:
        return "the journal failed"
    if facts.free_bytes is None or facts.free_bytes < limits.MIN_FREE_BYTES:
        return f"{facts.free_bytes} bytes are free for the journal"
    if facts.reducing or case.state.environment != "live":
        return None
    age = facts.anchor_age_ns
    fresh = age is not None and age <= limits.MAX_ANCHOR_AGE_NS
    return None if fresh else f"the last anchor is {age} ns old"


CHECKS: tuple[tuple[DenyReason, Check], ...] = (
    (DenyReason.KILLED, _not_killed),
    (DenyReason.NOT_LIVE, _has_session),
    (DenyReason.HOLD, _no_hold),
    (DenyReason.STALE_EPOCH, _epoch_is_current),
    (DenyReason.LEASE, _lease_runs),
    (DenyReason.DEADLINE, _before_deadline),
    (DenyReason.STALE_INTENT, _intent_is_fresh),
    (DenyReason.DUP_SHAPE, _shape_is_new),
    (DenyReason.SYMBOL, _instrument_is_listed),
    (DenyReason.TYPE_TIF, _limit_ioc),
    (DenyReason.VENUE_FILTER, _venue_filters),
    (DenyReason.VENUE_DOWN, _venue_is_up),
    (DenyReason.REF_STALE, _references_are_fresh),
    (DenyReason.REF_DIVERGE, _quote_agrees),
    (DenyReason.PRICE_COLLAR, _within_collar),
    (DenyReason.FX_BAD, _fx_is_plausible),
    (DenyReason.EDGE_IMPLAUSIBLE, _edge_is_plausible),
    (DenyReason.ORDER_MAX, _within_order_cap),
    (DenyReason.GROSS_MAX, _within_gross_cap),
    (DenyReason.UNHEDGED_MAX, _within_unhedged_cap),
    (DenyReason.GROUP_MAX, _group_has_room),
    (DenyReason.LEG, _leg_is_free),
    (DenyReason.OPEN_ORDERS, _open_orders_have_room),
    (DenyReason.TURNOVER, _within_turnover),
    (DenyReason.ORDER_COUNT, _within_order_count),
    (DenyReason.RATE, _venue_rate),
    (DenyReason.SYMBOL_RATE, _symbol_rate),
    (DenyReason.REPEAT, _not_repeating),
    (DenyReason.LOSS, _loss_is_bearable),
    (DenyReason.DRAWDOWN, _drawdown_is_bearable),
    (DenyReason.BALANCE, _balance_covers),
    (DenyReason.UNKNOWN_LIMIT, _nothing_unknown),
    (DenyReason.AUDIT, _audit_is_healthy),
)

# Asked again in the very tick in which the bytes are written.
RECHECKS: tuple[tuple[DenyReason, Check], ...] = (*CHECKS[:6], (DenyReason.AUDIT, _journal_works))
