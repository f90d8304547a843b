"""The console's view, as far as health alone can fill it."""

from dataclasses import replace

import pytest
from tests.unit.gatekeeper.test_edges import health_of

from interlock_core.reasons import ARM_MEANING
from interlock_gatekeeper import view


def view_of(health):
    return view.view_of(health, audit_seq=7)


def codes(seen):
    return [code for code, _ in seen.arm_failures]


def test_without_a_session(paper):
    """No lease, no deadline, no heartbeat; the venues are as their prices are."""
    paper.advance(0.25)
    seen = view_of(health_of(paper))
    assert (seen.state, seen.armed, seen.n_usd, seen.environment) == ("PAPER", True, "0", "paper")
    assert (seen.lease_left_ms, seen.hard_left_ms, seen.heartbeat_age_ms) == (None, None, None)
    assert [(v.venue, v.up, v.ref_age_ms) for v in seen.venues] == [
        ("UPBIT", True, 250),
        ("BINANCE_PERP", True, 250),
    ]
    assert seen.at_ms == paper.now.wall_ns // 1_000_000
    assert seen.audit_seq == 7


def test_a_session_has_a_lease_and_a_heartbeat(live):
    """What is left of both, and how old the last beat is."""
    live.arm()
    assert view_of(health_of(live)).arm_left_ms == 600_000
    live.open()
    live.advance(1)
    seen = view_of(health_of(live))
    assert (seen.state, seen.n_usd, seen.stage) == ("LIVE", "50", "smoke")
    assert (seen.lease_left_ms, seen.heartbeat_age_ms, seen.hard_left_ms) == (2000, 1000, 299_000)


def test_orders_in_doubt_are_named(paper):
    """With what they are and how long it is so; their budget stays reserved."""
    paper.open()
    order = paper.machine.order(paper.intent(), paper.now).order
    paper.machine.unknown(order, "test", paper.now)
    paper.advance(2)
    seen = view_of(health_of(paper))
    (doubt,) = seen.in_doubt
    assert doubt.client_order_id == order.client_order_id
    assert (doubt.side, doubt.quantity, doubt.age_ms) == ("buy", "0.001", 2000)
    assert (seen.open_orders, seen.reserved_usd) == (1, str(order.notional_usd))


def test_a_kill_has_a_cause(paper):
    """And nothing may trade."""
    paper.machine.kill(paper.now, cause="TEST", actor="t")
    seen = view_of(health_of(paper))
    assert (seen.state, seen.cause, seen.armed) == ("KILLED", "TEST", False)


def test_a_venue_that_does_not_answer_is_down(paper):
    """Its problem is not its namesake's."""
    problem = "VENUE_DOWN: BINANCE_PERP filters are not loaded"
    venues = {v.venue: v for v in view_of(health_of(paper, (problem,))).venues}
    assert (venues["BINANCE_PERP"].up, venues["BINANCE_PERP"].note) == (False, problem)
    assert venues["UPBIT"].up


def test_a_session_shows_its_books_and_verdicts(live):
    """Result, gap and turnover beside their limits; the newest verdict first."""
    live.arm()
    live.open()
    live.settle(live.result(live.machine.order(live.intent(), live.now).order, "0.001"))
    live.machine.order(
        live.intent("intent-0002", type="market", price=live.intent().price + 1), live.now
    )
    seen = view_of(health_of(live))
    assert (seen.unhedged_usd, seen.unhedged_cap_usd) == ("10.10", "20")
    assert (seen.pnl_usd, seen.loss_limit_usd) == ("-0.01", "5")
    assert (seen.drawdown_usd, seen.drawdown_limit_usd, seen.turnover_usd) == ("0.01", "4", "10.00")
    assert [(v.intent_id, v.code) for v in seen.verdicts] == [
        ("intent-0002", "TYPE_TIF"),
        ("intent-0001", "APPROVED"),
    ]


def test_a_halt_shows_how_far_it_has_come(live):
    """SWEEP, RESOLVE, RESIDUAL or FLAT."""
    live.arm()
    live.open()
    order = live.machine.order(live.intent(), live.now).order
    live.kill()
    assert view_of(health_of(live)).halt_phase == "RESOLVE"
    live.settle(live.result(order, "0.001"))
    assert view_of(health_of(live)).halt_phase == "SWEEP"
    live.flatten_out()
    seen = view_of(health_of(live))
    assert (seen.halt_phase, seen.residual.hash) == ("RESIDUAL", live.state.residual.sha256)
    live.state.flat = True
    assert view_of(health_of(live)).halt_phase == "FLAT"


@pytest.mark.parametrize("environment", ["paper", "live"])
def test_arming_is_for_the_disarmed(environment, request):
    """Other states have no failing conditions; a flat, well-kept, disarmed gatekeeper has none."""
    bench = request.getfixturevalue(environment)
    assert view_of(health_of(bench)).arm_failures == ()


def test_what_stands_against_arming(live):
    """Leftovers and a broken journal: each with what was seen and how to mend it."""
    live.state.positions["UPBIT:KRW-BTC"] = live.intent().quantity
    live.state.journal_failed = True
    seen = view_of(health_of(live))
    assert codes(seen) == ["ARM_BAD_STATE", "ARM_AUDIT"]
    assert all(mend.endswith(ARM_MEANING[code]) for code, mend in seen.arm_failures)
    assert seen.positions == (("UPBIT:KRW-BTC", "0.001"),)
    assert codes(view_of(replace(health_of(live), has_secrets=False))) == ["ARM_NO_SECRETS"]


def test_what_cannot_be_valued_is_unknown(paper):
    """Exposure without a price is not zero."""
    paper.state.positions["UPBIT:KRW-XYZ"] = paper.intent().quantity
    assert view_of(health_of(paper)).exposure_usd is None
