"""Exact arithmetic for money, prices and quantities: Decimal only, rounding stated at each call."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

ZERO = Decimal(0)
CENT = Decimal("0.01")
# Wide enough that no product of two 24-digit wire decimals is ever rounded silently.
EXACT_PRECISION = 64

_WIRE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


def from_wire(text: str) -> Decimal:
    """Return the decimal in a wire string, or raise ValueError.

    Plain ASCII digits only: no sign, exponent, NaN, underscore or unicode digit.
    """
    if not _WIRE.fullmatch(text) or not text.isascii():
        raise ValueError(f"expected a plain decimal such as '12.5', was {text[:40]!r}")
    return Decimal(text)


def to_wire(value: Decimal) -> str:
    """Return value as a plain decimal string without exponent or trailing zeros."""
    if not value.is_finite() or value < 0:
        raise ValueError(f"expected a finite non-negative decimal, was {value}")
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of step that is <= value."""
    return _to_multiple(value, step, ROUND_FLOOR)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of step that is >= value."""
    return _to_multiple(value, step, ROUND_CEILING)


def _to_multiple(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    if step <= 0:
        raise ValueError(f"expected a positive step, was {step}")
    with localcontext() as context:
        context.prec = EXACT_PRECISION
        return (value / step).to_integral_value(rounding=rounding) * step


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Say whether value is a whole number of steps."""
    with localcontext() as context:
        context.prec = EXACT_PRECISION
        return value % step == 0


def worst_case_notional_usd(
    quantity: Decimal, price: Decimal, *, usd_per_quote: Decimal, fee_rate: Decimal
) -> Decimal:
    """Return quantity x price x usd_per_quote x (1 + fee_rate) in USD, rounded up to a cent."""
    with localcontext() as context:
        context.prec = EXACT_PRECISION
        exact = quantity * price * usd_per_quote * (1 + fee_rate)
        return exact.quantize(CENT, rounding=ROUND_CEILING)
