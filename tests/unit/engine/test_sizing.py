"""Quantities and limits that both venues accept."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.fakes import PERP_ETH, ROUTE, UPBIT_ETH

from interlock_core.instrument import Side
from interlock_engine.decide import sizing, universe
from interlock_engine.decide.universe import Candidate

KRW, USDT = Decimal(2_801_000), Decimal(2_000)
usd = st.decimals(min_value=1, max_value=5_000, places=2)
lots = st.sampled_from([Decimal(x) for x in ("0.00001", "0.001", "0.01", "0.1", "1", "10", "1000")])
steps = st.sampled_from([Decimal(x) for x in ("0.00000001", "0.0001", "0.01", "1")])


def test_hand_computed_quantity():
    got = sizing.quantity(Decimal(251), UPBIT_ETH, PERP_ETH, upbit_krw=KRW, binance_usdt=USDT)
    assert got == Decimal("0.125")


@pytest.mark.parametrize("notional", ["1", "24"])
def test_what_is_below_a_minimum_with_room_is_no_quantity(notional):
    # 24 USD is 0.012 ETH, above the minimum of 20 USDT but not by a quarter.
    sized = sizing.quantity(
        Decimal(notional), UPBIT_ETH, PERP_ETH, upbit_krw=KRW, binance_usdt=USDT
    )
    assert sized is None


def test_lots_that_do_not_divide_each_other_are_refused():
    odd = replace(PERP_ETH, lot=Decimal("0.003"))
    other = replace(UPBIT_ETH, lot=Decimal("0.002"))
    assert sizing.quantity(Decimal(250), other, odd, upbit_krw=KRW, binance_usdt=USDT) is None


@given(notional=usd, lot=lots, step=steps, price=st.decimals("0.01", "100000", places=2))
def test_a_quantity_is_on_both_lots_and_within_the_notional(notional, lot, step, price):
    binance = replace(PERP_ETH, lot=lot, min_quantity=lot, max_quantity=Decimal(10**9))
    upbit = replace(UPBIT_ETH, lot=step)
    got = sizing.quantity(notional, upbit, binance, upbit_krw=price * 1400, binance_usdt=price)
    if got is None:
        return
    assert got % lot == 0
    assert got % step == 0
    assert 0 < got * price <= notional
    assert notional - got * price < max(lot, step) * price


@given(
    price=st.decimals("0.00001", "200000000", places=5),
    collar=st.decimals("1", "280", places=1),
    side=st.sampled_from(Side),
)
def test_a_limit_is_on_the_grid_and_between_touch_and_collar(price, collar, side):
    touch = UPBIT_ETH.round_price(price, Side.SELL)
    if touch <= 0:
        return
    limit = sizing.limit_price(UPBIT_ETH, side, touch, collar)
    assert limit % UPBIT_ETH.tick_at(limit) == 0
    if side is Side.BUY:
        assert touch <= limit <= touch * (1 + collar / 10_000)
    else:
        assert touch * (1 - collar / 10_000) <= limit <= touch


def test_the_notional_leaves_room_below_the_cap():
    assert sizing.notional_within(Decimal(250), Decimal(1000)) == 250
    lowered = sizing.notional_within(Decimal(250), Decimal(100))
    assert lowered * Decimal("1.01") * Decimal("1.0015") * Decimal("1.0045") <= 100


def _candidate(asset, volume, **rules):
    route = replace(ROUTE, asset=asset, binance=replace(PERP_ETH, **rules))
    return Candidate(route, volume, KRW, USDT)


def test_the_universe_is_the_largest_that_fit():
    found = universe.select(
        [
            _candidate("SMALL", 1.0),
            _candidate("BIG", 9.0),
            _candidate("COARSE", 8.0, lot=Decimal(1), min_quantity=Decimal(1)),
            _candidate("MID", 5.0),
        ],
        2,
        Decimal(250),
    )
    assert [route.asset for route in found.routes] == ["BIG", "MID"]
    assert [asset for asset, _ in found.left_out] == ["COARSE"]


def test_the_smaller_venues_volume_ranks():
    assert universe.volume_usd(1_400_000.0, 5_000.0, 1400.0) == 1000.0
    assert universe.volume_usd(1_400_000.0, 500.0, 1400.0) == 500.0
