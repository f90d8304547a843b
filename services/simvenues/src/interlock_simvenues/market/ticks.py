"""Upbit's KRW price steps (docs of 2026-05-04), in units of 1e-8."""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal

from interlock_simvenues.units import to_decimal, to_units

# price >= first -> step second, rising. Written here on purpose: the simulator shares no table
# with the services it is there to test.
_TABLE = (
    ("0", "0.00000001"),
    ("0.00001", "0.0000001"),
    ("0.0001", "0.000001"),
    ("0.001", "0.00001"),
    ("0.01", "0.0001"),
    ("0.1", "0.001"),
    ("1", "0.01"),
    ("10", "0.1"),
    ("100", "1"),
    ("1000", "1"),
    ("5000", "5"),
    ("10000", "10"),
    ("50000", "50"),
    ("100000", "100"),
    ("500000", "500"),
    ("1000000", "1000"),
)
_LOWS = [to_units(Decimal(low)) for low, _ in _TABLE]
_STEPS = [to_units(Decimal(step)) for _, step in _TABLE]


def krw_tick_units(price: int) -> int:
    """Return the step at a price, both in units of 1e-8."""
    return _STEPS[max(bisect_right(_LOWS, price) - 1, 0)]


def krw_tick(price: Decimal) -> Decimal:
    """Return the step at a price in KRW."""
    return to_decimal(krw_tick_units(to_units(price)))
