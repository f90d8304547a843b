"""The verdict on an order: every check in its order, the first failure is the reason.

Pure: the same intent, state and time give the same verdict. A check that cannot be computed denies
and kills. What passes becomes an `Approved` order, and only this module makes one.

`Facts` holds every number a check looks at that the journal does not rebuild. It is written into
the decision's record, so that the decision can be made again from the journal alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import OrderIntent
from interlock_gatekeeper import checks
from interlock_gatekeeper.checks import Case
from interlock_gatekeeper.facts import Facts, gather
from interlock_gatekeeper.state import Now, State


@dataclass(frozen=True, slots=True)
class Approved:
    """An order that passed every check at one instant: the only thing that can be sent."""

    intent: OrderIntent
    notional_usd: Decimal
    facts: Facts
    vector: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Denied:
    """The first check that failed; `vector` lists the checks that held before it."""

    reason: DenyReason
    detail: str
    facts: Facts | None
    vector: tuple[str, ...]


def evaluate(intent: OrderIntent, state: State, now: Now) -> Approved | Denied:
    """Return the order approved with its worst-case notional, or the first reason to deny."""
    try:
        facts = gather(intent, state, now)
    except Exception as error:  # noqa: BLE001 - any surprise is a denial, never a pass
        detail = f"the facts could not be gathered: {type(error).__name__}"
        return Denied(DenyReason.INTERNAL, detail, None, ())
    return decide(intent, state, facts)


def decide(intent: OrderIntent, state: State, facts: Facts) -> Approved | Denied:
    """Return the verdict on given facts: what the audit asks again of every recorded decision."""
    passed: list[str] = []
    reason = DenyReason.INTERNAL
    try:
        case = Case(intent, state, facts)
        for reason, check in checks.CHECKS:
            problem = check(case)
            if problem is not None:
                return Denied(reason, problem, facts, tuple(passed))
            passed.append(reason)
        return Approved(intent, case.notional_usd, facts, tuple(passed))
    except Exception as error:  # noqa: BLE001 - any surprise in a check is a denial, never a pass
        detail = f"check {reason} could not be computed: {type(error).__name__}"
        return Denied(DenyReason.INTERNAL, detail, facts, tuple(passed))


def recheck(intent: OrderIntent, state: State, now: Now, *, reducing: bool) -> Denied | None:
    """Return why an approved and journaled order must not be written to the wire now."""
    session = state.session
    facts = Facts(
        now_boot_ns=now.boot_ns,
        lease_until_ns=None if session is None else session.lease_until_ns,
        reducing=reducing,
        journal_works=not state.journal_failed,
    )
    case = Case(intent, state, facts)
    for reason, check in checks.RECHECKS:
        problem = check(case)
        if problem is not None:
            return Denied(reason, problem, facts, ())
    return None
