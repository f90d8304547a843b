"""Exact arithmetic: never silently rounded, never understated."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock_core.money import (
    ceil_to,
    floor_to,
    from_wire,
    is_multiple,
    to_wire,
    worst_case_notional_usd,
)

amounts = st.decimals(min_value="0.00000001", max_value="999999999999", places=8, allow_nan=False)
steps = st.sampled_from(
    [Decimal(s) for s in ("0.00000001", "0.001", "0.1", "0.5", "1", "5", "1000")]
)


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1e3", "NaN", "1.", ".5", "1_0", " 1", "1 ", "١", "1" * 13, "0.1234567890123"],
)
def test_only_plain_decimals_cross_the_wire(text):
    """Signs, exponents, spaces, foreign digits and excess are refused."""
    with pytest.raises(ValueError, match="plain decimal"):
        from_wire(text)


@given(amounts)
def test_the_wire_keeps_every_digit(value):
    """What is written is what is read."""
    assert from_wire(to_wire(value)) == value


@given(amounts, steps)
def test_floor_and_ceil_bracket_the_value(value, step):
    """Floor <= value <= ceil, both on the grid and less than one step away."""
    low, high = floor_to(value, step), ceil_to(value, step)
    assert low <= value <= high
    assert is_multiple(low, step)
    assert is_multiple(high, step)
    assert high - low in (Decimal(0), step)


@given(amounts, amounts, amounts, st.sampled_from(["0", "0.0005", "0.001"]))
def test_notional_is_never_below_the_exact_value(quantity, price, rate, fee):
    """The worst case is at least the exact rational value and less than a cent above it."""
    exact = Fraction(quantity) * Fraction(price) * Fraction(rate) * (1 + Fraction(fee))
    notional = worst_case_notional_usd(quantity, price, usd_per_quote=rate, fee_rate=Decimal(fee))
    assert exact <= Fraction(notional) < exact + Fraction(1, 100)
