"""The arm conditions A1 and A7 to A12: what must hold besides the operator's three facts.

Pure; the codes and how to mend each are in `interlock_core.reasons`.
"""

from __future__ import annotations

from dataclasses import dataclass

from interlock_core.instrument import Venue
from interlock_core.reasons import ArmRefusal
from interlock_gatekeeper import limits
from interlock_gatekeeper.limits import LIVE_STAGES
from interlock_gatekeeper.seen import VenueSeen
from interlock_gatekeeper.state import Disarmed, Now, State


@dataclass(frozen=True, slots=True)
class Failure:
    """One condition that does not hold now, and what was seen."""

    code: ArmRefusal
    seen: str


def standing(state: State, stage: str, commit: str, now: Now) -> list[Failure]:
    """Return every condition that would refuse an arm of `stage` now, whatever its facts.

    A missed vector comes first: it has killed, and its name says more than the state it led to.
    """
    found = (
        (ArmRefusal.ARM_SELFTEST, _missed(state)),
        (ArmRefusal.ARM_BAD_STATE, _state(state)),
        (ArmRefusal.ARM_CLOCK, _clock(state, now)),
        (ArmRefusal.ARM_PREFLIGHT, _safety(state, now)),
        (ArmRefusal.ARM_AUDIT, _audit(state, now)),
        (ArmRefusal.ARM_SELFTEST, _self_test(state, now)),
        (ArmRefusal.ARM_LADDER, _ladder(state, stage, commit, now)),
    )
    return [Failure(code, seen) for code, seen in found if seen is not None]


def _state(state: State) -> str | None:
    if not isinstance(state.phase, Disarmed):
        return f"state is {state.phase_name}"
    if state.open_orders:
        return f"{len(state.open_orders)} order(s) are not proven ended"
    if state.positions:
        return f"positions are open: {', '.join(sorted(state.positions))}"
    return None if state.flat else "not proven FLAT yet"


def _clock(state: State, now: Now) -> str | None:
    for venue, seen in state.seen.venues.items():
        problem = _venue_clock(seen, state.seen.self.wall_step_ns, now)
        if problem is not None:
            return f"{venue}: {problem}"
    return None if state.seen.venues else "no venue was asked for its time"


def _venue_clock(seen: VenueSeen, stepped_ns: int | None, now: Now) -> str | None:
    if seen.clock_error_ms is None or seen.clock_ns is None:
        return "its time is not known yet"
    if stepped_ns is not None and stepped_ns >= seen.clock_ns:
        return "our clock was stepped since its time was read"
    if now.boot_ns - seen.clock_ns > limits.ARM_MAX_CLOCK_AGE_NS:
        return "its time was not read lately"
    if not seen.clock_error_ms <= limits.ARM_MAX_CLOCK_ERROR_MS:
        return f"the clocks may be {seen.clock_error_ms:.0f} ms apart"
    return None


def _safety(state: State, now: Now) -> str | None:
    if state.seen.self.preflight_problem is not None:
        return state.seen.self.preflight_problem
    for venue, seen in state.seen.venues.items():
        problem = _account(venue, seen, now)
        if problem is not None:
            return problem
    return None if state.seen.venues else "no account was looked at"


def _account(venue: Venue, seen: VenueSeen, now: Now) -> str | None:
    if seen.key_problem is not None:
        return f"{venue}: {seen.key_problem}"
    if seen.key_ns is None or now.boot_ns - seen.key_ns > limits.ARM_MAX_CHECK_AGE_NS:
        return f"{venue}: the account was not looked at lately"
    read_ns = seen.balances.at_ns if seen.balances is not None else None
    if read_ns is None or now.boot_ns - read_ns > limits.ARM_MAX_CHECK_AGE_NS:
        return f"{venue}: balances and open orders were not read lately"
    if seen.resting_orders is None:
        return f"{venue}: its open orders could not be read the last time"
    if seen.resting_orders != 0:
        return f"{venue}: {seen.resting_orders} open order(s)"
    return None


def _audit(state: State, now: Now) -> str | None:
    own = state.seen.self
    if state.journal_failed or not own.chain_verified:
        return "the journal is not whole and writable"
    if own.free_bytes is None or own.free_bytes < limits.MIN_FREE_BYTES:
        return f"{own.free_bytes} bytes are free for the journal"
    if own.anchor_ns is None:
        return "the journal was never anchored in PostgreSQL"
    age_s = (now.boot_ns - own.anchor_ns) / 1e9
    late = now.boot_ns - own.anchor_ns > limits.ARM_MAX_ANCHOR_AGE_NS
    return f"the last anchor is {age_s:.0f} s old" if late else None


def _missed(state: State) -> str | None:
    misses = state.seen.self.selftest_misses
    return f"not denied: {', '.join(misses[:5])}" if misses else None


def _self_test(state: State, now: Now) -> str | None:
    own = state.seen.self
    fresh = own.selftest_ns is not None and (
        now.boot_ns - own.selftest_ns <= limits.ARM_MAX_SELFTEST_AGE_NS
    )
    return None if fresh else "the self-test did not run within the last two minutes"


def _ladder(state: State, stage: str, commit: str, now: Now) -> str | None:
    if not 0 <= now.wall_ns - state.drilled_wall_ns <= limits.DRILL_NS:
        return "no kill drill was passed within 24 hours"
    step = LIVE_STAGES.index(stage) if stage in LIVE_STAGES else 0
    if step == 0:
        return None
    before = LIVE_STAGES[step - 1]
    passed = state.ladder.get(before)
    if passed is None or not 0 <= now.wall_ns - passed[0] <= limits.LADDER_NS:
        return f"stage {before} was not passed within 7 days"
    if passed[1] != commit:
        return f"stage {before} was passed on another commit"
    return None
