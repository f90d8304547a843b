"""The end of a halt: FLAT only when true, RESIDUAL with a hash, flatten, renew, the ladder."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import COMMIT, CONFIG, PERP_BTC, UPBIT_BTC

from interlock_core.instrument import Side
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import Outcome, SessionOpen
from interlock_gatekeeper import flatten, records
from interlock_gatekeeper.halt import Listing
from interlock_gatekeeper.limits import DAY_NS, Day
from interlock_gatekeeper.machine import Submit
from interlock_gatekeeper.recorder import Refusal
from interlock_gatekeeper.records import Kind
from interlock_gatekeeper.state import Armed, Killed, Session


@pytest.fixture
def trading(live):
    live.arm()
    live.open()
    return live


def submit(bench, name="intent-0001", **changes):
    decision = bench.machine.order(bench.intent(name, **changes), bench.now)
    assert isinstance(decision, Submit), decision
    return decision.order


def kinds(bench):
    return [record.kind for record in bench.take()]


def test_flat_needs_two_clean_listings_two_seconds_apart(trading):
    """V8: one look proves nothing."""
    trading.kill()
    trading.sweep()
    assert not trading.state.flat
    trading.advance(1.999)
    trading.sweep()
    assert not trading.state.flat
    trading.advance(0.001)
    trading.sweep()
    assert trading.state.flat


@pytest.mark.parametrize("dirty", [{"resting": ("gkx",)}, {"problem": "BINANCE: HTTP 503"}])
def test_a_dirty_listing_starts_anew(trading, dirty):
    """V8: a venue that does not answer, or names an order, is not clean."""
    trading.kill()
    trading.sweep()
    trading.advance(2)
    trading.sweep(*dirty.get("resting", ()), problem=dirty.get("problem"))
    trading.advance(2)
    trading.sweep()
    assert not trading.state.flat
    trading.advance(2)
    trading.sweep()
    assert trading.state.flat


def test_an_order_in_doubt_keeps_a_halt_open(trading):
    """V8: clean listings from before the proof count for nothing."""
    order = submit(trading)
    trading.machine.unknown(order, "timeout", trading.now)
    trading.kill()
    for _ in range(5):
        trading.advance(2)
        trading.sweep()
    assert not trading.state.flat
    began = trading.now.boot_ns
    trading.advance(1)
    trading.settle(trading.result(order, "0", Outcome.UNFILLED))
    trading.machine.swept(Listing(began, (), None), trading.now)
    trading.advance(2)
    trading.sweep()
    assert not trading.state.flat
    trading.advance(2)
    trading.sweep()
    assert trading.state.flat


def test_what_is_left_has_a_hash_that_follows_its_content(trading):
    """An operator accepts exactly what was shown."""
    trading.settle(trading.result(submit(trading), "0.001"))
    trading.kill()
    trading.flatten_out()
    first = trading.state.residual
    assert first.positions == {PERP_BTC: Decimal("0.001")}
    assert first.orders == ()
    trading.flatten_out()
    assert trading.state.residual is first, "the same residual is claimed once"
    trading.advance(60)
    assert trading.reset(residual="0" * 16).code == "RESET_NOT_FLAT"
    assert trading.reset(residual="").code == "RESET_NOT_FLAT"
    assert trading.reset() is None
    assert trading.state.positions == {}
    assert trading.state.phase_name == "DISARMED"
    assert not trading.state.flat, "taken over is not proven flat"


def test_an_unreachable_venue_leaves_a_residual_after_a_minute(trading):
    """Never FLAT; the sweep goes on for ever."""
    order = submit(trading)
    trading.machine.unknown(order, "timeout", trading.now)
    trading.kill()
    trading.sweep(problem="UPBIT: cannot connect")
    trading.advance(59.9)
    trading.sweep(problem="UPBIT: cannot connect")
    assert trading.state.residual is None
    trading.advance(0.1)
    trading.sweep(problem="UPBIT: cannot connect")
    assert trading.state.residual.orders == (order.client_order_id,)
    assert trading.machine.needs_sweep


def test_rounds_come_at_their_seconds(trading):
    """0, 2, 5, 15, 30, 60, 90: for ever."""
    trading.kill()
    began, seen = trading.now.boot_ns, []
    for _ in range(1000):
        if trading.machine.sweep_due(trading.now):
            seen.append((trading.now.boot_ns - began) // 10**9)
            trading.sweep("gkx")
        trading.advance(0.1)
    assert seen == [0, 2, 5, 15, 30, 60, 90]


def test_a_running_session_is_not_swept(trading):
    """Only a halt is."""
    assert not trading.machine.sweep_due(trading.now)
    trading.sweep()
    trading.advance(2)
    trading.sweep()
    assert not trading.state.flat


def left(bench):
    """Kill with a long and a short position, and let the halt claim the residual."""
    bench.settle(bench.result(submit(bench), "0.001"))
    upbit = {
        "instrument": UPBIT_BTC,
        "side": Side.SELL,
        "price": Decimal(13_990_000),
        "quoted_price": Decimal(13_990_000),
        "group_id": "group-0001",
        "leg": "b",
    }
    bench.settle(bench.result(submit(bench, "intent-0002", **upbit), "0.001"))
    bench.kill()
    bench.flatten_out()
    return bench.state.residual.sha256


def test_flatten_closes_exactly_what_is_left(trading):
    """Limit IOC inside 300 bps, reducing, one for each position (V13)."""
    orders = trading.machine.flatten(left(trading), trading.now)
    assert [(o.intent.instrument, o.intent.side, o.intent.quantity) for o in orders] == [
        (PERP_BTC, Side.SELL, Decimal("0.001")),
        (UPBIT_BTC, Side.BUY, Decimal("0.001")),
    ]
    sell, buy = (o.intent.price for o in orders)
    assert (sell, buy) == (Decimal("9700.0"), Decimal(14_420_000))
    assert all(o.reducing and o.session_id == flatten.SESSION for o in orders)
    assert all(trading.machine.recheck(o, trading.now) is None for o in orders)
    for order in orders:
        trading.settle(trading.result(order, "0.001"))
    assert trading.state.positions == {}
    trading.flatten_out()
    assert trading.state.flat
    trading.advance(60)
    assert trading.reset() is None


def test_flatten_needs_the_hash_and_no_session(trading):
    """Never by accident, never beside an engine."""
    assert trading.machine.flatten("", trading.now).code == "FLATTEN_LIVE"
    left(trading)
    assert trading.machine.flatten("wrong", trading.now).code == "FLATTEN_HASH"


def test_flatten_gives_up_after_three_tries(trading):
    """Then a person has to look."""
    sha256 = left(trading)
    for number in (1, 2, 3):
        orders = trading.machine.flatten(sha256, trading.now)
        assert all(o.intent.intent_id.endswith(f"-{number}") for o in orders)
        assert trading.machine.flatten(sha256, trading.now).code == "FLATTEN_HASH"
        for order in orders:
            trading.settle(trading.result(order, "0", Outcome.UNFILLED))
        trading.flatten_out()
    assert trading.machine.flatten(sha256, trading.now).code == "FLATTEN_REFUSED"


@pytest.mark.parametrize("spoil", ["old price", "no price", "no rules", "journal"])
def test_flatten_refuses_what_it_cannot_price(trading, spoil):
    """A blind order is no way out."""
    sha256 = left(trading)
    state = trading.state
    if spoil == "old price":
        trading.advance(10.001)
    elif spoil == "no price":
        state.references.clear()
    elif spoil == "no rules":
        state.instruments.clear()
    else:
        state.journal_failed = True
    refusal = trading.machine.flatten(sha256, trading.now)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "FLATTEN_REFUSED"


def test_a_flattening_order_is_aborted_when_a_session_opened(paper):
    """The recheck asks the flattener's own conditions."""
    paper.open()
    paper.settle(paper.result(submit(paper), "0.001"))
    paper.machine.close("engine", paper.now)
    paper.flatten_out()
    (order,) = paper.machine.flatten(paper.state.residual.sha256, paper.now)
    assert order.own
    paper.open(session_id="session-2")
    assert paper.machine.recheck(order, paper.now).outcome is Outcome.VETOED


def test_an_order_that_is_not_reserved_is_never_written(trading):
    """V7: what was settled or never sent cannot reach the wire."""
    order = submit(trading)
    trading.settle(trading.result(order, "0", Outcome.UNFILLED))
    with pytest.raises(RuntimeError, match="not reserved"):
        trading.machine.recheck(order, trading.now)


def passing(bench, *, ran_s=270, wins=1, losses=0, usd="1", cause="hard_deadline"):
    """Let a smoke session end after ran_s with these books, and be proven flat."""
    for _ in range(ran_s):
        bench.advance(1)
        bench.refresh()
        bench.beat(pnl_usd=float(usd))
    ledger = bench.state.ledger
    ledger.wins, ledger.losses, ledger.cash_usd = wins, losses, Decimal(usd)
    if cause == "kill":
        bench.kill()
    else:
        bench.machine.close(cause, bench.now)
    bench.flatten_out()
    return bench.state.ladder.get("smoke")


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, True),
        ({"ran_s": 269}, False),
        ({"wins": 0}, False),
        ({"wins": 3, "losses": 7}, True),
        ({"wins": 29, "losses": 71}, False),
        ({"usd": "-10"}, True),
        ({"usd": "-10.01"}, False),
        ({"cause": "kill"}, False),
    ],
)
def test_a_stage_is_passed_by_the_gatekeepers_own_books(trading, changes, passes):
    """Time, round trips, wins and result; never what an engine reports."""
    passed = passing(trading, **changes)
    assert (passed is not None) is passes
    if passes:
        assert passed == (trading.now.wall_ns - 2 * 10**9, COMMIT)
        assert Kind.PASS in kinds(trading)


def test_a_session_that_left_something_passes_nothing(trading):
    """The pass is recorded with FLAT, or not at all."""
    trading.settle(trading.result(submit(trading), "0.001"))
    assert passing(trading) is None


def test_only_a_continuous_session_is_renewed(trading):
    """Four hours more, a day in all, by an operator."""
    assert trading.machine.renew(trading.now, "test").code == "NOT_CONTINUOUS"
    phase = trading.state.phase
    trading.state.phase = replace(phase, session=replace(phase.session, stage="continuous"))
    assert trading.machine.renew(trading.now, "test") is None
    hour = 3_600 * 10**9
    assert trading.state.session.hard_deadline_ns == trading.now.boot_ns + 4 * hour
    opened = trading.state.session.opened_ns
    trading.state.phase = replace(
        phase,
        session=replace(
            phase.session, stage="continuous", opened_ns=opened - 22 * hour, hard_deadline_ns=None
        ),
    )
    assert trading.machine.renew(trading.now, "test") is None
    assert trading.state.session.hard_deadline_ns == opened + 2 * hour


def test_a_note_changes_nothing(trading):
    """Sweeps, reconciliations and self-tests are for the record only."""
    trading.machine.note(Kind.SWEEP, resting=[])
    with pytest.raises(ValueError, match="not a note"):
        trading.machine.note(Kind.RESET)


def test_an_engine_cannot_pose_as_the_flattener(trading, paper):
    """Neither under its session's name nor under its orders' names."""
    asked = SessionOpen(1, flatten.SESSION, "paper", CONFIG, (PERP_BTC,))
    assert paper.machine.open_session(asked, paper.now).code == "BAD_SCHEMA"
    denied = trading.machine.order(trading.intent("flat-1-x-1"), trading.now)
    assert denied.reason is DenyReason.BAD_SCHEMA
    order = submit(trading)
    trading.kill()
    assert trading.machine.recheck(order, trading.now).code == "KILLED"


def test_a_residual_is_void_as_soon_as_something_moves(trading):
    """What was accepted is what was shown, to the last lot."""
    trading.settle(trading.result(submit(trading), "0.001"))
    trading.later()
    hedge = {"group_id": "group-0001", "leg": "b", "side": Side.SELL, "instrument": UPBIT_BTC}
    price = Decimal(13_990_000)
    doubt = submit(trading, "intent-0002", price=price, quoted_price=price, **hedge)
    trading.unknown(doubt)
    trading.kill()
    trading.advance(60)
    trading.sweep()
    shown = trading.state.residual.sha256
    trading.settle(trading.result(doubt, "0.001"))
    assert trading.reset(residual=shown).code == "RESET_NOT_FLAT"
    assert set(trading.state.positions) == {PERP_BTC, UPBIT_BTC}


def test_a_broken_journal_is_never_flat(trading):
    """Nobody knows what its missing lines held."""
    trading.kill()
    trading.state.journal_failed = True
    trading.flatten_out()
    assert not trading.state.flat


def test_a_day_of_continuous_sessions_has_one_budget(live):
    """What the sessions of a UTC day used up is not there for the next one."""
    live.state.day = Day(live.now.wall_ns // DAY_NS, Decimal(1_000), Decimal(3), 9_000)
    live.state.phase = Armed("continuous", Decimal(600), live.now.boot_ns + 10**12)
    caps = live.open("continuous").caps
    assert (caps.turnover_usd, caps.loss_usd, caps.orders) == (11_000, 3, 1_000)
    live.state.day = replace(live.state.day, orders=10_000)
    live.state.phase = Armed("continuous", Decimal(600), live.now.boot_ns + 10**12)
    assert live.open("continuous").code == "DAY_SPENT"
    live.state.day = replace(live.state.day, number=live.state.day.number - 1)
    assert live.open("continuous").caps.orders == 10_000


def test_a_session_adds_to_its_day(trading):
    """Turnover, orders and loss, summed over the day's sessions."""
    trading.settle(trading.result(submit(trading), "0.001"))
    trading.close()
    day = trading.state.day
    assert (day.number, day.orders, day.turnover_usd) == (trading.now.wall_ns // DAY_NS, 1, 10)
    assert 0 < day.loss_usd < 1


def test_boot_clocks_begin_anew_with_the_host(live):
    """A lock and a dwell are counted from the restart, never forgotten."""
    live.state.arm_locked_until_ns = live.now.boot_ns + 10 * DAY_NS
    live.state.phase = Killed("TEST", live.now.boot_ns + 10 * DAY_NS)
    live.machine.recovered(live.now)
    assert live.state.phase.since_ns == live.now.boot_ns
    assert live.reset().code == "RESET_DWELL"
    live.advance(60)
    live.flatten_out()
    assert live.reset() is None
    assert live.arm().code == "ARM_LOCKED"
    live.advance(600)
    live.refresh()
    assert live.arm() is None


def test_a_stage_trades_no_more_assets_than_it_may(live):
    """Ten in smoke: the list is the engine's, its length is not."""
    live.arm()
    many = tuple(f"UPBIT:KRW-A{number}" for number in range(11))
    btc = live.state.instruments[UPBIT_BTC]
    live.state.instruments.update(dict.fromkeys(many, btc))
    asked = SessionOpen(1, "session-1", "smoke", CONFIG, many)
    assert live.machine.open_session(asked, live.now).code == "SYMBOL"
    asked = SessionOpen(1, "session-1", "smoke", CONFIG, many[:10])
    assert isinstance(live.machine.open_session(asked, live.now), Session)


def test_old_answers_are_forgotten_but_not_that_they_were_given(paper, monkeypatch):
    """Memory is bounded; an id is used once for ever (V7)."""
    monkeypatch.setattr(records, "SETTLED_KEPT", 1)
    paper.open()
    for number in (1, 2):
        paper.settle(paper.result(submit(paper, f"intent-000{number}"), "0", Outcome.UNFILLED))
        paper.later()
    assert list(paper.state.settled) == ["intent-0002"]
    denied = paper.machine.order(paper.intent("intent-0001"), paper.now)
    assert denied.reason is DenyReason.ID_CONFLICT
