"""Read this file to know what is safe: the ordered checks an order must pass.

Pure: the same intent, state and time give the same verdict. The first failure is the reason; a
check that cannot be computed denies and kills. What passes becomes an `Approved` order, and only
this module makes one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from interlock_core.instrument import Side
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import OrderIntent
from interlock_gatekeeper import budget, limits
from interlock_gatekeeper.state import Killed, Now, Session, State

BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Approved:
    """An order that passed every check at one instant: the only thing that can be sent."""

    intent: OrderIntent
    notional_usd: Decimal
    reducing: bool
    vector: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Denied:
    """The first check that failed; `vector` lists the checks that held before it."""

    reason: DenyReason
    detail: str
    vector: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    intent: OrderIntent
    state: State
    now: Now
    reducing: bool


Check = Callable[[_Case], str | None]


def evaluate(intent: OrderIntent, state: State, now: Now) -> Approved | Denied:
    """Return the order approved with its worst-case notional, or the first reason to deny."""
    passed: list[str] = []
    reason = DenyReason.INTERNAL
    try:
        case = _Case(intent, state, now, budget.is_reducing(state, intent))
        for reason, check in CHECKS:
            problem = check(case)
            if problem is not None:
                return Denied(reason, problem, tuple(passed))
            passed.append(reason)
        notional = _notional(case)
    except Exception as error:  # noqa: BLE001 - any surprise in a check is a denial, never a pass
        detail = f"check {reason} could not be computed: {type(error).__name__}"
        return Denied(DenyReason.INTERNAL, detail, tuple(passed))
    return Approved(intent, notional, case.reducing, tuple(passed))


def recheck(intent: OrderIntent, state: State, now: Now) -> Denied | None:
    """Return why an approved and journaled order must not be written to the wire now."""
    case = _Case(intent, state, now, reducing=False)
    for reason, check in RECHECKS:
        problem = check(case)
        if problem is not None:
            return Denied(reason, problem, ())
    return None


def _session(case: _Case) -> Session:
    session = case.state.session
    if session is None:
        raise LookupError("no session")
    return session


def _notional(case: _Case) -> Decimal:
    notional = budget.order_notional_usd(case.state, case.intent)
    if notional is None:
        raise LookupError("no reference")
    return notional


def _not_killed(case: _Case) -> str | None:
    phase = case.state.phase
    return f"killed: {phase.cause}" if isinstance(phase, Killed) else None


def _has_session(case: _Case) -> str | None:
    return None if case.state.session else f"state is {case.state.phase_name}, no live session"


def _epoch_is_current(case: _Case) -> str | None:
    current = _session(case).epoch
    if case.intent.epoch == current:
        return None
    return f"expected epoch {current}, was {case.intent.epoch}"


def _lease_runs(case: _Case) -> str | None:
    return None if case.now.boot_ns < _session(case).lease_until_ns else "the lease has lapsed"


def _before_deadline(case: _Case) -> str | None:
    deadline = _session(case).hard_deadline_ns
    if deadline is None or case.now.boot_ns + limits.DEADLINE_MARGIN_NS < deadline:
        return None
    return "the session's hard deadline is less than 2 s away"


def _intent_is_fresh(case: _Case) -> str | None:
    age = case.now.boot_ns - case.intent.created_boot_ns
    limit = limits.MAX_REDUCING_INTENT_AGE_NS if case.reducing else limits.MAX_INTENT_AGE_NS
    return None if 0 <= age <= limit else f"expected an age of 0..{limit} ns, was {age}"


def _instrument_is_listed(case: _Case) -> str | None:
    key = case.intent.instrument
    listed = key in _session(case).instruments and key in case.state.instruments
    return None if listed else f"{key} is not an instrument of this session"


def _limit_ioc(case: _Case) -> str | None:
    kind = (case.intent.type, case.intent.time_in_force)
    return None if kind == ("limit", "ioc") else f"expected limit ioc, was {' '.join(kind)[:40]}"


def _venue_filters(case: _Case) -> str | None:
    instrument = case.state.instruments[case.intent.instrument]
    return instrument.problem(case.intent.quantity, case.intent.price)


def _reference_is_fresh(case: _Case) -> str | None:
    reference = case.state.references.get(case.intent.instrument)
    if reference is None:
        return f"no reference price of {case.intent.instrument}"
    age = case.now.boot_ns - reference.at_ns
    limit = limits.MAX_REDUCING_REFERENCE_AGE_NS if case.reducing else limits.MAX_REFERENCE_AGE_NS
    return None if 0 <= age <= limit else f"reference price is {age} ns old"


def _within_collar(case: _Case) -> str | None:
    reference = case.state.references[case.intent.instrument]
    collar = limits.REDUCING_COLLAR_BPS if case.reducing else limits.COLLAR_BPS
    if case.intent.side is Side.BUY:
        bound = reference.ask * (1 + collar / BPS)
        return None if case.intent.price <= bound else f"buy limit is above {bound}"
    bound = reference.bid * (1 - collar / BPS)
    return None if case.intent.price >= bound else f"sell limit is below {bound}"


def _fx_is_plausible(case: _Case) -> str | None:
    fx = case.state.krw_per_usdt
    if fx is None:
        return "KRW per USDT is unknown"
    low, high = limits.FX_BAND_KRW
    if not low <= fx.bid <= fx.ask <= high:
        return f"KRW per USDT {fx.bid}/{fx.ask} is outside {low}..{high}"
    age = case.now.boot_ns - fx.at_ns
    if case.reducing or 0 <= age <= limits.MAX_FX_AGE_NS:
        return None
    return f"KRW per USDT is {age} ns old"


def _edge_is_plausible(case: _Case) -> str | None:
    if case.reducing or case.intent.purpose != "entry":
        return None
    edge = case.intent.edge_bps
    return None if 0 < edge <= limits.MAX_EDGE_BPS else f"claimed edge is {edge} bps"


def _within_order_cap(case: _Case) -> str | None:
    if case.reducing:
        return None
    notional, cap = _notional(case), _session(case).order_cap_usd
    return None if notional <= cap else f"order is {notional} USD worst case, cap is {cap}"


def _within_gross_cap(case: _Case) -> str | None:
    if case.reducing:
        return None
    exposure = budget.exposure_usd(case.state)
    if exposure is None:
        return "a position cannot be valued"
    total = budget.reserved_usd(case.state) + exposure + _notional(case)
    cap = _session(case).gross_cap_usd
    return None if total <= cap else f"gross would be {total} USD, cap is {cap}"


def _nothing_unknown(case: _Case) -> str | None:
    unknown = len(case.state.unknown_orders)
    if case.reducing or unknown <= limits.MAX_UNKNOWN_ORDERS:
        return None
    return f"{unknown} order(s) are in doubt"


def _journal_works(case: _Case) -> str | None:
    return "the journal failed" if case.state.journal_failed else None


CHECKS: tuple[tuple[DenyReason, Check], ...] = (
    (DenyReason.KILLED, _not_killed),
    (DenyReason.NOT_LIVE, _has_session),
    (DenyReason.STALE_EPOCH, _epoch_is_current),
    (DenyReason.LEASE, _lease_runs),
    (DenyReason.DEADLINE, _before_deadline),
    (DenyReason.STALE_INTENT, _intent_is_fresh),
    (DenyReason.SYMBOL, _instrument_is_listed),
    (DenyReason.TYPE_TIF, _limit_ioc),
    (DenyReason.VENUE_FILTER, _venue_filters),
    (DenyReason.REF_STALE, _reference_is_fresh),
    (DenyReason.PRICE_COLLAR, _within_collar),
    (DenyReason.FX_BAD, _fx_is_plausible),
    (DenyReason.EDGE_IMPLAUSIBLE, _edge_is_plausible),
    (DenyReason.ORDER_MAX, _within_order_cap),
    (DenyReason.GROSS_MAX, _within_gross_cap),
    (DenyReason.UNKNOWN_LIMIT, _nothing_unknown),
    (DenyReason.AUDIT, _journal_works),
)

# Asked again in the very tick in which the bytes are written.
RECHECKS: tuple[tuple[DenyReason, Check], ...] = (
    *CHECKS[:5],
    (DenyReason.AUDIT, _journal_works),
)
