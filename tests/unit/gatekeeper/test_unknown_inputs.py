"""What is not known is a no: prices, rates, values, states; and what must never be asked twice."""

from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import PERP_BTC, UPBIT_BTC, make

from interlock_core.instrument import Side
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import Outcome
from interlock_gatekeeper import budget, checks, flatten, guards, policy
from interlock_gatekeeper.checks import Case
from interlock_gatekeeper.facts import Facts
from interlock_gatekeeper.guards import Level
from interlock_gatekeeper.journal import new_boot_id
from interlock_gatekeeper.machine import Machine, Submit
from interlock_gatekeeper.recorder import Refusal
from interlock_gatekeeper.records import Kind
from interlock_gatekeeper.selftest import NOW, good_world
from interlock_gatekeeper.state import Killed, State

ETH = "UPBIT:KRW-ETH"
FACTS = Facts(now_boot_ns=0, lease_until_ns=None, reducing=False, journal_works=True)


@pytest.fixture
def trading(live):
    live.arm()
    live.open()
    return live


@pytest.mark.parametrize("bid", [None, "0", "-1"])
def test_without_a_rate_no_won_is_worth_anything(trading, bid):
    """No notional, no exposure, no result: None, never zero."""
    state = trading.state
    if bid is None:
        state.krw_per_usdt = None
    else:
        fx = state.krw_per_usdt
        state.krw_per_usdt = type(fx)(Decimal(bid), fx.ask, fx.at_ns)
    won = trading.intent(instrument=UPBIT_BTC, price=Decimal(14_000_000))
    state.positions[UPBIT_BTC] = state.ledger.held[UPBIT_BTC] = Decimal(1)
    assert budget.order_notional_usd(state, won) is None
    assert budget.exposure_usd(state) is None
    assert budget.pnl_usd(state) is None
    assert budget.unhedged_usd(state, won) is None


# What is not valued, and the code under which a new order is denied.
UNVALUED = {
    "a position": (lambda w: w.state.positions.update({ETH: Decimal(1)}), "REF_STALE"),
    "the result": (lambda w: w.state.ledger.held.update({ETH: Decimal(1)}), "LOSS"),
}


@pytest.mark.parametrize("what", UNVALUED)
def test_what_cannot_be_valued_denies(what):
    """Under its own code."""
    spoil, code = UNVALUED[what]
    world = good_world()
    spoil(world)
    verdict = policy.evaluate(world.intent, world.state, NOW)
    assert isinstance(verdict, policy.Denied)
    assert verdict.reason == code


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (checks._within_gross_cap, "a position cannot be valued"),
        (checks._within_unhedged_cap, "a round trip cannot be valued"),
        (checks._loss_is_bearable, "the session's result is unknown"),
    ],
)
def test_each_limit_in_dollars_denies_without_its_number(check, why):
    """Even if the checks before it were gone."""
    world = good_world()
    assert check(Case(world.intent, world.state, FACTS)) == why


def test_a_case_without_its_session_or_notional_is_an_error_and_so_a_denial(paper):
    """INTERNAL denies and kills."""
    case = Case(paper.intent(), paper.state, FACTS)
    for missing in ("session", "notional_usd"):
        with pytest.raises(LookupError):
            getattr(case, missing)
    trading = good_world()
    verdict = policy.decide(trading.intent, State(environment="live"), FACTS)
    assert verdict.reason is DenyReason.NOT_LIVE


def test_prices_of_unknown_age_are_old(trading):
    """A position without a price counts from the session's start; no rate counts for nothing."""
    trading.state.krw_per_usdt = None
    session = trading.state.session
    assert guards._data_age(trading.state, session, trading.now) is Level.NONE
    trading.state.positions[ETH] = Decimal(1)
    trading.advance(2.001)
    for seen in trading.state.seen.venues.values():
        seen.answered_ns = trading.now.boot_ns
    assert guards._data_age(trading.state, session, trading.now) is Level.HOLD


def test_the_flattener_waits_for_recovery_and_for_doubts(live):
    """Neither in BOOT nor while an order may still arrive."""
    booting = State(environment="live")
    assert flatten.plan(booting, live.now) == "recovery is not done"
    live.state.open_orders["x"] = None
    assert flatten.plan(live.state, live.now) == "orders are not proven ended yet"


def test_a_broken_journal_is_not_reset(live):
    """A restart reads it again; until then the latch stays."""
    live.state.phase = Killed("AUDIT_BROKEN", 0)
    assert live.reset().code == "RESET_AUDIT"
    live.state.phase, live.state.journal_failed = Killed("OPERATOR", 0), True
    assert live.reset().code == "RESET_AUDIT"


def test_no_session_on_a_failed_journal(paper):
    """AUDIT, and nothing is opened."""
    paper.state.journal_failed = True
    refusal = paper.open()
    assert isinstance(refusal, Refusal)
    assert refusal.code == DenyReason.AUDIT


def test_repeated_entries_end_the_session_and_let_what_is_held_be_closed(trading):
    """REPEAT closes in order: no latch, no further order."""
    trading.state.ledger.opens_ns[PERP_BTC] = [trading.now.boot_ns] * 100
    denied = trading.order(trading.intent())
    assert denied.reason is DenyReason.REPEAT
    assert trading.state.phase_name == "EXPIRED"


def test_a_refused_request_is_recorded_and_counts_as_a_denial(paper):
    """Who sends nonsense often is held like one who asks for what is denied."""
    paper.take()
    paper.machine.refuse_request(DenyReason.BAD_SCHEMA, "x" * 300, paper.now)
    (record,) = paper.take()
    assert (record.kind, record.data["code"]) == (Kind.DENY, "BAD_SCHEMA")
    assert len(record.data["detail"]) == 200
    assert list(paper.state.seen.denials_ns) == [paper.now.boot_ns]


def test_a_client_order_id_is_never_used_twice(paper):
    """V7, whatever was forgotten of it."""
    paper.open()
    sent = paper.order(paper.intent())
    assert isinstance(sent, Submit)
    paper.settle(paper.result(sent.order, "0", Outcome.UNFILLED))
    order = sent.order
    arguments = {"plain": {}, "notional": Decimal(1), "reducing": True, "now": paper.now, "why": {}}
    with pytest.raises(RuntimeError, match="used twice"):
        paper.machine._send(order.intent, order.session_id, **arguments)
    del paper.state.intent_of[order.client_order_id]
    paper.state.forgotten.add(hash(order.client_order_id))
    with pytest.raises(RuntimeError, match="used twice"):
        paper.machine._send(order.intent, order.session_id, **arguments)


def test_an_approval_without_a_session_is_impossible_and_says_so():
    """A defence in depth: nothing is reserved."""
    bench = make("live")
    world = good_world()
    approved = policy.evaluate(world.intent, world.state, NOW)
    with pytest.raises(RuntimeError, match="without a session"):
        bench.machine._reserve(approved, {}, bench.now)


def test_an_open_that_opens_nothing_is_an_error(paper, monkeypatch):
    """The record is what opens: without its effect nobody is told of a session."""
    monkeypatch.setattr(Machine, "_record", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="did not open"):
        paper.open()


def test_every_life_has_its_own_id():
    """Sixteen hexadecimal digits."""
    assert len({new_boot_id() for _ in range(100)}) == 100
    assert all(len(bytes.fromhex(new_boot_id())) == 8 for _ in range(3))


def test_a_position_that_grew_since_is_not_flipped_by_the_flattener(trading):
    """A pending order on the other side leaves nothing that surely reduces."""
    trading.state.positions[PERP_BTC] = Decimal("0.001")
    pending = trading.intent("intent-0009", side=Side.SELL, price=Decimal("9999.9"))
    made = trading.order(pending)
    assert isinstance(made, Submit)
    assert flatten._closing(trading.state, PERP_BTC, Decimal("0.001"), trading.now) is None
