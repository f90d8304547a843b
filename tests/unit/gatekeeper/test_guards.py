"""Every trigger at its boundary: the last value that does nothing, the first that holds, kills."""

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import PERP_BTC

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Venue
from interlock_core.wire.gate import Telemetry
from interlock_gatekeeper import guards, selftest
from interlock_gatekeeper.guards import Level
from interlock_gatekeeper.records import Kind
from interlock_gatekeeper.seen import Mismatch, Reference
from interlock_gatekeeper.selftest import NOW, good_world
from interlock_gatekeeper.state import Group, Paper

S, T = NS_PER_S, NOW.boot_ns
CALM = Telemetry(1.0, 1.0, 100.0, 1.0, 0.0, 0)


def engine(w, **changes):
    w.state.seen.engine.telemetry = replace(CALM, **changes)


def own(w, **changes):
    for name, value in changes.items():
        setattr(w.state.seen.self, name, value)


def seen_engine(w, **changes):
    for name, value in changes.items():
        setattr(w.state.seen.engine, name, value)


def venue(w, **changes):
    for name, value in changes.items():
        setattr(w.perp, name, value)


def errors(w, *ages_ns):
    w.perp.errors_ns.extend(T - age for age in ages_ns)


def pnl(w, usd, peak="0"):
    w.state.ledger.cash_usd = Decimal(usd)
    w.state.seen.pnl_peak_usd = Decimal(peak)
    w.caps(loss_usd=Decimal(5), drawdown_usd=Decimal(4), gain_usd=Decimal(25))


def leg(w, age_ns):
    w.state.ledger.open_groups["g"] = Group("BTC", 0, unhedged_since_ns=T - age_ns)


def position(w, at_ns):
    """Hold a dust of what is priced at at_ns; its session opened 60 s ago."""
    key = "UPBIT:KRW-ETH"
    w.state.positions[key] = Decimal("0.000001")
    if at_ns is not None:
        w.state.references[key] = Reference(Decimal(1), Decimal(1), at_ns)


def recon(w, *, confirmed=False, forced=False):
    w.state.seen.recon.mismatches = (Mismatch(Venue.UPBIT, "x", "1", "2", forced),)
    w.state.seen.recon.confirmed = confirmed


def doubts(w, *ages_ns):
    for number, age in enumerate(ages_ns):
        selftest._open(w, f"order-{number}", unknown=True)
        name = f"order-{number}-intent"
        w.state.open_orders[name] = replace(w.state.open_orders[name], doubt_since_ns=T - age)


def denials(w, *ages_ns):
    w.state.seen.denials_ns.extend(T - age for age in ages_ns)


LINES = [
    ("LOOP_LATENCY", lambda w: engine(w, loop_p99_ms=1000.0), Level.NONE),
    ("LOOP_LATENCY", lambda w: engine(w, loop_p99_ms=1000.1), Level.KILL),
    ("LOOP_LATENCY", lambda w: own(w, lag_ms=1000.1), Level.KILL),
    ("LOOP_LATENCY", lambda w: seen_engine(w, slow_since_ns=T - 10 * S + 1), Level.NONE),
    ("LOOP_LATENCY", lambda w: seen_engine(w, slow_since_ns=T - 10 * S), Level.HOLD),
    ("LOOP_LATENCY", lambda w: own(w, slow_since_ns=T - 10 * S), Level.HOLD),
    ("CPU", lambda w: seen_engine(w, busy_since_ns=T - 15 * S + 1), Level.NONE),
    ("CPU", lambda w: seen_engine(w, busy_since_ns=T - 15 * S), Level.HOLD),
    ("CPU", lambda w: own(w, busy_since_ns=T - 15 * S), Level.HOLD),
    ("MEMORY", lambda w: engine(w, memory_mb=326.4), Level.NONE),
    ("MEMORY", lambda w: engine(w, memory_mb=326.5), Level.HOLD),
    ("MEMORY", lambda w: engine(w, memory_mb=364.7), Level.HOLD),
    ("MEMORY", lambda w: engine(w, memory_mb=364.9), Level.KILL),
    ("DATA_AGE", lambda w: venue(w, answered_ns=T - 2 * S), Level.NONE),
    ("DATA_AGE", lambda w: venue(w, answered_ns=T - 2 * S - 1), Level.HOLD),
    ("DATA_AGE", lambda w: venue(w, answered_ns=T - 30 * S), Level.HOLD),
    ("DATA_AGE", lambda w: venue(w, answered_ns=T - 30 * S - 1), Level.KILL),
    ("DATA_AGE", lambda w: position(w, T - 2 * S), Level.NONE),
    ("DATA_AGE", lambda w: position(w, T - 2 * S - 1), Level.HOLD),
    ("DATA_AGE", lambda w: position(w, None), Level.KILL),
    ("DATA_AGE", lambda w: w.fx("1399", "1400", 3), Level.HOLD),
    ("HEARTBEAT", lambda w: seen_engine(w, heartbeat_ns=T - 2 * S), Level.NONE),
    ("HEARTBEAT", lambda w: seen_engine(w, heartbeat_ns=T - 2 * S - 1), Level.HOLD),
    ("TELEMETRY", lambda w: seen_engine(w, missing=1), Level.HOLD),
    ("TELEMETRY", lambda w: seen_engine(w, missing=2), Level.HOLD),
    ("TELEMETRY", lambda w: seen_engine(w, missing=3), Level.KILL),
    ("LOSS", lambda w: pnl(w, "-4.99", "-4.99"), Level.NONE),
    ("LOSS", lambda w: pnl(w, "-5", "-5"), Level.KILL),
    ("LOSS", lambda w: w.state.ledger.held.update({"UPBIT:KRW-XYZ": Decimal(1)}), Level.HOLD),
    ("DRAWDOWN", lambda w: pnl(w, "1", "4.99"), Level.NONE),
    ("DRAWDOWN", lambda w: pnl(w, "1", "5"), Level.KILL),
    ("GAIN_IMPLAUSIBLE", lambda w: pnl(w, "25", "25"), Level.NONE),
    ("GAIN_IMPLAUSIBLE", lambda w: pnl(w, "25.01", "25.01"), Level.KILL),
    ("PNL_DIFFERS", lambda w: seen_engine(w, pnl_differs_since_ns=T - 2 * S + 1), Level.NONE),
    ("PNL_DIFFERS", lambda w: seen_engine(w, pnl_differs_since_ns=T - 2 * S), Level.HOLD),
    ("PNL_DIFFERS", lambda w: seen_engine(w, pnl_differs_since_ns=T - 60 * S), Level.HOLD),
    ("PNL_DIFFERS", lambda w: seen_engine(w, pnl_differs_since_ns=T - 60 * S - 1), Level.KILL),
    ("UNHEDGED_LEG", lambda w: leg(w, 3 * S - 1), Level.NONE),
    ("UNHEDGED_LEG", lambda w: leg(w, 3 * S), Level.HOLD),
    ("UNHEDGED_LEG", lambda w: leg(w, 10 * S), Level.HOLD),
    ("UNHEDGED_LEG", lambda w: leg(w, 10 * S + 1), Level.KILL),
    ("RECONCILE", recon, Level.HOLD),
    ("RECONCILE", lambda w: recon(w, confirmed=True), Level.KILL),
    ("RECONCILE", lambda w: recon(w, forced=True), Level.KILL),
    ("VENUE_ERRORS", lambda w: errors(w, *[10 * S] * 4, 10 * S + 1), Level.NONE),
    ("VENUE_ERRORS", lambda w: errors(w, *[10 * S] * 5), Level.HOLD),
    ("VENUE_ERRORS", lambda w: errors(w, *[60 * S] * 19, 60 * S + 1), Level.NONE),
    ("VENUE_ERRORS", lambda w: errors(w, *[60 * S] * 20), Level.KILL),
    ("VENUE_ERRORS", lambda w: venue(w, limited_ns=T - 10 * S), Level.HOLD),
    ("VENUE_ERRORS", lambda w: venue(w, limited_ns=T - 10 * S - 1), Level.NONE),
    ("VENUE_ERRORS", lambda w: venue(w, shut_out_ns=T - 60 * S), Level.KILL),
    ("VENUE_ERRORS", lambda w: venue(w, shut_out_ns=T - 60 * S - 1), Level.NONE),
    ("UNKNOWN_ORDERS", lambda w: doubts(w, 60 * S), Level.HOLD),
    ("UNKNOWN_ORDERS", lambda w: doubts(w, 60 * S + 1), Level.KILL),
    ("UNKNOWN_ORDERS", lambda w: doubts(w, 0, 0), Level.KILL),
    ("DENIALS", lambda w: denials(w, *[10 * S] * 9, 10 * S + 1), Level.NONE),
    ("DENIALS", lambda w: denials(w, *[10 * S] * 10), Level.HOLD),
    ("DENIALS", lambda w: denials(w, *[60 * S] * 49, 60 * S + 1), Level.NONE),
    ("DENIALS", lambda w: denials(w, *[60 * S] * 50), Level.KILL),
    ("CLOCK", lambda w: own(w, wall_step_ms=250.0, wall_step_ns=T), Level.NONE),
    ("CLOCK", lambda w: own(w, wall_step_ms=-250.1, wall_step_ns=T), Level.HOLD),
    ("CLOCK", lambda w: own(w, wall_step_ms=250.1, wall_step_ns=T - 10 * S), Level.HOLD),
    ("CLOCK", lambda w: own(w, wall_step_ms=250.1, wall_step_ns=T - 10 * S - 1), Level.NONE),
    ("CLOCK", lambda w: own(w, wall_step_ms=2000.1, wall_step_ns=T), Level.KILL),
    ("CLOCK", lambda w: venue(w, clock_error_ms=500.0), Level.NONE),
    ("CLOCK", lambda w: venue(w, clock_error_ms=500.1), Level.HOLD),
    ("CLOCK", lambda w: venue(w, clock_error_ms=900.1), Level.KILL),
    ("CLOCK", lambda w: venue(w, clock_error_ms=math.nan), Level.KILL),
    ("CLOCK", lambda w: venue(w, clock_error_ms=None), Level.HOLD),
    ("CLOCK", lambda w: venue(w, clock_ns=T - 90 * S), Level.NONE),
    ("CLOCK", lambda w: venue(w, clock_ns=T - 90 * S - 1), Level.HOLD),
    ("SELFTEST", lambda w: own(w, selftest_misses=("x",)), Level.KILL),
    ("LATE_ARRIVAL", lambda w: setattr(w.state.seen, "late_arrival", "gkx"), Level.KILL),
]


def assessed(world):
    session = world.state.session
    world.state.seen.engine.heartbeat_ns = world.state.seen.engine.heartbeat_ns or T
    return guards.assess(world.state, session, NOW)


def test_nothing_fires_when_all_is_well():
    """The good world is good."""
    assert assessed(good_world()) == (Level.NONE, "")


@pytest.mark.parametrize(("cause", "spoil", "level"), LINES)
def test_each_trigger_at_its_boundary(cause, spoil, level):
    """HOLD and KILL exactly where the table says."""
    world = good_world()
    spoil(world)
    assert assessed(world) == (level, cause if level else "")


def test_every_rule_is_tested():
    """No line of the trigger table without a boundary here."""
    assert {cause for cause, _, _ in LINES} == {rule.cause for rule in guards.RULES}


@pytest.mark.parametrize("value", ["loop_p99_ms", "memory_mb"], ids=["latency", "memory"])
def test_what_is_not_a_number_kills(value):
    """A measurement that cannot be compared is the worst one."""
    world = good_world()
    engine(world, **{value: math.nan})
    assert assessed(world)[0] is Level.KILL


@pytest.mark.parametrize(("cause", "spoil", "level"), [line for line in LINES if line[2]])
def test_in_paper_only_money_and_integrity_kill(cause, spoil, level):
    """A slow machine or a rude venue holds paper, and no more."""
    world = good_world()
    spoil(world)
    session = world.state.session
    world.state.environment, world.state.phase = "paper", Paper(session)
    kills = next(rule.kills_paper for rule in guards.RULES if rule.cause == cause)
    expected = level if kills else min(level, Level.HOLD)
    assert assessed(world) == (expected, cause)


@pytest.fixture
def trading(live):
    live.arm()
    live.open()
    return live


def guard(bench, seconds=0):
    bench.advance(seconds)
    bench.refresh()
    bench.beat()
    bench.machine.guard(bench.now)


def test_a_hold_ends_ten_seconds_after_its_cause(trading):
    """It clears itself, and is recorded at both ends."""
    trading.state.seen.engine.missing = 1
    trading.machine.guard(trading.now)
    assert trading.state.hold.cause == "TELEMETRY"
    guard(trading, 1)
    for _ in range(9):
        guard(trading, 1)
        assert trading.state.hold is not None
    guard(trading, 1)
    assert trading.state.hold is None
    assert [r.kind for r in trading.take()][-2:] == [Kind.HOLD, Kind.HOLD_END]


def test_a_cause_that_comes_back_starts_the_ten_seconds_anew(trading):
    """Clean means clean without a break."""
    trading.state.seen.engine.missing = 1
    trading.machine.guard(trading.now)
    for _ in range(6):
        guard(trading, 1)
    trading.state.seen.engine.missing = 1
    trading.machine.guard(trading.now)
    for _ in range(10):
        guard(trading, 1)
        assert trading.state.hold is not None
    guard(trading, 1)
    assert trading.state.hold is None


def test_a_minute_of_hold_kills(trading):
    """What does not mend itself in a minute needs a person."""
    for _ in range(61):
        trading.advance(1)
        trading.refresh()
        trading.beat()
        trading.state.seen.engine.missing = 1
        trading.machine.guard(trading.now)
        trading.state.seen.engine.missing = 0
    assert trading.state.hold is not None
    trading.advance(0.1)
    trading.state.seen.engine.missing = 1
    trading.machine.guard(trading.now)
    assert trading.state.phase.cause == "TELEMETRY"


def test_the_fourth_hold_kills(trading):
    """Three holds in a session are bad luck, four are not."""
    for number in range(4):
        trading.state.seen.engine.missing = 1
        trading.machine.guard(trading.now)
        if number < 3:
            for _ in range(11):
                guard(trading, 1)
            assert trading.state.hold is None
    assert trading.state.phase.cause == "HOLDS"


def test_paper_may_hold_for_ever(paper):
    """And goes on when its cause is gone."""
    paper.open()
    for _ in range(100):
        paper.advance(1)
        paper.refresh()
        paper.beat()
        paper.state.seen.engine.missing = 1
        paper.machine.guard(paper.now)
        paper.state.seen.engine.missing = 0
    assert paper.state.phase_name == "PAPER"
    assert paper.state.hold is not None
    for _ in range(11):
        guard(paper, 1)
    assert paper.state.hold is None


def test_a_losing_streak_ends_the_session(trading):
    """Ended, not killed: a human arms the next one."""
    trading.state.ledger.losing_streak = 3
    trading.machine.guard(trading.now)
    assert trading.state.phase_name == "EXPIRED"


def test_a_journal_without_anchor_ends_the_session(trading):
    """Three hundred seconds without a witness."""
    at_ns = trading.now.boot_ns
    trading.state.seen.self.anchor_ns = at_ns - 300 * S
    trading.machine.guard(trading.now)
    assert trading.state.phase_name == "LIVE"
    trading.state.seen.self.anchor_ns -= 1
    trading.machine.guard(trading.now)
    assert trading.state.phase_name == "EXPIRED"


def test_heartbeats_without_whole_telemetry_do_not_renew(trading):
    """They hold at once, and the third in a row kills."""
    until = trading.state.session.lease_until_ns
    for _ in range(3):
        assert (
            trading.machine.heartbeat(trading.state.epoch, trading.now, None).code == "BAD_SCHEMA"
        )
    assert trading.state.session.lease_until_ns == until
    trading.machine.guard(trading.now)
    assert trading.state.phase.cause == "TELEMETRY"


def test_the_peak_follows_the_result(trading):
    """Drawdown is from the best result of this session."""
    trading.state.ledger.cash_usd = Decimal(3)
    trading.machine.guard(trading.now)
    trading.state.ledger.cash_usd = Decimal(-1)
    trading.machine.guard(trading.now)
    assert trading.state.phase.cause == "DRAWDOWN"


def test_results_may_differ_by_half_a_dollar_or_a_tenth(trading):
    """The larger of the two, counted from when it began."""
    state = trading.state
    for engine_pnl, own_pnl, apart in [
        (0.5, "0", False),
        (0.51, "0", True),
        (11.0, "10", False),
        (11.01, "10", True),
        (-0.51, "0", True),
    ]:
        trading.beat(pnl_usd=engine_pnl)
        state.ledger.cash_usd = Decimal(own_pnl)
        assert guards.pnl_is_apart(state) is apart
    guards.note_pnl(state, trading.now)
    since = state.seen.engine.pnl_differs_since_ns
    trading.advance(1)
    guards.note_pnl(state, trading.now)
    assert state.seen.engine.pnl_differs_since_ns == since
    trading.beat(pnl_usd=0.0)
    guards.note_pnl(state, trading.now)
    assert state.seen.engine.pnl_differs_since_ns is None


def test_in_paper_what_was_before_the_session_is_not_compared(paper):
    """An engine that outlives a gatekeeper keeps its total; ours begins anew."""
    paper.open()
    paper.state.ledger.cash_usd = Decimal(-1)
    paper.beat(pnl_usd=99.0)
    assert not guards.pnl_is_apart(paper.state), "it traded before its first heartbeat"
    paper.state.ledger.cash_usd = Decimal(0)
    paper.beat(pnl_usd=100.5)
    assert not guards.pnl_is_apart(paper.state)
    paper.beat(pnl_usd=100.6)
    assert guards.pnl_is_apart(paper.state)
    paper.close()
    paper.state.positions[PERP_BTC] = Decimal(1)
    paper.open(session_id="session-2")
    paper.beat(pnl_usd=0.0)
    paper.beat(pnl_usd=50.0)
    assert not guards.pnl_is_apart(paper.state), "positions from before move only one of the two"
    paper.close()
    paper.state.positions.clear()
    paper.state.open_orders["x"] = None
    paper.open(session_id="session-3")
    paper.beat(pnl_usd=0.0)
    paper.beat(pnl_usd=50.0)
    assert not guards.pnl_is_apart(paper.state), "an order from before may fill into this session"


def test_in_live_every_dollar_counts_from_the_first(trading):
    """A live session begins flat, and so does its engine's result."""
    trading.beat(pnl_usd=0.51)
    assert guards.pnl_is_apart(trading.state)


def test_an_unvalued_holding_is_apart(trading):
    """Nothing can be compared with what is not known."""
    trading.state.ledger.held[PERP_BTC] = Decimal(1)
    del trading.state.references[PERP_BTC]
    assert guards.pnl_is_apart(trading.state)


def test_load_is_noted_from_when_it_began(trading):
    """Slow and busy are counted from their first window to their last."""
    own_seen, start = trading.state.seen.self, trading.now
    guards.note_load(own_seen, lag_ms=100.1, cpu_percent=80.1, now=start)
    trading.advance(5)
    guards.note_load(own_seen, lag_ms=100.1, cpu_percent=80.1, now=trading.now)
    assert (own_seen.slow_since_ns, own_seen.busy_since_ns) == (start.boot_ns, start.boot_ns)
    guards.note_load(own_seen, lag_ms=100.0, cpu_percent=80.0, now=trading.now)
    assert (own_seen.slow_since_ns, own_seen.busy_since_ns) == (None, None)
