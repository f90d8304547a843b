"""Where triggers begin: the exact limit, what paper spares, what is counted."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import PERP_BTC

from interlock_core.clock import NS_PER_S
from interlock_core.wire.gate import Telemetry
from interlock_gatekeeper import guards
from interlock_gatekeeper.guards import Level
from interlock_gatekeeper.records import Kind
from interlock_gatekeeper.seen import EngineSeen, Reference
from interlock_gatekeeper.selftest import NOW, good_world
from interlock_gatekeeper.state import Now, Paper

S = NS_PER_S
CALM = Telemetry(1.0, 1.0, 100.0, 1.0, 0.0, 0)


@pytest.mark.parametrize(
    ("loop_ms", "cpu", "noted"), [(100.0, 80.0, False), (100.001, 80.001, True)]
)
def test_an_engine_at_its_limits_is_neither_slow_nor_busy(loop_ms, cpu, noted):
    """Above them it is, from that heartbeat on."""
    engine = EngineSeen()
    guards.note_telemetry(engine, replace(CALM, loop_p99_ms=loop_ms, cpu_percent=cpu), NOW)
    since = NOW.boot_ns if noted else None
    assert (engine.slow_since_ns, engine.busy_since_ns) == (since, since)


def test_two_missing_telemetries_hold_and_three_kill():
    """Each counts once; a whole one begins anew."""
    world = good_world()
    engine = world.state.seen.engine
    levels = []
    for telemetry in (None, None, None, CALM, None):
        guards.note_telemetry(engine, telemetry, NOW)
        levels.append(guards._telemetry(world.state, world.running, NOW))
    assert levels == [Level.HOLD, Level.HOLD, Level.KILL, Level.NONE, Level.HOLD]


def test_money_and_integrity_kill_in_paper_and_nothing_else_does():
    """ADR 14."""
    kills = {rule.cause for rule in guards.RULES if rule.kills_paper}
    assert kills == {"LOSS", "DRAWDOWN", "SELFTEST", "LATE_ARRIVAL"}


@pytest.mark.parametrize(
    ("step_ms", "level"), [(250.0, 0), (250.5, 1), (1999.5, 1), (2000.0, 1), (2000.5, 2)]
)
def test_a_step_of_our_clock(step_ms, level):
    """Either way; both limits still do nothing more."""
    world = good_world()
    own = world.state.seen.self
    for sign in (1, -1):
        own.wall_step_ms, own.wall_step_ns = sign * step_ms, NOW.boot_ns
        assert guards._clock(world.state, world.running, NOW) == level


@pytest.mark.parametrize(
    ("error_ms", "level"), [(500.0, 0), (500.5, 1), (899.5, 1), (900.0, 1), (900.5, 2)]
)
def test_a_clock_that_is_off(error_ms, level):
    """Any venue's; both limits still do nothing more."""
    world = good_world()
    world.perp.clock_error_ms = error_ms
    assert guards._clock(world.state, world.running, NOW) == level


@pytest.mark.parametrize(("at_s", "extra_ns", "level"), [(60, 0, 1), (60, 1, 2)])
def test_a_doubt_whose_beginning_is_unknown_is_as_old_as_the_machine(paper, at_s, extra_ns, level):
    """The safe side: it began when the clock did."""
    paper.open()
    sent = paper.order(paper.intent())
    paper.unknown(sent.order)
    name = sent.order.intent.intent_id
    orders = paper.state.open_orders
    orders[name] = replace(orders[name], doubt_since_ns=None)
    now = Now(0, at_s * S + extra_ns)
    assert guards._doubts(paper.state, paper.state.session, now) == level


def test_three_holds_are_a_warning_and_the_fourth_kills(live):
    """Each began anew after ten clean seconds."""
    live.arm()
    live.open()
    for number in (1, 2, 3, 4):
        live.beat(loop_p99_ms=1.0)
        live.machine.heartbeat(live.state.epoch, live.now, None)
        live.machine.guard(live.now)
        assert live.state.ledger.holds == number
        assert live.state.phase_name == ("LIVE" if number < 4 else "KILLED")
        for _ in range(12):
            live.later(1)
            live.machine.guard(live.now)
    assert live.state.phase.cause == "HOLDS"
    assert sum(record.kind is Kind.HOLD for record in live.take()) == 4


@pytest.mark.parametrize(("pnl", "apart"), [(1.0, False), (1.01, True)])
def test_marks_may_differ_by_five_basis_points_of_the_exposure(pnl, apart):
    """2,000 USD held: one dollar. The engine marks at other prices than the gatekeeper."""
    world = good_world()
    state = world.state
    state.phase = Paper(world.running)
    price = Decimal(10000) / Decimal("1.01")  # the worst case adds a percent
    state.references[PERP_BTC] = Reference(price, price, NOW.boot_ns)
    state.positions[PERP_BTC] = Decimal("0.2")
    state.seen.engine.telemetry = replace(CALM, pnl_usd=pnl)
    state.seen.engine.began_flat = True
    assert guards.pnl_is_apart(state) is apart
