"""Spread arithmetic against hand-computed examples and what must always hold."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock_engine.decide.spread import BPS, Direction, Fees, Premium, edge_bps, premium

FEES = Fees(5.0, 5.0)
prices = st.floats(1e-6, 1e9, allow_nan=False)
rates = st.floats(900, 2500)
widths = st.floats(0, 0.05)
premiums = st.floats(-3000, 3000)


def test_hand_computed_premiums():
    # Buying 1 on Upbit costs 1,428,000 KRW = 1,020 USDT at 1,400; selling it at 1,000: +200 bps.
    # Selling it yields 1,414,000 KRW = 1,010 USDT at 1,400; buying it costs 1,001: +89.91 bps.
    got = premium(
        1_414_000, 1_428_000, binance_bid=1000, binance_ask=1001, fx_bid=1400, fx_ask=1400
    )
    assert got.buy == pytest.approx(200.0)
    assert got.sell == pytest.approx((1010 / 1001 - 1) * 1e4)
    assert got.cost == pytest.approx(got.buy - got.sell)


def test_fx_spread_is_paid_in_both_directions():
    got = premium(
        1_400_000, 1_400_000, binance_bid=1000, binance_ask=1000, fx_bid=1399, fx_ask=1401
    )
    assert got.buy == pytest.approx((1400 / 1399 - 1) * BPS)
    assert got.sell == pytest.approx((1400 / 1401 - 1) * BPS)
    assert got.cost > 14.0


def test_a_round_trip_pays_four_fees():
    assert edge_bps(Direction.BUY_UPBIT, 100.0, exit_premium_bps=150.0, fees=FEES) == 30.0
    assert edge_bps(Direction.SELL_UPBIT, 150.0, exit_premium_bps=100.0, fees=FEES) == 30.0
    assert edge_bps(Direction.BUY_UPBIT, 150.0, exit_premium_bps=100.0, fees=FEES) == -70.0


@given(usd=prices, width=widths, fx=rates, fx_width=widths, shift=st.floats(-0.2, 0.2))
def test_crossing_every_spread_never_gains(usd, width, fx, fx_width, shift):
    krw = usd * fx * (1 + shift)
    got = premium(
        krw,
        krw * (1 + width),
        binance_bid=usd,
        binance_ask=usd * (1 + width),
        fx_bid=fx,
        fx_ask=fx * (1 + fx_width),
    )
    assert got.cost >= -1e-6
    assert got.sell - 1e-6 <= got.mid <= got.buy + 1e-6


@given(bid=prices, ask=prices, usd_bid=prices, usd_ask=prices, fx_bid=rates, fx_ask=rates)
def test_premiums_are_the_exact_ratios(*, bid, ask, usd_bid, usd_ask, fx_bid, fx_ask):
    got = premium(bid, ask, binance_bid=usd_bid, binance_ask=usd_ask, fx_bid=fx_bid, fx_ask=fx_ask)
    exact_buy = (Fraction(ask) / (Fraction(fx_bid) * Fraction(usd_bid)) - 1) * 10_000
    exact_sell = (Fraction(bid) / (Fraction(fx_ask) * Fraction(usd_ask)) - 1) * 10_000
    assert got.buy == pytest.approx(float(exact_buy), rel=1e-9, abs=1e-7)
    assert got.sell == pytest.approx(float(exact_sell), rel=1e-9, abs=1e-7)


@given(entry=premiums, leave=premiums)
def test_the_two_directions_are_antisymmetric_before_fees(entry, leave):
    free = Fees(0.0, 0.0)
    one = edge_bps(Direction.BUY_UPBIT, entry, exit_premium_bps=leave, fees=free)
    other = edge_bps(Direction.SELL_UPBIT, entry, exit_premium_bps=leave, fees=free)
    assert one == -other


@given(
    direction=st.sampled_from(Direction),
    entry=premiums,
    leave=premiums,
    fee=st.floats(0, 50),
    more=st.floats(0, 50),
)
def test_higher_fees_never_help(direction, entry, leave, fee, more):
    cheap = edge_bps(direction, entry, exit_premium_bps=leave, fees=Fees(fee, fee))
    dear = edge_bps(direction, entry, exit_premium_bps=leave, fees=Fees(fee + more, fee))
    assert dear <= cheap


def test_each_direction_gets_its_own_premium():
    both = Premium(120.0, 80.0)
    assert both.executable(Direction.BUY_UPBIT) == 120.0
    assert both.executable(Direction.SELL_UPBIT) == 80.0
    assert Direction.BUY_UPBIT.opposite is Direction.SELL_UPBIT
    assert Direction.SELL_UPBIT.opposite is Direction.BUY_UPBIT
