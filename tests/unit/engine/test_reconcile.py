"""Our books beside the gatekeeper's: what is understood is taken, the rest is named."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from tests.unit.engine.fakes import PERP_ETH, UPBIT_ETH, fill, veto
from tests.unit.engine.world import World

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_core.wire.gate import Holding, OwnFill, SessionBooks
from interlock_engine.execute.gate_client import GateError
from interlock_engine.execute.reconcile import Difference, Reconciler
from interlock_engine.ledger.records import Baseline, Released, Repaired
from interlock_engine.ledger.recovery import replay
from interlock_engine.observe.tally import Tally
from interlock_engine.status import Status

UPBIT, PERP = UPBIT_ETH.key, PERP_ETH.key
ODD = Decimal("0.5")


class Gatekeeper:
    """Its books, as the tests set them."""

    def __init__(self):
        self.epoch = 1
        self.held = {}
        self.own = []
        self.silent = False

    async def books(self):
        if self.silent:
            raise GateError("TIMEOUT", "no answer")
        holdings = tuple(
            Holding(key, Side.BUY if q > 0 else Side.SELL, abs(q)) for key, q in self.held.items()
        )
        return SessionBooks(self.epoch, holdings, (), tuple(self.own))


@pytest.fixture
def gatekeeper():
    return Gatekeeper()


def _reconciler(world, gatekeeper, on_begun=lambda: None):
    return Reconciler(
        gatekeeper,
        market=world.market,
        record=world.score,
        positions=world.trader,
        unconfirmed=world.unconfirmed,
        clock=world.clock,
        on_begun=on_begun,
    )


async def _holding():
    """Return a world that holds a position of 0.124 ETH."""
    world = World()
    world.warm_up()
    world.step(0.0)
    await world.settle()
    assert world.state.position is not None
    return world


def _books_of(world):
    return {UPBIT: world.state.position.held["a"], PERP: world.state.position.held["b"]}


async def test_what_was_there_before_the_session_is_its_baseline(gatekeeper):
    world = World()
    gatekeeper.held = {UPBIT: ODD}
    reconciler = _reconciler(world, gatekeeper)
    assert not reconciler.compared
    await reconciler.compare()
    assert reconciler.compared
    assert reconciler.differences == ()
    (kept,) = [r for r in world.ledger.records if isinstance(r, Baseline)]
    assert kept.holdings == (Holding(UPBIT, Side.BUY, ODD),)


async def test_books_that_agree_say_nothing(gatekeeper):
    world = await _holding()
    reconciler = _reconciler(world, gatekeeper)
    reconciler.restore((), ())
    gatekeeper.held = _books_of(world)
    await reconciler.compare()
    assert reconciler.differences == ()
    assert world.score.alerts["P0"] == 0


async def test_a_difference_is_named_once_told_and_gone_when_the_books_agree_again(gatekeeper):
    world = await _holding()
    reconciler = _reconciler(world, gatekeeper)
    reconciler.restore((), ())
    gatekeeper.held = _books_of(world) | {PERP: Decimal("-0.1")}
    for _ in range(3):
        await reconciler.compare()
    assert reconciler.differences == (Difference(PERP, "-0.124", "-0.1"),)
    assert world.score.alerts["P0"] == 1
    gatekeeper.held = _books_of(world)
    await reconciler.compare()
    assert reconciler.differences == ()


async def test_dust_of_earlier_round_trips_is_ours(gatekeeper):
    world = World()
    reconciler = _reconciler(world, gatekeeper)
    await reconciler.compare()
    world.score.dust[UPBIT] = Decimal("0.0004")
    gatekeeper.held = {UPBIT: Decimal("0.0004")}
    await reconciler.compare()
    assert reconciler.differences == ()


async def test_a_route_whose_orders_move_meanwhile_is_not_judged(gatekeeper):
    world = await _holding()
    reconciler = _reconciler(world, gatekeeper)
    reconciler.restore((), ())
    answer = gatekeeper.books

    async def moving():
        world.state.position.attempts["a"] += 1
        return await answer()

    gatekeeper.books = moving
    await reconciler.compare()
    assert reconciler.differences == ()
    gatekeeper.books = answer
    world.state.busy = True
    await reconciler.compare()
    assert reconciler.differences == ()
    world.state.busy = False
    await reconciler.compare()
    assert len(reconciler.differences) == 2


async def test_books_that_are_not_told_prove_nothing(gatekeeper):
    world = World()
    reconciler = _reconciler(world, gatekeeper)
    gatekeeper.silent = True
    await reconciler.compare()
    assert not reconciler.compared
    gatekeeper.silent = False
    await reconciler.compare()
    gatekeeper.epoch = 2
    assert not reconciler.compared


async def test_a_new_session_confirms_a_position_only_by_its_books(gatekeeper):
    world = await _holding()
    reconciler = _reconciler(world, gatekeeper)
    reconciler.restore((), ())
    reconciler.begin_session()
    number = world.state.position.number
    assert world.unconfirmed == {number}
    gatekeeper.held = _books_of(world) | {UPBIT: ODD}
    await reconciler.compare()
    assert world.unconfirmed == {number}
    gatekeeper.held = _books_of(world)
    await reconciler.compare()
    assert world.unconfirmed == set()


async def test_a_position_that_an_operator_took_over_is_let_go(gatekeeper):
    world = await _holding()
    reconciler = _reconciler(world, gatekeeper)
    reconciler.restore((), ())
    reconciler.begin_session()
    await reconciler.compare()
    assert world.state.position is None
    assert world.unconfirmed == set()
    assert reconciler.differences == ()
    assert world.score.alerts["P0"] == 1
    assert [r.held for r in world.ledger.records if isinstance(r, Released)] == [
        {UPBIT: "0.124", PERP: "-0.124"}
    ]
    # Its result so far counts, also for a process that reads it again.
    again = Tally()
    assert replay(world.ledger.records, again).trips == {}
    assert again.realised_usd == world.score.realised_usd != ZERO


async def test_a_position_that_vanishes_within_a_session_is_not_let_go_but_named(gatekeeper):
    world = await _holding()
    reconciler = _reconciler(world, gatekeeper)
    reconciler.restore((), ())
    await reconciler.compare()
    assert world.state.position is not None
    assert len(reconciler.differences) == 2


async def test_what_the_gatekeeper_reduced_itself_is_taken_into_the_position(gatekeeper):
    world = World()
    world.gate.script = [fill(), *[veto("VENUE_DOWN")] * 20]
    reconciler = _reconciler(world, gatekeeper)
    await reconciler.compare()
    world.warm_up()
    world.step(0.0)
    await world.settle()
    position = world.state.position
    (residual,) = world.trader.residuals
    gatekeeper.own = [
        OwnFill("flat-1-a", UPBIT, Side.SELL, Decimal("0.124"), Decimal(2_790_000), ZERO, "KRW")
    ]
    reconciler.begin_session()
    for _ in range(2):
        await reconciler.compare()
    assert position.held == {"a": ZERO, "b": ZERO}
    assert sum(isinstance(r, Repaired) for r in world.ledger.records) == 1
    assert world.unconfirmed == set()
    world.gate.script.clear()
    world.clock.advance(3 * NS_PER_S)
    world.quote(0.0)
    world.trader.tend(world.clock.boot_ns())
    await world.settle()
    assert world.state.position is None
    assert residual.resolved


async def test_an_own_fill_that_was_there_before_or_fits_nothing_is_not_taken(gatekeeper):
    world = await _holding()
    held = dict(world.state.position.held)
    old = OwnFill("flat-0-a", UPBIT, Side.SELL, ODD, Decimal(2_790_000), ZERO, "KRW")
    adds = OwnFill("flat-1-b", UPBIT, Side.BUY, ODD, Decimal(2_790_000), ZERO, "KRW")
    reconciler = _reconciler(world, gatekeeper)
    reconciler.restore((), ("flat-0-a",))
    gatekeeper.own, gatekeeper.held = [old, adds], _books_of(world)
    await reconciler.compare()
    assert world.state.position.held == held


async def test_heartbeats_tell_what_was_earned_in_the_gatekeepers_own_session(gatekeeper):
    """An engine that goes on after a new arm has a result that is not this session's.

    Its first heartbeat may come after its first entry: what that cost is of this session.
    """
    world = World()
    snapshots = SimpleNamespace(total_usd=Decimal(-3), recent_cpu_percent=0.0, memory_mb=1.0)
    snapshots.open_positions, snapshots.take = 0, lambda: snapshots
    begun = []
    reconciler = _reconciler(world, gatekeeper, lambda: [each() for each in begun])
    status = Status(
        market=world.market,
        guard=world.guard,
        client=gatekeeper,
        lease=world.permission,
        trader=world.trader,
        snapshots=snapshots,
        stores=None,
        reconciler=reconciler,
        venue_stale_ns=1,
    )
    begun.append(status.session_begun)
    assert status.telemetry().pnl_usd == 0
    await reconciler.compare()
    snapshots.total_usd = Decimal("-4.5")
    assert status.telemetry().pnl_usd == -1.5
    gatekeeper.epoch = 2
    assert status.telemetry().pnl_usd == 0
    await reconciler.compare()
    assert status.telemetry().pnl_usd == 0
    snapshots.total_usd = Decimal(-5)
    await reconciler.compare()
    assert status.telemetry().pnl_usd == -0.5
