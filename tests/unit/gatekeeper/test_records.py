"""What a record does to the state, also where it cannot happen: never more permission."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import PERP_BTC, UPBIT_BTC

from interlock_core.instrument import Side
from interlock_core.wire.gate import Purpose
from interlock_gatekeeper import flatten, records, selftest
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
    assert paper.state.ledger.holds == 1
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


def test_a_start_has_nothing_proven_and_asks_again(live):
    """FLAT was said of another life: a new one lists the venues before it may be armed (V8)."""
    assert live.state.flat
    live.restart()
    assert not live.state.flat
    assert live.arm().code == "ARM_BAD_STATE"
    live.flatten_out()
    assert live.arm() is None


@pytest.mark.parametrize(("offset_ns", "kept"), [(0, True), (1, False)])
def test_times_of_a_machine_that_was_switched_off_are_not_the_futures(live, offset_ns, kept):
    """Boot time began anew: what lies ahead of now is of another boot, and so is its latch."""
    now_ns = live.now.boot_ns
    state = State(environment="live", phase=Killed("TEST", now_ns + offset_ns))
    state.arm_failures_ns = [now_ns - 1, now_ns + offset_ns]
    apply(state, Record(Kind.READY, {"at_boot_ns": now_ns}))
    assert state.arm_failures_ns == ([now_ns - 1, now_ns] if kept else [now_ns - 1])
    assert state.phase == Killed("TEST", now_ns)


def close(state, day):
    data = {"earned": None, "day": day, "loss_usd": "2"}
    apply(state, Record(Kind.CLOSE, data))


def test_a_day_adds_up_and_the_next_begins_at_nothing(live):
    """Losses and orders of sessions of one day, in UTC."""
    live.arm()
    live.open()
    phase = live.state.phase
    for day, losses in [(7, 2), (7, 4), (8, 2)]:
        live.state.phase, live.state.ledger.orders = phase, 3
        close(live.state, day)
        assert (live.state.day.number, live.state.day.loss_usd) == (day, losses)
    assert live.state.day.orders == 3


def test_a_won_is_paid_at_the_bid_and_received_at_the_ask(paper):
    """The rates of the record, each on its bad side."""
    paper.open()
    base = {"instrument": UPBIT_BTC, "group_id": "group-0001"}
    for name, side, price, rate in [
        ("intent-0001", Side.BUY, 14_000_000, -1399),
        ("intent-0002", Side.SELL, 13_990_000, 1400),
    ]:
        changes = {"side": side, "price": Decimal(price), "quoted_price": Decimal(price)}
        made = paper.order(paper.intent(name, **base, **changes))
        before = paper.state.ledger.cash_usd
        paper.settle(replace(paper.result(made.order, "0.001"), fee_currency="KRW"))
        assert paper.state.ledger.cash_usd - before == Decimal(price) / 1000 / rate


def test_a_round_trip_waits_for_its_own_orders_only(paper):
    """Another one's order on its way keeps nothing open."""
    paper.open()
    first = paper.order(paper.intent()).order
    other = paper.order(paper.intent("intent-0002", price=Decimal("10000.1"))).order
    paper.settle(paper.result(first, "0"))
    assert set(paper.state.ledger.open_groups) == {other.intent.group_id}


def test_what_is_forgotten_is_forgotten_by_both_its_names(paper, monkeypatch):
    """The oldest answer goes; neither its intent nor its client order id is ever used again."""
    monkeypatch.setattr(records, "SETTLED_KEPT", 1)
    paper.open()
    names = []
    for number in (1, 2):
        price = Decimal(10_000) - number
        made = paper.order(paper.intent(f"intent-000{number}", price=price)).order
        paper.settle(paper.result(made, "0"))
        names.append((made.intent.intent_id, made.client_order_id))
    assert paper.state.forgotten == {hash(name) for name in names[0]}
    assert list(paper.state.settled) == [names[1][0]]


def test_a_session_knows_what_belongs_together(paper):
    """Both instruments of an asset: a price of either that is old counts for both."""
    session = paper.open()
    both = {PERP_BTC, UPBIT_BTC}
    assert {key: set(pair) for key, pair in session.pairs.items()} == dict.fromkeys(both, both)


def test_an_order_that_never_left_took_no_time(paper):
    """And filled nothing."""
    paper.open()
    aborted = records.aborted_result(paper.order(paper.intent()).order, "VENUE_DOWN", "")
    assert (aborted.latency_ms, aborted.filled_quantity) == (0.0, 0)


def test_records_are_what_they_say_wherever_they_were_said():
    """The state words around one are for readers."""
    assert Record(Kind.FLAT, {}, "LIVE", "EXPIRED") == Record(Kind.FLAT, {})
