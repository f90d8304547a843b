"""How the console says times and amounts, and draws how much of a limit is used."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_UP, Decimal, DecimalException

from interlock_gatekeeper.markup import Html, el

MS, MINUTE_S, HOUR_S, DAY_S = 1_000, 60, 3_600, 86_400
UNKNOWN = "unknown"
NEAR_PERCENT = 95
FULL_PERCENT = Decimal(100)
TENTH = Decimal("0.1")
MAX_MAGNITUDE = 12  # powers of ten: the quotient of two such amounts still has its exact tenths
TONES = ("first", "second")


def time_of_day(at_ms: int) -> str:
    """Return the UTC time of day of a wall-clock instant."""
    second = at_ms // MS % DAY_S
    return f"{second // HOUR_S:02d}:{second % HOUR_S // MINUTE_S:02d}:{second % MINUTE_S:02d}"


def span(ms: int) -> str:
    """Return a length of time in the two units that matter."""
    seconds = ms // MS
    if seconds < 1:
        return f"{ms} ms"
    if seconds < MINUTE_S:
        return f"{seconds}.{ms % MS // 100} s"
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S} min {seconds % MINUTE_S:02d} s"
    return f"{seconds // HOUR_S} h {seconds % HOUR_S // MINUTE_S:02d} min"


def number(text: str | None) -> Decimal | None:
    """Return an amount of a size that money can have, or None."""
    try:
        value = Decimal(text or "")
    except DecimalException:
        return None
    plausible = value.is_finite() and (value.is_zero() or abs(value.adjusted()) <= MAX_MAGNITUDE)
    return value if plausible else None


def money(amount: str | None, *, plus: bool = False) -> str:
    """Return an amount with cents; what is no number is shown as it is."""
    value = number(amount)
    if value is None:
        return amount or UNKNOWN
    return f"{value:{'+' if plus else ''},.2f}"


def part_of(amount: str | None, limit: str | None, *, losing: bool = False) -> Decimal | None:
    """Return the used percentage of a limit, rounded up, or None where it cannot be known.

    With losing, only a negative amount uses anything.
    """
    value, most = number(amount), number(limit)
    if value is None or most is None or most <= 0:
        return None
    used = max(-value if losing else abs(value), Decimal(0))
    return (used / most * 100).quantize(TENTH, rounding=ROUND_UP)


def bar(name: str, words: str, used: Sequence[Decimal | None]) -> Html:
    """Return a named limit with its words and its bar, one tone for each share of it."""
    shares = [share for share in used if share is not None]
    total = sum(shares, Decimal(0))
    known = len(shares) == len(used)
    said, tone = _judged(total) if known else ("cannot be computed", "bad")
    drawn, at = [], Decimal(0)
    for share, colour in zip(shares, TONES, strict=False):
        width = min(share, FULL_PERCENT - at)
        drawn.append(el("rect", x=f"{at}%", width=f"{width}%", height="100%", class_=colour))
        at += width
    return el(
        "div",
        el("p", el("span", name), el("span", said, class_="said")),
        el("svg", *drawn, width="100%", height="8", aria_hidden="true"),
        el("p", words, class_="quiet"),
        class_=f"bar {tone}",
    )


def _judged(total: Decimal) -> tuple[str, str]:
    if total > FULL_PERCENT:
        return f"{total} %, over the limit", "bad"
    if total >= NEAR_PERCENT:
        return f"{total} %, near the limit", "bad"
    return f"{total} %", "fine"
