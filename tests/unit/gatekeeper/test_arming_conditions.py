"""A1 to A12: each broken alone refuses under its own code, changes no state, and names the mend."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import COMMIT, PERP_BTC, VENUES, make

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Venue
from interlock_core.reasons import ARM_MEANING, ArmRefusal
from interlock_gatekeeper import conditions
from interlock_gatekeeper.arms import Operator
from interlock_gatekeeper.records import Kind

S = NS_PER_S
DAY_S = 86_400


def own(bench, **changes):
    for name, value in changes.items():
        setattr(bench.state.seen.self, name, value)


def perp(bench, **changes):
    for name, value in changes.items():
        setattr(bench.state.seen.venues[Venue.BINANCE_PERP], name, value)


def old_balances(bench, at_ns):
    seen = bench.state.seen.venues[Venue.BINANCE_PERP]
    seen.balances = replace(seen.balances, at_ns=at_ns)


def ago(bench, seconds):
    return bench.now.boot_ns - round(seconds * S)


def nothing(_bench):
    """Break nothing: how it is armed is what is wrong."""


# (what breaks, how to arm then, code): one at a time.
BROKEN = {
    "A1 armed": (lambda b: b.arm(), {}, "ARM_BAD_STATE"),
    "A1 killed": (lambda b: b.kill(), {}, "ARM_BAD_STATE"),
    "A1 not flat": (lambda b: setattr(b.state, "flat", False), {}, "ARM_BAD_STATE"),
    "A1 a position": (
        lambda b: b.state.positions.update({PERP_BTC: Decimal(1)}),
        {},
        "ARM_BAD_STATE",
    ),
    "A1 an order": (lambda b: b.state.open_orders.update({"x": None}), {}, "ARM_BAD_STATE"),
    "A2": (nothing, {"ack": "i_understand_live_risk"}, "ARM_ACK"),
    "A4 future": (nothing, {"at_s": 2.001}, "ARM_FUTURE"),
    "A4 stale": (nothing, {"at_s": -600.001}, "ARM_STALE"),
    "A5": (lambda b: setattr(b.state, "high_water_mark_ns", b.now.wall_ns), {}, "ARM_REPLAY"),
    "A6 low": (nothing, {"notional": "9.99"}, "ARM_NOTIONAL"),
    "A6 high": (nothing, {"notional": "1000.01"}, "ARM_NOTIONAL"),
    "A6 form": (nothing, {"notional": "1e2"}, "ARM_NOTIONAL"),
    "A7 far": (lambda b: perp(b, clock_error_ms=500.001), {}, "ARM_CLOCK"),
    "A7 unread": (lambda b: perp(b, clock_error_ms=None), {}, "ARM_CLOCK"),
    "A7 nan": (lambda b: perp(b, clock_error_ms=float("nan")), {}, "ARM_CLOCK"),
    "A7 old": (lambda b: perp(b, clock_ns=ago(b, 90) - 1), {}, "ARM_CLOCK"),
    "A7 none": (lambda b: b.state.seen.venues.clear(), {}, "ARM_CLOCK"),
    "A8 attested": (lambda b: own(b, preflight_problem="too old"), {}, "ARM_PREFLIGHT"),
    "A8 key": (lambda b: perp(b, key_problem="may withdraw"), {}, "ARM_PREFLIGHT"),
    "A8 old": (lambda b: perp(b, key_ns=ago(b, 60) - 1), {}, "ARM_PREFLIGHT"),
    "A8 never": (lambda b: perp(b, key_ns=None), {}, "ARM_PREFLIGHT"),
    "A7 stepped": (lambda b: own(b, wall_step_ns=b.now.boot_ns), {}, "ARM_CLOCK"),
    "A8 balances": (lambda b: old_balances(b, ago(b, 60) - 1), {}, "ARM_PREFLIGHT"),
    "A8 no balances": (lambda b: perp(b, balances=None), {}, "ARM_PREFLIGHT"),
    "A8 resting": (lambda b: perp(b, resting_orders=1), {}, "ARM_PREFLIGHT"),
    "A8 unlisted": (lambda b: perp(b, resting_orders=None), {}, "ARM_PREFLIGHT"),
    "A9 chain": (lambda b: own(b, chain_verified=False), {}, "ARM_AUDIT"),
    "A9 journal": (lambda b: setattr(b.state, "journal_failed", True), {}, "ARM_AUDIT"),
    "A9 disk": (lambda b: own(b, free_bytes=64 * 1024 * 1024 - 1), {}, "ARM_AUDIT"),
    "A9 no disk": (lambda b: own(b, free_bytes=None), {}, "ARM_AUDIT"),
    "A9 anchor": (lambda b: own(b, anchor_ns=ago(b, 60) - 1), {}, "ARM_AUDIT"),
    "A9 no anchor": (lambda b: own(b, anchor_ns=None), {}, "ARM_AUDIT"),
    "A10 missed": (lambda b: own(b, selftest_misses=("x",)), {}, "ARM_SELFTEST"),
    "A10 old": (lambda b: own(b, selftest_ns=ago(b, 120) - 1), {}, "ARM_SELFTEST"),
    "A10 never": (lambda b: own(b, selftest_ns=None), {}, "ARM_SELFTEST"),
    "A11 drill": (lambda b: setattr(b.state, "drilled_wall_ns", 0), {}, "ARM_LADDER"),
    "A11 no smoke": (nothing, {"stage": "pilot"}, "ARM_LADDER"),
    "A12": (
        lambda b: b.state.ladder.update(pilot=(b.now.wall_ns, COMMIT)),
        {"stage": "hour"},
        "ARM_APPROVAL",
    ),
}


def arm(bench, at_s=0.0, **changes):
    return bench.arm(at_ns=bench.now.wall_ns + round(at_s * S), **changes)


@pytest.mark.parametrize("name", BROKEN)
def test_each_condition_broken_alone_refuses_under_its_code(live, name):
    """Nothing else is wrong, so its code and its way to mend are the answer."""
    spoil, how, code = BROKEN[name]
    spoil(live)
    before = live.state.phase
    refusal = arm(live, **how)
    assert refusal.code == code
    assert refusal.detail.startswith(ARM_MEANING[ArmRefusal(code)])
    assert live.state.phase == before
    assert Kind.ARM not in [r.kind for r in live.take()] or name == "A1 armed"


def test_every_code_is_broken_here_or_in_test_machine():
    """No arm code without a test."""
    elsewhere = {"ARM_NO_SECRETS", "ARM_LOCKED", "ARM_STAGE", "ARM_AT_FORMAT"}
    assert {code for _, _, code in BROKEN.values()} | elsewhere == set(ArmRefusal)


@pytest.mark.parametrize(
    "hold",
    [
        lambda b: perp(b, clock_error_ms=500.0, clock_ns=ago(b, 90), key_ns=ago(b, 60)),
        lambda b: own(b, anchor_ns=ago(b, 60), selftest_ns=ago(b, 120)),
        lambda b: old_balances(b, ago(b, 60)),
        lambda b: own(b, wall_step_ns=b.now.boot_ns - 1),
        lambda b: own(b, free_bytes=64 * 1024 * 1024),
        lambda b: setattr(b.state, "high_water_mark_ns", b.now.wall_ns - 1_000_000),
        lambda b: setattr(b.state, "drilled_wall_ns", b.now.wall_ns - DAY_S * S),
    ],
)
def test_the_last_value_that_still_arms(live, hold):
    """One unit before each limit."""
    hold(live)
    assert arm(live) is None


@pytest.mark.parametrize("at_s", [2.0, -600.0])
def test_the_window_is_ten_minutes_and_two_seconds_ahead(live, at_s):
    """Both ends belong to it."""
    assert arm(live, at_s) is None


@pytest.mark.parametrize(
    ("passed_s_ago", "commit", "arms"),
    [(7 * DAY_S, COMMIT, True), (7 * DAY_S + 1, COMMIT, False), (1, "b" * 40, False)],
)
def test_a_stage_needs_the_one_before_on_the_same_commit(live, passed_s_ago, commit, arms):
    """Seven days, this build."""
    live.state.ladder["smoke"] = (live.now.wall_ns - passed_s_ago * S, commit)
    refusal = live.arm(stage="pilot")
    assert (refusal is None) is arms
    assert arms or refusal.code == "ARM_LADDER"


def test_a_future_pass_or_drill_counts_for_nothing(live):
    """A wall clock that was set back does not make old proofs new."""
    live.state.ladder["smoke"] = (live.now.wall_ns + 1, COMMIT)
    assert live.arm(stage="pilot").code == "ARM_LADDER"
    live.state.drilled_wall_ns = live.now.wall_ns + 1
    assert live.arm().code == "ARM_LADDER"


def long_stage(bench):
    bench.state.ladder["pilot"] = (bench.now.wall_ns, COMMIT)


def test_a_lone_operator_waits_a_minute_and_types_the_phrase(live):
    """Not sooner, not another phrase, not after ten minutes."""
    long_stage(live)
    asked = {"stage": "hour", "notional": "500"}
    typed = {**asked, "operator": Operator("one", 1, "hour 500")}
    assert live.arm(**typed).code == "ARM_APPROVAL"
    live.advance(59.999)
    live.refresh()
    assert live.arm(**typed).code == "ARM_APPROVAL"
    live.advance(0.001)
    assert live.arm(**{**asked, "operator": Operator("one", 1, "hour 50")}).code == "ARM_APPROVAL"
    assert live.arm(**typed) is None


def test_another_wish_starts_the_minute_anew(live):
    """What was asked is what is approved."""
    long_stage(live)
    live.arm(stage="hour", notional="100")
    live.advance(60)
    live.refresh()
    typed = Operator("one", 1, "hour 500")
    assert live.arm(stage="hour", notional="500", operator=typed).code == "ARM_APPROVAL"


def test_an_approval_lapses(live):
    """After ten minutes the wait begins again."""
    long_stage(live)
    typed = Operator("one", 1, "hour 50")
    live.arm(stage="hour", operator=typed)
    live.advance(600)
    live.refresh()
    assert live.arm(stage="hour", operator=typed) is None
    live.restart()
    live.ready()
    long_stage(live)
    live.arm(stage="hour", operator=typed)
    live.advance(600.001)
    live.refresh()
    assert live.arm(stage="hour", operator=typed).code == "ARM_APPROVAL"


def test_a_second_person_approves_at_once(live):
    """Another user, the same wish, within ten minutes."""
    long_stage(live)
    one, two = Operator("one", 1), Operator("two", 2)
    assert live.machine.approve("hour 50", live.now, two).code == "NOTHING_ASKED"
    live.arm(stage="hour", operator=one)
    assert live.machine.approve("hour 500", live.now, two).code == "NOTHING_ASKED"
    assert live.machine.approve("hour 50", live.now, one).code == "SAME_PERSON"
    assert live.machine.approve("hour 50", live.now, two) is None
    assert live.arm(stage="hour", operator=one) is None


def test_waiting_for_approval_is_no_guess(live):
    """Asking again and again does not lock."""
    long_stage(live)
    for _ in range(8):
        assert live.arm(stage="hour").code == "ARM_APPROVAL"
    assert live.state.arm_locked_until_ns == 0


def test_the_lock_begins_with_the_fifth_failure_in_ten_minutes(live):
    """Failures older than ten minutes do not count."""
    for _ in range(4):
        live.arm(ack="no")
    live.advance(600)
    live.refresh()
    live.arm(ack="no")
    assert live.arm() is None


def test_an_arm_is_taken_back_when_a_condition_is_lost(live):
    """Readiness is asked as long as the arm waits."""
    live.arm()
    live.machine.unready(live.now)
    assert live.state.phase_name == "ARMED"
    perp(live, resting_orders=1)
    live.machine.unready(live.now)
    assert live.state.phase_name == "DISARMED"


def test_all_failing_conditions_are_listed_at_once():
    """The health port and the console name everything that has to be mended."""
    bench = make("live")
    bench.state.seen.venues.clear()
    own(bench, free_bytes=None, selftest_ns=None)
    found = [f.code for f in conditions.standing(bench.state, "smoke", COMMIT, bench.now)]
    assert found == [
        "ARM_BAD_STATE",
        "ARM_CLOCK",
        "ARM_PREFLIGHT",
        "ARM_AUDIT",
        "ARM_SELFTEST",
        "ARM_LADDER",
    ]


def test_every_venue_is_looked_at(live):
    """The first venue being fine does not hide the second."""
    for venue in VENUES:
        live.refresh()
        live.state.seen.venues[venue].clock_error_ms = 501.0
        assert live.arm().code == "ARM_CLOCK"
        live.state.arm_failures_ns.clear()


def test_what_was_seen_is_told_in_numbers(live):
    """The age of the anchor, and the first five vectors that were not denied."""
    own(live, anchor_ns=ago(live, 61))
    assert arm(live).detail.endswith("(the last anchor is 61 s old)")
    own(live, selftest_misses=tuple("abcdef"))
    assert arm(live).detail.endswith("(not denied: a, b, c, d, e)")


def test_a_drill_counts_from_its_very_moment_and_not_from_the_future(live):
    """A clock set back makes no drill of tomorrow count today."""
    live.state.drilled_wall_ns = live.now.wall_ns + 1
    assert arm(live).code == "ARM_LADDER"
    live.state.drilled_wall_ns = live.now.wall_ns
    assert arm(live) is None


def test_a_stage_outside_the_ladder_stands_on_nothing(live):
    """What the health port says where no live stage is set: no stage is missed."""
    assert conditions.standing(live.state, "none", COMMIT, live.now) == []


@pytest.mark.parametrize(("after_ns", "approved"), [(600 * S, True), (600 * S + 1, False)])
def test_a_wish_may_be_approved_for_ten_minutes(live, after_ns, approved):
    """Then nobody asks any more."""
    long_stage(live)
    live.arm(stage="hour")
    live.clock.advance(after_ns)
    refusal = live.machine.approve("hour 50", live.now, Operator("two", 2))
    assert (refusal is None) is approved
    assert approved or refusal.code == "NOTHING_ASKED"


@pytest.mark.parametrize(("left_ns", "code"), [(1, "ARM_LOCKED"), (0, None)])
def test_the_lock_ends_at_its_instant(live, left_ns, code):
    """And not a nanosecond before."""
    live.state.arm_locked_until_ns = live.now.boot_ns + left_ns
    refusal = arm(live)
    assert (refusal.code if refusal else None) == code


def test_the_wait_for_a_phrase_is_told(live):
    """Sixty seconds from the first time it was asked."""
    long_stage(live)
    assert "repeat in 60 s with approval 'hour 50'" in live.arm(stage="hour").detail
    live.advance(20)
    live.refresh()
    assert "approval 'hour 50' counts in 40 s" in live.arm(stage="hour").detail
    live.advance(50)
    live.refresh()
    assert "approval 'hour 50' counts in 0 s" in live.arm(stage="hour").detail


def test_a_failure_that_locks_nothing_records_no_lock(live):
    """Zero, as nobody's clock shows it."""
    live.take()
    live.arm(ack="no")
    (record,) = live.take()
    assert (record.kind, record.data["locked_until_boot_ns"]) == (Kind.ARM_DENY, 0)


def test_an_arm_that_is_taken_back_says_the_first_of_what_was_lost(live):
    """Its code, and what was seen of that one."""
    assert live.arm() is None
    live.take()
    own(live, chain_verified=False, selftest_ns=None)
    live.machine.unready(live.now)
    (record,) = live.take()
    assert record.data["cause"] == "ARM_AUDIT: the journal is not whole and writable"


def test_of_several_broken_conditions_the_first_is_told(live):
    """State before facts, facts before clocks, clocks before the journal; each with its own."""
    own(live, chain_verified=False)
    perp(live, clock_error_ms=600.0)
    assert arm(live).detail.endswith("(BINANCE_PERP: the clocks may be 600 ms apart)")
    assert arm(live, notional="0").code == "ARM_NOTIONAL"
    live.state.flat = False
    refusal = arm(live, notional="0")
    assert refusal.code == "ARM_BAD_STATE"
    assert refusal.detail.endswith("(not proven FLAT yet)")
