"""What a round trip may cost at worst: a figure by hand, and that it is never too small."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.fakes import FX, PERP_ETH, PERP_TOUCH, UPBIT_ETH, UPBIT_TOUCH, leg_settings

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_engine.account.pnl import Fill, Fx, Touch, cash_usd
from interlock_engine.decide.budget import Bounds, LegPlan, price

BOUNDS = Bounds(Decimal(45), Decimal(160), Decimal(40), Decimal(200), 3 * NS_PER_S)
Q = Decimal("0.125")


def _plans(*, buy_upbit=True, upbit=UPBIT_TOUCH, perp=PERP_TOUCH):
    first, second = (Side.BUY, Side.SELL) if buy_upbit else (Side.SELL, Side.BUY)
    return {"a": LegPlan(UPBIT_ETH, first, upbit), "b": LegPlan(PERP_ETH, second, perp)}


def test_the_figure_by_hand():
    """250 USD: 45 bps in, the stop loss at 200 bps, 40 bps out, on both legs, and four fees."""
    budget = price(_plans(), Q, FX, BOUNDS)
    value = Decimal(250)
    slips = 2 * (Decimal(45) + Decimal(40)) / 10_000
    by_hand = value * (slips + Decimal("0.02") + 4 * Decimal("0.0005"))
    # Spreads of both books and of the FX rate, and ticks, come on top.
    assert by_hand - Decimal("0.2") < budget.worst_usd < by_hand + Decimal("0.7")
    assert budget.legging_ns == 3 * NS_PER_S


def test_bounds_lie_on_the_grid_beyond_the_touch():
    budget = price(_plans(), Q, FX, BOUNDS)
    assert budget.entry == {"a": Decimal(2_813_000), "b": Decimal("1991.00")}
    assert budget.unwind == {"a": Decimal(2_756_000), "b": Decimal("2032.00")}


def test_an_order_is_held_to_the_bound_and_a_worse_price_is_noticed():
    budget = price(_plans(), Q, FX, BOUNDS)
    assert budget.within_entry("a", Side.BUY, Decimal(2_900_000)) == Decimal(2_813_000)
    assert budget.within_entry("a", Side.BUY, Decimal(2_800_000)) == Decimal(2_800_000)
    assert budget.within_entry("b", Side.SELL, Decimal(1900)) == Decimal("1991.00")
    assert budget.breaks_unwind("a", Side.SELL, Decimal(2_755_000))
    assert not budget.breaks_unwind("a", Side.SELL, Decimal(2_756_000))
    assert budget.breaks_unwind("b", Side.BUY, Decimal("2032.01"))
    assert not budget.breaks_unwind("b", Side.BUY, Decimal("2032.00"))


@pytest.mark.parametrize("collar", ["1", "15", "45"])
def test_the_bounds_are_what_repair_and_unwinding_reach(collar):
    settings = replace(leg_settings(), entry_collar_bps=Decimal(collar))
    bounds = settings.bounds(200.0)
    assert bounds.entry_bps == min(Decimal(collar) * 4, Decimal(45))
    assert bounds.unwind_bps == Decimal(160)


prices = st.integers(1_000, 4_000).map(Decimal)
collars = st.integers(0, 300).map(Decimal)


@given(
    buy_upbit=st.booleans(),
    market=st.tuples(prices, st.integers(0, 20), st.integers(0, 5)),
    slips=st.tuples(collars, collars, collars, collars),
    alone=st.sampled_from(["a", "b"]),
)
def test_no_round_trip_within_its_bounds_loses_more_than_its_worst_case(
    buy_upbit, market, slips, alone
):
    """One leg undone at its bounds, and both closed at once at the exit collar, fees paid."""
    (bid, spread, fx_spread), (entry, unwind, leave, stop) = market, slips
    fx = Fx(Decimal(1400), Decimal(1400 + fx_spread))
    perp = Touch(bid, bid + Decimal(spread) / 100)
    upbit = Touch(bid * 1400 // 1000 * 1000, (bid * 1400 // 1000 + spread) * 1000)
    plans = _plans(buy_upbit=buy_upbit, upbit=upbit, perp=perp)
    budget = price(plans, Q, fx, Bounds(entry, unwind, leave, stop, 1))
    exits = price(plans, Q, fx, Bounds(entry, leave, leave, stop, 1)).unwind

    def lost(leg, closing):
        plan = plans[leg]
        fills = [(plan.side, budget.entry[leg]), (plan.side.opposite, closing[leg])]
        fee = Decimal("0.0005")
        quote = plan.instrument.quote
        return -sum(
            (
                cash_usd(Fill(leg, plan.instrument, side, Q, at, Q * at * fee, quote, fx))
                for side, at in fills
            ),
            ZERO,
        )

    cent = Decimal("0.01")
    assert lost(alone, budget.unwind) <= budget.worst_usd + cent
    assert lost("a", exits) + lost("b", exits) <= budget.worst_usd + cent
