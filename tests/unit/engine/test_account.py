"""Positions and results: only from fills, exact, conserved."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.fakes import PERP_ETH, PERP_TOUCH, UPBIT_ETH, UPBIT_TOUCH, new_position

from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_core.reasons import ExitReason
from interlock_core.wire.gate import Purpose
from interlock_engine.account.pnl import Fill, Fx, Touch, cash_usd, mark_usd, usd
from interlock_engine.account.round_trip import finish
from interlock_engine.decide.spread import Direction

FX = Fx(Decimal(1400), Decimal(1402))
TOUCHES = {"a": UPBIT_TOUCH, "b": PERP_TOUCH}
quantities = st.decimals("0.001", "10", places=3)
krw = st.decimals("1000000", "4000000", places=0)
usdt = st.decimals("1000", "4000", places=2)


def _fill(leg, side, quantity, price, *, fee="0", currency=None, fx=FX):
    instrument = UPBIT_ETH if leg == "a" else PERP_ETH
    return Fill(
        leg=leg,
        instrument=instrument,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        fee_currency=currency or instrument.quote,
        fx=fx,
    )


def test_paid_krw_is_bought_at_the_bid_and_received_krw_sold_at_the_ask():
    assert usd(Decimal(-1400), "KRW", FX) == -1
    assert usd(Decimal(1402), "KRW", FX) == 1
    assert usd(Decimal(-5), "USDT", FX) == -5


def test_hand_computed_round_trip():
    """1 ETH: -2,800,000 KRW -1,400 fee, +2,010 USDT -1, then +2,804,000 -1,402 and -1,990 -1."""
    position = new_position()
    rows = [
        (Purpose.ENTRY, _fill("a", Side.BUY, "1", "2800000", fee="1400")),
        (Purpose.ENTRY, _fill("b", Side.SELL, "1", "2010", fee="1")),
        (Purpose.EXIT, _fill("a", Side.SELL, "1", "2804000", fee="1400")),
        (Purpose.EXIT, _fill("b", Side.BUY, "1", "1990", fee="1")),
    ]
    for purpose, fill in rows:
        position.apply(purpose, fill)
    assert position.is_flat
    # -2000 - 1 + 2010 - 1 + 2000 - 1 - 1990 - 1
    assert position.cash_usd == 16
    trip = finish(position, ExitReason.TAKE_PROFIT, touches=TOUCHES, fx=FX, closed_wall_ns=2)
    assert (trip.pnl_usd, trip.notional_usd, trip.won, trip.leftover) == (16, 2010, True, {})
    assert trip.entry_premium_bps == pytest.approx((2000 / 2010 - 1) * 1e4)
    assert trip.exit_premium_bps == pytest.approx((2000 / 1990 - 1) * 1e4)
    assert trip.pnl_bps == pytest.approx(16 / 2010 * 1e4)


def test_a_fee_in_the_asset_lowers_the_holding_not_the_cash():
    bought = _fill("b", Side.BUY, "1", "2000", fee="0.001", currency="ETH")
    assert bought.held == Decimal("0.999")
    assert cash_usd(bought) == -2000
    position = new_position(Direction.SELL_UPBIT)
    position.apply(Purpose.ENTRY, bought)
    assert position.held["b"] == Decimal("0.999")


def test_marks_take_the_bad_side_and_the_fee():
    long = mark_usd(PERP_ETH, Decimal(1), touch=PERP_TOUCH, fx=FX, with_fee=True)
    assert long == Decimal("1999.99") * (1 - Decimal("0.0005"))
    short = mark_usd(PERP_ETH, Decimal(-1), touch=PERP_TOUCH, fx=FX, with_fee=True)
    assert short == Decimal(-2000) * (1 + Decimal("0.0005"))
    assert mark_usd(PERP_ETH, ZERO, touch=PERP_TOUCH, fx=FX, with_fee=True) == 0


def test_premiums_are_unknown_before_both_legs_filled():
    position = new_position()
    position.apply(Purpose.ENTRY, _fill("a", Side.BUY, "1", "2800000"))
    assert position.entry_premium_bps() is None
    assert position.exit_premium_bps() is None
    assert position.gap == 1


fill_rows = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(Side),
        quantities,
        krw,
        usdt,
        st.decimals("0", "5", places=4),
        st.integers(1300, 1500),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(rows=fill_rows)
def test_the_result_is_conserved_against_exact_fractions(rows):
    """Cash plus marks equals what exact arithmetic says; holdings equal the sum of fills."""
    position, exact, held = new_position(), Fraction(0), {"a": Fraction(0), "b": Fraction(0)}
    for leg, side, quantity, krw_price, usdt_price, fee, bid, width in rows:
        price = krw_price if leg == "a" else usdt_price
        rate = Fx(Decimal(bid), Decimal(bid + width))
        position.apply(Purpose.ENTRY, _fill(leg, side, quantity, price, fee=str(fee), fx=rate))
        sign = -1 if side is Side.BUY else 1
        value = sign * Fraction(quantity) * Fraction(price)
        if leg == "a":
            exact += value / (bid + width if value > 0 else bid) - Fraction(fee) / bid
        else:
            exact += value - Fraction(fee)
        held[leg] -= sign * Fraction(quantity)
    assert {leg: Fraction(q) for leg, q in position.held.items()} == held
    for leg, quantity in held.items():
        touch: Touch = TOUCHES[leg]
        value = quantity * Fraction(touch.bid if quantity > 0 else touch.ask)
        exact += value / Fraction(FX.ask if value > 0 else FX.bid) if leg == "a" else value
    got = position.value_usd(TOUCHES, FX, with_fee=False)
    assert abs(Fraction(got) - exact) < Fraction(1, 10**15)
