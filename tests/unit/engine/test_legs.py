"""The two legs of a round trip: what is sent, what is held, whatever the gate answers."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.fakes import (
    PERP_TOUCH,
    ROUTE,
    UPBIT_TOUCH,
    fill,
    new_position,
    new_rig,
    result,
    unknown,
    veto,
)

from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_core.wire import strict
from interlock_core.wire.gate import OrderIntent, Outcome, Purpose
from interlock_engine.account.position import NEXT, Phase
from interlock_engine.decide.budget import Budget
from interlock_engine.decide.spread import Direction
from interlock_engine.execute.legs import CARRY_USD, MAX_ENTRY_COLLAR_BPS, MAX_EXIT_COLLAR_BPS

Q = Decimal("0.125")
BUY, SELL = Side.BUY, Side.SELL


async def test_sequential_entry_hedges_exactly_what_the_first_leg_filled(rig):
    position = new_position()
    await rig.legs.enter(position)
    assert rig.sent() == [("a", "entry", BUY, Q), ("b", "entry", SELL, Q)]
    assert position.held == {"a": Q, "b": -Q}


async def test_sell_upbit_mirrors_the_sides(rig):
    position = new_position(Direction.SELL_UPBIT)
    await rig.legs.enter(position)
    assert [(leg, side) for leg, _, side, _ in rig.sent()] == [("a", SELL), ("b", BUY)]


async def test_nothing_is_hedged_where_the_first_leg_filled_nothing(rig):
    rig.gate.script = [fill("0")]
    position = new_position()
    await rig.legs.enter(position)
    assert len(rig.gate.sent) == 1
    assert position.is_flat


async def test_a_veto_of_the_first_leg_ends_the_entry(rig):
    rig.gate.script = [veto("ORDER_MAX")]
    position = new_position()
    await rig.legs.enter(position)
    assert len(rig.gate.sent) == 1
    assert position.is_flat
    assert not position.fills


async def test_a_partial_first_leg_is_hedged_on_the_second_ones_lot_and_the_rest_undone(rig):
    # 0.0375 filled: the perpetual takes 0.037, the other 0.0005 (1 USD) is carried.
    rig.gate.script = [fill("0.3")]
    position = new_position()
    await rig.legs.enter(position)
    assert position.held == {"a": Decimal("0.0375"), "b": Decimal("-0.037")}
    assert rig.legs.gap_usd(position) <= CARRY_USD


async def test_a_short_second_leg_is_retried_at_a_wider_collar(rig):
    rig.gate.script = [fill(), fill("0.2")]
    position = new_position()
    await rig.legs.enter(position)
    assert rig.sent()[2] == ("b", "repair", SELL, Decimal("0.100"))
    assert rig.gate.sent[2].price < rig.gate.sent[1].price
    assert position.gap == ZERO


async def test_a_second_leg_that_stays_short_unwinds_the_first(rig):
    rig.gate.script = [fill(), fill("0"), fill("0"), fill("0")]
    position = new_position()
    await rig.legs.enter(position)
    assert rig.sent()[-1] == ("a", "unwind", SELL, Q)
    assert position.is_flat
    assert rig.legs.is_closed(position)


async def test_what_cannot_be_repaired_stays_in_the_position_as_its_gap(rig):
    rig.gate.script = [fill(), *[veto("VENUE_DOWN")] * 20]
    position = new_position()
    await rig.legs.enter(position)
    assert position.gap == Q
    assert rig.legs.gap_usd(position) > CARRY_USD
    assert len(rig.gate.sent) == 7


async def test_repair_is_bounded_also_against_slivers(rig):
    rig.gate.script = [fill(), *[fill("0.01")] * 20]
    await rig.legs.enter(new_position())
    assert len(rig.gate.sent) <= 7


async def test_an_order_in_doubt_is_waited_for_and_never_sent_again(rig):
    rig.gate.script = [unknown]
    rig.gate.proofs = [fill()]
    position = new_position()
    await rig.legs.enter(position)
    assert rig.sent() == [("a", "entry", BUY, Q), ("b", "entry", SELL, Q)]
    assert rig.notes.doubts == ["began", "ended"]
    assert position.held == {"a": Q, "b": -Q}


async def test_an_order_proven_unfilled_counts_as_nothing(rig):
    rig.gate.script = [unknown]
    rig.gate.proofs = [lambda i: result(i, ZERO, outcome=Outcome.REJECTED, code="ABSENT")]
    position = new_position()
    await rig.legs.enter(position)
    assert len(rig.gate.sent) == 1
    assert position.is_flat


async def test_while_in_doubt_nothing_is_assumed_and_nothing_else_is_sent(rig):
    proven = asyncio.Event()

    async def prove(intent):
        await proven.wait()
        return fill()(intent)

    rig.gate.script, rig.gate.prove = [fill(), unknown], prove
    position = new_position()
    task = asyncio.create_task(rig.legs.enter(position))
    while rig.notes.doubts != ["began"]:
        await asyncio.sleep(0)
    assert position.held == {"a": Q, "b": ZERO}
    assert len(rig.gate.sent) == 2
    proven.set()
    await task
    assert position.held == {"a": Q, "b": -Q}
    assert len(rig.gate.sent) == 2


async def test_simultaneous_entry_sends_both_and_repairs_the_shorter():
    rig = new_rig(sequential=False)
    rig.gate.script = [fill("0.4"), fill()]
    position = new_position()
    await rig.legs.enter(position)
    assert {leg for leg, purpose, _, _ in rig.sent() if purpose == "entry"} == {"a", "b"}
    assert rig.sent()[2] == ("a", "repair", BUY, Decimal("0.075"))
    assert position.gap == ZERO


@pytest.mark.parametrize("sequential", [True, False])
async def test_close_returns_to_flat_on_the_opposite_sides(sequential):
    rig = new_rig(sequential=sequential)
    position = new_position()
    await rig.legs.enter(position)
    assert await rig.legs.close(position)
    assert rig.sent()[2:] == [("a", "exit", SELL, Q), ("b", "exit", BUY, Q)]
    assert position.is_flat


async def test_a_partial_close_goes_on_at_wider_collars(rig):
    position = new_position()
    await rig.legs.enter(position)
    rig.gate.script = [fill("0.6"), fill("0.6")]
    assert await rig.legs.close(position)
    assert position.is_flat
    exits = [i for i in rig.gate.sent if i.purpose is Purpose.EXIT and i.leg == "a"]
    assert exits[1].price < exits[0].price


async def test_the_hedge_is_not_closed_while_the_first_leg_stays_open(rig):
    position = new_position()
    await rig.legs.enter(position)
    rig.gate.script = [fill("0")] * 3
    assert not await rig.legs.close(position)
    assert position.held == {"a": Q, "b": -Q}
    assert [leg for leg, purpose, _, _ in rig.sent() if purpose == "exit"] == ["a", "a", "a"]


async def test_without_a_price_nothing_is_sent_and_nothing_is_called_closed(rig):
    position = new_position()
    await rig.legs.enter(position)
    sent = len(rig.gate.sent)
    rig.market.missing = {"a", "b"}
    assert not await rig.legs.close(position)
    assert len(rig.gate.sent) == sent
    assert position.held["a"] == Q


async def test_a_gap_that_cannot_be_valued_is_not_small(rig):
    rig.gate.script = [fill(), *[veto("KILLED")] * 9]
    position = new_position()
    await rig.legs.enter(position)
    rig.market.missing = {"fx"}
    assert rig.legs.gap_usd(position) == Decimal("Infinity")


async def test_intents_are_what_the_gatekeeper_accepts(rig):
    position = new_position()
    await rig.legs.enter(position)
    await rig.legs.close(position)
    for intent in rig.gate.sent:
        assert strict.decode(OrderIntent, strict.encode(intent)) == intent
        assert (intent.type, intent.time_in_force, intent.epoch) == ("limit", "ioc", 1)
        instrument = ROUTE.upbit if intent.leg == "a" else ROUTE.binance
        assert instrument.problem(intent.quantity, intent.price) is None
    assert len({intent.intent_id for intent in rig.gate.sent}) == len(rig.gate.sent)
    assert [i.edge_bps for i in rig.gate.sent] == [25, 25, 0, 0]


def _filled(shares):
    return [fill(share) if share is not None else veto("RATE") for share in shares]


@given(
    shares=st.lists(st.sampled_from([None, "0", "0.008", "0.2", "0.5", "1"]), max_size=14),
    sequential=st.booleans(),
    direction=st.sampled_from(Direction),
)
def test_whatever_the_gate_answers_the_position_is_what_the_fills_say(
    shares, sequential, direction
):
    """Bounded orders, collars within the gatekeeper's bounds, no leg ever flips."""

    async def run():
        rig = new_rig(sequential=sequential)
        rig.gate.script = _filled(shares)
        position = new_position(direction)
        await rig.legs.enter(position)
        if position.phase is Phase.HOLDING:
            await rig.legs.close(position)
        return rig, position

    rig, position = asyncio.run(run())
    assert len(rig.gate.sent) <= 13
    for leg in ("a", "b"):
        fills = [(i, r) for i, r in rig.notes.settled_orders if i.leg == leg]
        running, opens = ZERO, position.entry_side(leg)
        for intent, done in fills:
            running += done.filled_quantity if intent.side is opens else -done.filled_quantity
            assert running >= 0
        assert abs(position.held[leg]) == running
    for intent in rig.gate.sent:
        touch = UPBIT_TOUCH if intent.leg == "a" else PERP_TOUCH
        opening = intent.purpose in (Purpose.ENTRY, Purpose.REPAIR)
        collar = MAX_ENTRY_COLLAR_BPS if opening else MAX_EXIT_COLLAR_BPS
        if intent.side is BUY:
            assert intent.price <= touch.ask * (1 + collar / 10_000)
        else:
            assert intent.price >= touch.bid * (1 - collar / 10_000)


async def test_every_phase_is_kept_before_what_follows_from_it(rig):
    rig.gate.script = [fill(), fill("0"), fill("0"), fill("0")]
    position = new_position()
    await rig.legs.enter(position)
    assert rig.notes.phases == ["repairing", "unwinding", "done"]
    assert [i.intent_id for i in rig.gate.sent] == rig.notes.kept


async def test_a_hedged_entry_is_held_and_its_exit_closes_it(rig):
    position = new_position()
    await rig.legs.enter(position)
    await rig.legs.close(position)
    assert rig.notes.phases == ["repairing", "holding", "closing", "done"]


def test_no_phase_leads_back_into_an_entry():
    assert set(NEXT) == set(Phase)
    for after in NEXT.values():
        assert Phase.OPENING not in after
    assert not NEXT[Phase.DONE]
    position = new_position()
    with pytest.raises(ValueError, match="cannot go from opening to closing"):
        position.move(Phase.CLOSING)


async def test_what_cannot_be_kept_is_not_begun_but_what_reduces_goes_on(rig):
    rig.notes.can_keep = False
    await rig.legs.enter(new_position())
    assert rig.gate.sent == []
    rig.notes.can_keep = True
    position = new_position()
    await rig.legs.enter(position)
    rig.notes.can_keep = False
    assert await rig.legs.close(position)


async def test_nothing_is_sent_for_a_position_that_may_not_be_ours(rig):
    position = new_position()
    await rig.legs.enter(position)
    sent = len(rig.gate.sent)
    rig.unconfirmed.add(position.number)
    assert not await rig.legs.close(position)
    assert len(rig.gate.sent) == sent
    rig.unconfirmed.clear()
    assert await rig.legs.close(position)


async def test_a_leg_that_waited_too_long_is_undone_not_extended(rig):
    def late(intent):
        rig.clock.advance(3_000_000_000)
        return fill("0")(intent)

    rig.gate.script = [fill(), late]
    position = new_position()
    await rig.legs.enter(position)
    assert [purpose for _, purpose, _, _ in rig.sent()] == ["entry", "entry", "unwind"]
    assert position.is_flat


def _budget(**bounds):
    entry = {"a": Decimal(10**9), "b": Decimal("0.01")} | bounds.get("entry", {})
    unwind = {"a": Decimal(1), "b": Decimal(10**9)} | bounds.get("unwind", {})
    return Budget(entry, unwind, 3_000_000_000, Decimal(5))


async def test_no_opening_order_goes_beyond_the_priced_bound(rig):
    bound = PERP_TOUCH.bid - Decimal("0.01")
    rig.gate.script = [fill(), fill("0.2"), fill("0"), fill("0")]
    position = new_position(budget=_budget(entry={"b": bound}))
    await rig.legs.enter(position)
    opening = [i for i in rig.gate.sent if i.leg == "b"]
    assert len(opening) == 3
    assert {i.price for i in opening} == {bound}


async def test_a_market_beyond_the_entry_bound_is_not_followed_and_the_first_leg_is_undone(rig):
    position = new_position(budget=_budget(entry={"b": PERP_TOUCH.bid + 1}))
    await rig.legs.enter(position)
    assert [(leg, purpose) for leg, purpose, _, _ in rig.sent()] == [
        ("a", "entry"),
        ("a", "unwind"),
    ]
    assert position.is_flat
    assert rig.notes.over == []


async def test_undoing_beyond_the_budget_goes_on_and_is_told(rig):
    rig.gate.script = [fill(), fill("0"), fill("0"), fill("0")]
    position = new_position(budget=_budget(unwind={"a": UPBIT_TOUCH.bid + 1}))
    await rig.legs.enter(position)
    assert position.is_flat
    assert rig.notes.over == [rig.gate.sent[-1].intent_id]
