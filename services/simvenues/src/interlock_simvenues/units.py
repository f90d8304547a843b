"""Book prices and sizes are whole numbers of 1e-8; money at the edges is Decimal."""

from __future__ import annotations

from decimal import Decimal

SCALE = 100_000_000
DIGITS = 8
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
# Wide enough that no product of two 24-digit decimals is ever rounded silently.
EXACT_PRECISION = 64


def to_decimal(units: int) -> Decimal:
    """Return units of 1e-8 as an exact decimal."""
    return Decimal(units).scaleb(-DIGITS)


def to_units(value: Decimal) -> int:
    """Return a decimal as whole units of 1e-8; what is finer is cut off."""
    return int(value.scaleb(DIGITS))


def plain(value: Decimal) -> str:
    """Return a decimal without exponent and without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def fixed(units: int, digits: int) -> str:
    """Return units of 1e-8 with a fixed number of fractional digits (0..8)."""
    if digits == 0:
        return str(units // SCALE)
    sign, magnitude = ("-", -units) if units < 0 else ("", units)
    whole, part = divmod(magnitude, SCALE)
    return f"{sign}{whole}.{part:08d}"[: len(sign) + len(str(whole)) + 1 + digits]
