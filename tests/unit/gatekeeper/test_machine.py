"""The state machine by example: what leads to trading, and everything that must not."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import CONFIG, OPERATOR, PERP_BTC, UPBIT_BTC

from interlock_core.arming import ArmRequest
from interlock_core.instrument import Side
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import Outcome, SessionOpen
from interlock_gatekeeper.machine import Known, Submit
from interlock_gatekeeper.policy import Denied
from interlock_gatekeeper.recorder import Refusal
from interlock_gatekeeper.records import DURABLE, Kind
from interlock_gatekeeper.state import Session


def kinds(records):
    return [record.kind for record in records]


def submit(bench, name="intent-0001", **changes):
    decision = bench.machine.order(bench.intent(name, **changes), bench.now)
    assert isinstance(decision, Submit), decision
    return decision.order


def denied(bench, **changes):
    decision = bench.machine.order(bench.intent(**changes), bench.now)
    assert isinstance(decision, Denied), decision
    return decision.reason


def test_a_new_process_is_idle(paper, live):
    """Paper waits for a session; live is disarmed."""
    assert paper.state.phase_name == "PAPER"
    assert live.state.phase_name == "DISARMED"


def test_the_road_to_a_live_order(live):
    """Arm, open, order: each step is recorded before the next."""
    assert live.arm() is None
    assert isinstance(live.open(), Session)
    order = submit(live)
    assert kinds(live.take())[-3:] == [Kind.ARM, Kind.OPEN, Kind.SENT]
    assert order.notional_usd == Decimal("10.11")  # 0.001 * 10000 * 1.01 * 1.0005, up to a cent
    assert live.machine.recheck(order, live.now) is None


def test_arming_twice_needs_a_later_time(live):
    """One LIVE_ARM_AT arms once, also after a restart and after a session."""
    at = live.clock.wall_ns()
    assert live.arm(at_ns=at) is None
    live.machine.disarm("test", live.now)
    assert live.arm(at_ns=at) == Refusal("ARM_REPLAY", live.arm(at_ns=at).detail)
    live.restart()
    live.flatten_out()
    assert live.arm(at_ns=at).code == "ARM_REPLAY"
    live.advance(1)
    assert live.arm() is None


def test_five_refused_arms_lock_for_ten_minutes(live):
    """Guessing does not help, not even with the right facts."""
    wrong = ArmRequest("no", "no", "no")
    for _ in range(5):
        assert live.machine.arm(wrong, "smoke", now=live.now, operator=OPERATOR).code == "ARM_ACK"
    assert live.arm().code == "ARM_LOCKED"
    live.advance(601)
    live.refresh()
    assert live.arm() is None


def test_paper_can_never_arm(paper):
    """Paper has no live keys: ARM_NO_SECRETS whatever the facts."""
    assert paper.arm().code == "ARM_NO_SECRETS"
    assert paper.state.phase_name == "PAPER"


def test_live_without_keys_cannot_arm(live):
    """No key files, no arm."""
    live.machine._has_secrets = False
    assert live.arm().code == "ARM_NO_SECRETS"


def test_the_arm_window_lapses(live):
    """Ten minutes after LIVE_ARM_AT nothing opens any more."""
    live.arm()
    live.advance(600)
    assert live.open().code == "NOT_ARMED"
    assert live.state.phase_name == "DISARMED"


def test_a_stage_caps_what_was_armed(live):
    """N is the smaller of LIVE_MAX_NOTIONAL_USD and the stage's cap."""
    live.arm(notional="1000", stage="smoke")
    session = live.open("smoke")
    assert (session.caps.gross_usd, session.caps.order_usd) == (Decimal(50), Decimal(20))


@pytest.mark.parametrize("stage", ["paper", "nonsense", ""])
def test_only_live_stages_arm(live, stage):
    """Paper is no stage of live trading."""
    assert live.arm(stage=stage).code == "ARM_STAGE"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"stage": "pilot"}, "CONFIG_MISMATCH"),
        ({"config_sha256": "d" * 64}, "CONFIG_MISMATCH"),
        ({"instruments": ("UPBIT:KRW-XYZ",)}, "SYMBOL"),
        ({"instruments": ()}, "SYMBOL"),
    ],
)
def test_a_session_must_match_the_arm(live, change, code):
    """Stage, configuration and instruments are checked at opening."""
    live.arm()
    asked = replace(SessionOpen(1, "session-1", "smoke", CONFIG, (PERP_BTC,)), **change)
    assert live.machine.open_session(asked, live.now).code == code


def test_one_session_at_a_time(paper):
    """A second engine waits until the first lease lapses, then gets a later epoch."""
    first = paper.open()
    assert paper.open(session_id="session-2").code == "SESSION_BUSY"
    paper.advance(3)
    second = paper.open(session_id="session-2")
    assert second.epoch == first.epoch + 1


def test_the_old_engine_is_fenced(paper):
    """An engine that wakes up with an old epoch is refused."""
    paper.open()
    old = paper.intent()
    paper.advance(3)
    paper.open(session_id="session-2")
    fresh = replace(old, created_boot_ns=paper.now.boot_ns)
    assert paper.machine.order(fresh, paper.now).reason is DenyReason.STALE_EPOCH
    assert paper.beat(old.epoch).code == "NOT_LIVE"
    assert paper.state.phase.cause == "STALE_EPOCH"


def test_a_lost_heartbeat_kills_live_and_ends_paper(live, paper):
    """Three seconds of silence: live latches, paper needs a new session."""
    live.arm()
    live.open()
    live.advance(3)
    live.machine.tick(live.now)
    assert live.state.phase_name == "KILLED"
    paper.open()
    paper.advance(3)
    paper.machine.tick(paper.now)
    assert paper.state.phase_name == "PAPER"
    assert denied(paper) is DenyReason.NOT_LIVE


def test_heartbeats_keep_a_session_up_to_its_hard_deadline(live):
    """A smoke session ends after 300 s however well its engine lives."""
    live.arm()
    live.open()
    for _ in range(299):
        live.advance(1)
        assert isinstance(live.beat(), Session)
    live.refresh()
    assert denied(live) is DenyReason.DEADLINE
    live.advance(1)
    live.machine.tick(live.now)
    assert live.state.phase_name == "EXPIRED"
    live.flatten_out()
    assert live.state.phase_name == "DISARMED"


def test_kill_latches_until_reset_and_reset_never_arms(live):
    """The first cause stays; a reset waits a minute and lands in DISARMED."""
    live.arm()
    live.open()
    live.kill("OPERATOR")
    live.kill("OTHER")
    assert live.state.phase.cause == "OPERATOR"
    assert denied(live) is DenyReason.KILLED
    assert live.reset().code == "RESET_DWELL"
    live.advance(60)
    assert live.reset().code == "RESET_NOT_FLAT"
    live.flatten_out()
    assert live.reset(cause="OTHER").code == "RESET_CAUSE"
    assert live.reset() is None
    assert live.state.phase_name == "DISARMED"
    assert denied(live) is DenyReason.NOT_LIVE


def test_a_latch_survives_a_restart(paper):
    """KILLED is durable; reset in paper lands in PAPER without a session."""
    paper.open()
    paper.kill("OPERATOR")
    paper.restart()
    assert paper.state.phase_name == "KILLED"
    paper.advance(60)
    paper.flatten_out()
    assert paper.reset() is None
    assert paper.state.session is None


def test_reset_refuses_while_an_order_is_in_doubt(paper):
    """The latch stays until every order is proven ended."""
    paper.open()
    order = submit(paper)
    paper.machine.unknown(order, "timeout", paper.now)
    paper.kill("OPERATOR")
    paper.advance(60)
    assert paper.reset().code == "RESET_NOT_FLAT"
    paper.sweep()
    assert order.client_order_id in paper.reset(residual="wrong").detail
    paper.settle(paper.result(order, "0", Outcome.UNFILLED))
    paper.flatten_out()
    assert paper.state.flat
    assert paper.reset(residual="") is None


def test_reset_without_a_latch_is_refused(paper):
    """There is nothing to reset."""
    assert paper.reset().code == "NOT_KILLED"


def test_an_unclean_live_exit_is_killed_and_paper_goes_on(live, paper):
    """After a crash live needs a person; paper needs a new session."""
    live.arm()
    live.open()
    live.restart()
    assert live.state.phase.cause == "UNCLEAN_EXIT"
    paper.open()
    epoch = paper.state.epoch
    paper.restart()
    assert paper.state.session is None
    assert paper.open(session_id="session-2").epoch == epoch + 1


def test_a_restart_takes_back_an_arm(live):
    """Armed is never inherited."""
    live.arm()
    live.restart()
    assert live.state.phase_name == "DISARMED"


def test_disarm_ends_a_live_session(live):
    """An operator's disarm leads over EXPIRED to DISARMED."""
    live.arm()
    live.open()
    live.machine.disarm("test", live.now)
    assert live.state.phase_name == "EXPIRED"
    live.flatten_out()
    assert live.state.phase_name == "DISARMED"


def test_arming_needs_flat(live):
    """A position or an order in doubt blocks the next arm."""
    live.arm()
    live.open()
    live.settle(live.result(submit(live), "0.001"))
    live.machine.close("engine", live.now)
    live.flatten_out()
    assert live.state.phase_name == "EXPIRED"
    assert live.state.residual.positions == {PERP_BTC: Decimal("0.001")}
    assert live.arm().code == "ARM_BAD_STATE"


def test_the_same_intent_gives_the_same_answer(paper):
    """In flight, settled, and after a restart: never a second order."""
    paper.open()
    intent = paper.intent()
    order = paper.machine.order(intent, paper.now).order
    assert paper.machine.order(intent, paper.now) == Known(None)
    result = paper.result(order, "0.001")
    paper.settle(result)
    assert paper.machine.order(intent, paper.now) == Known(result)
    paper.restart()
    assert paper.machine.order(intent, paper.now) == Known(result)


def test_the_same_id_with_another_body_is_a_conflict(paper):
    """An id names one order, and whoever uses it for another is broken: killed."""
    paper.open()
    submit(paper)
    assert denied(paper, quantity=Decimal("0.002")) is DenyReason.ID_CONFLICT
    assert paper.state.phase.cause == "ID_CONFLICT"


def test_an_order_in_doubt_keeps_its_budget_and_stops_new_risk(paper):
    """Unknown holds; a proof releases."""
    paper.open()
    order = submit(paper)
    paper.machine.unknown(order, "timeout", paper.now)
    assert paper.state.open_orders[order.intent.intent_id].unknown
    paper.later()
    assert denied(paper, name="intent-0002") is DenyReason.UNKNOWN_LIMIT
    paper.settle(paper.result(order, "0", Outcome.UNFILLED))
    submit(paper, "intent-0002")


def test_a_crash_after_the_record_leaves_the_order_in_doubt(paper):
    """SENT without a result is unknown after a restart, and still reserved."""
    paper.open()
    submit(paper)
    paper.restart()
    assert [o.intent.intent_id for o in paper.state.unknown_orders] == ["intent-0001"]


def test_reducing_is_computed_from_own_fills(paper):
    """Only what provably shrinks a confirmed position passes while another order is in doubt."""
    paper.open()
    paper.settle(paper.result(submit(paper), "0.001"))
    paper.later()
    paper.machine.unknown(submit(paper, "intent-0002"), "timeout", paper.now)
    sell = {"side": Side.SELL, "price": Decimal("9999.9")}
    assert denied(paper, name="intent-0003", quantity=Decimal("0.002"), **sell) is (
        DenyReason.UNKNOWN_LIMIT
    )
    submit(paper, "intent-0004", **sell)
    paper.later()
    assert denied(paper, name="intent-0005", **sell) is DenyReason.UNKNOWN_LIMIT


def test_a_kill_between_record_and_write_aborts(paper):
    """The recheck in the tick of the write has the last word, and releases the budget."""
    paper.open()
    order = submit(paper)
    paper.kill("OPERATOR")
    aborted = paper.machine.recheck(order, paper.now)
    assert (aborted.outcome, aborted.code) == (Outcome.VETOED, "KILLED")
    assert not paper.state.open_orders


def test_a_lapsed_lease_between_record_and_write_aborts(paper):
    """A process that was paused does not send what it had decided before."""
    paper.open()
    order = submit(paper)
    paper.advance(10)
    assert paper.machine.recheck(order, paper.now).code == "NOT_LIVE"


def test_gross_counts_reservations_and_exposure(paper):
    """Pending plus filled plus this one stays within N."""
    paper.open()
    session = paper.state.session
    paper.state.phase = replace(
        paper.state.phase,
        session=replace(session, caps=replace(session.caps, gross_usd=Decimal("21.00"))),
    )
    paper.settle(paper.result(submit(paper), "0.001"))
    paper.later()
    submit(paper, "intent-0002")  # 10.10 exposure + 10.11 = 20.21 <= 21.00
    paper.later()
    assert denied(paper, name="intent-0003") is DenyReason.GROSS_MAX  # 30.32


def test_unknown_settles_nothing(paper):
    """A caller cannot settle an order with 'unknown'."""
    paper.open()
    order = submit(paper)
    with pytest.raises(ValueError, match="settles nothing"):
        paper.settle(paper.result(order, "0", Outcome.UNKNOWN))


def test_what_must_be_durable_before_its_effect():
    """ARM, OPEN, SENT, KILL, RESET and BOOT wait for the disk."""
    effects = {Kind.ARM, Kind.OPEN, Kind.RENEW, Kind.SENT, Kind.KILL, Kind.FLAT, Kind.RESET}
    assert effects | {Kind.BOOT} == DURABLE


def test_upbit_orders_are_valued_at_the_worst_fx(paper):
    """KRW notional uses 1 % above the FX bid's dollar value."""
    paper.open()
    order = submit(
        paper,
        instrument=UPBIT_BTC,
        price=Decimal(14_000_000),
        quoted_price=Decimal(14_000_000),
        quantity=Decimal("0.001"),
    )
    # 14,000 KRW / 1399 * 1.01 * 1.0005 = 10.1123...
    assert order.notional_usd == Decimal("10.12")
