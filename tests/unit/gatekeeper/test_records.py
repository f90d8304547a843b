"""Records where they cannot happen: nothing they do leads to more permission."""

import pytest
from tests.unit.gatekeeper.conftest import PERP_BTC

from interlock_core.wire.gate import Purpose
from interlock_gatekeeper import flatten, selftest
from interlock_gatekeeper.machine import Submit
from interlock_gatekeeper.records import Kind, Record, apply
from interlock_gatekeeper.state import Killed, State


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.DISARM, {"cause": "x"}),
        (Kind.RENEW, {"hard_deadline_boot_ns": 1}),
        (Kind.CLOSE, {"earned": None, "day": 1, "loss_usd": "0"}),
        (Kind.DRILL, {"passed": False, "at_wall_ns": 1}),
    ],
)
def test_a_record_in_a_phase_it_does_not_belong_to_changes_nothing(kind, data):
    """Killed stays killed, and a failed drill is none."""
    state = State(environment="live", phase=Killed("TEST", 0))
    apply(state, Record(kind, data))
    assert state == State(environment="live", phase=Killed("TEST", 0), seen=state.seen)


def test_a_second_answer_to_an_ended_order_changes_nothing(paper):
    """Cancel, resolver and answer may all read the same end."""
    paper.open()
    sent = paper.order(paper.intent())
    result = paper.result(sent.order, "0.001")
    paper.settle(result)
    positions = dict(paper.state.positions)
    paper.take()
    paper.settle(result)
    assert paper.take() == []
    assert paper.state.positions == positions == {PERP_BTC: result.filled_quantity}


def test_a_disarmed_gatekeeper_is_not_disarmed_again(live):
    """No record, no change: neither by a person nor because something is amiss."""
    live.take()
    live.disarm()
    live.state.seen.self.chain_verified = False
    live.machine.unready(live.now)
    assert live.take() == []
    assert live.state.phase_name == "DISARMED"


def test_a_hold_within_a_hold_counts_once(paper):
    """Its cause is the newest, its beginning the oldest."""
    apply(paper.state, Record(Kind.HOLD, {"cause": "CPU", "at_boot_ns": 1}))
    apply(paper.state, Record(Kind.HOLD, {"cause": "CLOCK", "at_boot_ns": 2}))
    assert (paper.state.hold.cause, paper.state.hold.since_ns) == ("CLOCK", 1)
    assert paper.state.ledger.holds == 1


def test_an_order_replayed_without_its_session_counts_in_no_books(paper):
    """Its reservation is kept all the same."""
    paper.open()
    sent = paper.order(paper.intent())
    assert isinstance(sent, Submit)
    (record,) = [r for r in paper.take() if r.kind is Kind.SENT]
    state = State(environment="paper")
    apply(state, record)
    assert state.open_orders[sent.order.intent.intent_id].notional_usd > 0
    assert state.ledger.orders == 0


def test_an_order_that_is_no_entry_is_not_counted_as_one(paper):
    """A repair that is not reducing opens no leg and no repetition."""
    paper.open()
    made = paper.order(paper.intent())
    paper.settle(paper.result(made.order, "0.001"))
    ledger = paper.state.ledger
    before = (set(ledger.groups["group-0001"].entered), dict(ledger.opens_ns))
    hedge = paper.intent(
        "intent-0002",
        group_id="group-0001",
        leg="b",
        purpose=Purpose.REPAIR,
        instrument="UPBIT:KRW-BTC",
        side="sell",
        price=13_990_000,
    )
    record = {
        "at_boot_ns": paper.now.boot_ns,
        "client_order_id": "gk-hedge",
        "session_id": "session-1",
        "intent_sha256": "x",
        "notional_usd": "1",
        "reducing": False,
        "own": False,
        "intent": {},
    }
    apply(paper.state, Record(Kind.SENT, record), hedge)
    assert (ledger.groups["group-0001"].entered, ledger.opens_ns) == before
    assert ledger.orders == 2


def test_a_leg_without_rules_or_price_is_not_repaired(live):
    """There is nothing to order with; the trigger kills instead."""
    live.arm()
    live.open()
    made = live.order(live.intent())
    live.settle(live.result(made.order, "0.001"))
    live.later(6)
    live.state.instruments.clear()
    assert flatten.repair(live.state, live.now, ()) is None


def test_a_vector_without_its_session_is_an_error(live):
    """A self-test that could not break what it means to break would prove nothing."""
    world = selftest.good_world()
    world.state.phase = live.state.phase
    with pytest.raises(LookupError):
        world.caps()
