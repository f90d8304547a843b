"""The main path: from books to decisions, and what the trader makes of them."""

import asyncio
from decimal import Decimal

from tests.unit.engine.fakes import fill, veto
from tests.unit.engine.world import World

from interlock_core.clock import NS_PER_S
from interlock_core.reasons import ExitReason, GuardTrigger
from interlock_engine.account.position import Phase
from interlock_engine.decide.spread import Direction
from interlock_engine.execute.legs import CARRY_USD


async def _entered(premium_bps=0.0):
    world = World()
    world.warm_up()
    world.step(premium_bps)
    await world.settle()
    return world


async def test_a_deviation_opens_both_legs_and_a_return_closes_them_with_a_gain():
    world = await _entered()
    position = world.state.position
    assert position is not None
    assert position.direction is Direction.BUY_UPBIT
    assert position.held == {"a": Decimal("0.124"), "b": Decimal("-0.124")}
    world.step(95.0)
    await world.settle()
    assert world.state.position is None
    (trip,) = world.score.last_trips
    assert trip.exit_reason is ExitReason.TAKE_PROFIT
    assert trip.won
    assert world.score.realised_usd == trip.pnl_usd
    assert world.score.trades == {"entry": 2, "exit": 2}


async def test_a_high_premium_sells_on_upbit():
    world = await _entered(200.0)
    assert world.state.position is not None
    assert world.state.position.direction is Direction.SELL_UPBIT


async def test_nothing_is_entered_before_the_baseline_is_warm():
    world = World()
    for premium in (100.0, 100.0, 0.0):
        world.step(premium)
    assert not world.state.busy
    assert world.permission.asked == 0


async def test_the_gatekeeper_is_asked_before_every_entry_and_its_no_is_final():
    world = World()
    world.permission.armed = False
    world.warm_up()
    world.step(0.0)
    await world.settle()
    assert world.permission.asked == 1
    assert world.gate.sent == []
    assert world.state.position is None


async def test_an_asset_that_does_not_fit_the_sessions_cap_is_not_asked_for_at_every_frame():
    world = World()
    world.trader.planner.notional_usd = Decimal(10)
    world.warm_up()
    for _ in range(3):
        world.step(0.0)
        await world.settle()
    assert world.permission.asked == 1
    assert world.gate.sent == []


async def test_an_edge_that_is_gone_when_the_gatekeeper_answers_is_not_traded():
    world = World()
    world.warm_up()
    world.step(0.0)
    world.quote(100.0)
    world.state.update_premium(world.market.fx_book)
    await world.settle()
    assert world.permission.asked == 1
    assert world.gate.sent == []


async def test_a_busy_route_decides_nothing():
    world = World()
    world.warm_up()
    world.step(0.0)
    world.step(0.0)
    await world.settle()
    assert world.permission.asked == 1


async def test_no_entry_while_a_guard_holds_and_it_is_counted_once():
    world = World()
    world.warm_up()
    world.health.gate_ready = False
    world.step(0.0)
    world.step(0.0)
    assert not world.state.busy
    assert world.score.guards[GuardTrigger.GATE_LOST] == 1


async def test_a_crossed_book_gives_no_premium_and_no_decision():
    world = World()
    world.warm_up()
    now = world.clock.boot_ns()
    world.state.upbit.set_levels([(3e6, 1.0)], [(2.9e6, 1.0)], now)
    world.loop.step(world.state, now)
    assert world.state.premium is None
    assert world.score.guards[GuardTrigger.BOOK_CROSSED] == 1


async def test_frames_found_together_are_decided_once_on_the_newest_data():
    world = World()
    world.clock.advance(NS_PER_S)
    arrived = world.clock.boot_ns()
    for premium in (10.0, 20.0, 30.0):
        world.quote(premium)
        world.loop.touch(world.state, arrived)
    world.clock.advance(5_000)
    await asyncio.sleep(0)
    assert world.latencies == [5_000]
    assert world.loop.overtaken == 2
    assert world.state.premium is not None
    assert abs(world.state.premium.mid - 30.0) < 4.0


async def test_a_silent_venue_closes_the_position_while_a_price_is_still_usable():
    world = await _entered()
    world.clock.advance(9 * NS_PER_S)
    world.loop.watch(world.clock.boot_ns())
    await world.settle()
    assert world.score.exit_reasons["venue_health"] == 1


async def test_time_passes_also_without_frames():
    world = await _entered()
    for _ in range(12):
        world.clock.advance(6 * NS_PER_S)
        world.quote(0.0)
        world.loop.watch(world.clock.boot_ns())
        await world.settle()
    assert world.score.exit_reasons["time_limit"] == 1


async def test_a_position_is_kept_while_there_is_no_session_and_left_when_there_is():
    world = await _entered()
    world.permission.has_session = False
    world.step(100.0)
    assert not world.state.busy
    assert world.state.position is not None
    world.permission.has_session = True
    world.step(100.0)
    await world.settle()
    assert world.state.position is None


async def test_an_entry_that_was_undone_costs_money_and_cools_the_asset_down():
    world = World()
    world.gate.script = [fill(), fill("0"), fill("0"), fill("0")]
    world.warm_up()
    world.step(0.0)
    await world.settle()
    assert world.state.position is None
    assert world.score.realised_usd < 0
    assert world.score.round_trips == 0
    assert world.score.alerts["P2"] == 1
    world.step(0.0)
    assert not world.state.busy
    assert world.score.guards[GuardTrigger.ROUTE_COOLDOWN] == 1


async def test_a_residual_alerts_p0_freezes_entries_and_is_closed_when_possible():
    world = World()
    world.gate.script = [fill(), *[veto("VENUE_DOWN")] * 6]
    world.warm_up()
    world.step(0.0)
    await world.settle()
    (residual,) = world.trader.residuals
    assert residual.value_usd > CARRY_USD
    assert not residual.resolved
    assert world.score.alerts["P0"] == 1
    assert world.health.residual
    world.clock.advance(NS_PER_S)
    world.quote(0.0)
    world.trader.tend(world.clock.boot_ns())
    await world.settle()
    assert world.state.position is None
    assert residual.resolved
    assert not world.health.residual


async def test_an_exit_that_fails_is_tried_again_later_not_at_once():
    world = await _entered()
    world.gate.script = [veto("REF_STALE")] * 3
    world.step(100.0)
    await world.settle()
    sent = len(world.gate.sent)
    assert world.state.position is not None
    world.step(100.0, seconds=0.1)
    await world.settle()
    assert len(world.gate.sent) == sent
    world.step(100.0, seconds=2.0)
    await world.settle()
    assert world.state.position is None


async def test_the_end_of_a_session_closes_what_is_open():
    world = await _entered()
    await world.trader.close_all(1.0)
    assert world.state.position is None
    assert world.score.exit_reasons["session_end"] == 1


async def test_the_end_does_not_wait_for_ever_and_keeps_what_is_left_in_the_books():
    world = await _entered()
    never = asyncio.Event()

    async def hang(_intent):
        await never.wait()

    world.gate.submit = hang
    await world.trader.close_all(0.05)
    assert world.state.position is not None
    assert world.state.position.held["a"] == Decimal("0.124")


async def test_a_broken_task_is_reported_and_what_it_sent_is_asked_for():
    world = World()
    world.gate.proofs = [veto("NOT_FOUND")]
    calls = 0
    submit = world.gate.submit

    async def breaking(intent):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("broken on purpose")
        return await submit(intent)

    world.gate.submit = breaking
    world.warm_up()
    world.step(0.0)
    await world.settle()
    assert world.score.alerts["P1"] == 1
    position = world.state.position
    assert position is not None
    assert position.phase is Phase.OPENING
    assert position.held["b"] == 0
    for _ in ("prove", "go on"):
        world.clock.advance(3 * NS_PER_S)
        world.quote(0.0)
        world.trader.tend(world.clock.boot_ns())
        await world.settle()
    assert world.score.in_doubt == {}
    # By then it is too late to extend the other leg: the first one is undone.
    assert [i.purpose.value for i in world.gate.sent] == ["entry", "unwind"]
    assert world.state.position is None


async def test_a_round_trip_that_could_cost_more_than_is_left_is_not_begun():
    world = World()
    world.loss_left_usd = Decimal(6)
    world.warm_up()
    world.step(0.0)
    await world.settle()
    assert world.gate.sent == []
    assert world.score.guards[GuardTrigger.LOSS_BUDGET] == 1
    world.loss_left_usd = Decimal(10)
    world.clock.advance(11 * NS_PER_S)
    world.step(0.0)
    await world.settle()
    assert world.state.position is not None
    assert Decimal(6) < world.state.position.budget.worst_usd < Decimal(10)


async def test_what_open_round_trips_may_cost_is_taken_off_first():
    world = await _entered()
    stake = world.state.position.budget.worst_usd
    world.loss_left_usd = 2 * stake
    assert world.trader.planner.bearable_usd() == stake


async def test_a_ledger_that_cannot_be_written_begins_nothing():
    world = World()
    world.warm_up()
    world.ledger.full = True
    world.step(0.0)
    await world.settle()
    assert world.gate.sent == []
    assert world.state.position is None
