"""The one rule that decides whether an operator's request may arm live trading.

Pure: the same arguments give the same answer. The gatekeeper, the preflight and the command line
all ask this function; only the gatekeeper's answer arms anything.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from interlock_core.clock import NS_PER_S
from interlock_core.money import from_wire
from interlock_core.reasons import ArmRefusal

ACKNOWLEDGEMENT = "I_UNDERSTAND_LIVE_RISK"
WINDOW_S = 600
MAX_AHEAD_S = 2
MIN_NOTIONAL_USD = Decimal(10)
MAX_NOTIONAL_USD = Decimal(1000)

_EPOCH = re.compile(r"[0-9]{9,11}")
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True)
class ArmRequest:
    """What an operator sent: three texts, exactly as they stood in the environment."""

    ack: str
    arm_at: str
    max_notional_usd: str


@dataclass(frozen=True, slots=True)
class ArmGrant:
    """A request that may arm: until when, and with how much."""

    arm_at_ns: int
    window_left_ns: int
    max_notional_usd: Decimal


def decide(
    request: ArmRequest, *, now_wall_ns: int, high_water_mark_ns: int
) -> ArmGrant | ArmRefusal:
    """Return the grant, or the first reason to refuse (A2 to A6 of the specification, in order).

    `high_water_mark_ns` is the largest LIVE_ARM_AT ever accepted; only a later one may arm.
    """
    if not hmac.compare_digest(request.ack.encode(), ACKNOWLEDGEMENT.encode()):
        return ArmRefusal.ARM_ACK
    arm_at_ns = parse_arm_at(request.arm_at)
    if arm_at_ns is None:
        return ArmRefusal.ARM_AT_FORMAT
    age_ns = now_wall_ns - arm_at_ns
    if age_ns < -MAX_AHEAD_S * NS_PER_S:
        return ArmRefusal.ARM_FUTURE
    if age_ns > WINDOW_S * NS_PER_S:
        return ArmRefusal.ARM_STALE
    if arm_at_ns <= high_water_mark_ns:
        return ArmRefusal.ARM_REPLAY
    notional = parse_notional(request.max_notional_usd)
    if notional is None:
        return ArmRefusal.ARM_NOTIONAL
    window_left_ns = WINDOW_S * NS_PER_S - max(age_ns, 0)
    return ArmGrant(arm_at_ns, window_left_ns, notional)


def parse_arm_at(text: str) -> int | None:
    """Return LIVE_ARM_AT in wall nanoseconds, or None where it is not an unambiguous instant.

    A time without an offset is refused: KST read as UTC is nine hours off.
    """
    if not text.isascii():
        return None
    if _EPOCH.fullmatch(text):
        return int(text) * NS_PER_S
    if not _RFC3339.fullmatch(text):
        return None
    whole, fraction = _split_fraction(text.upper().replace("Z", "+00:00"))
    try:
        seconds = round(datetime.fromisoformat(whole).timestamp())
    except (ValueError, OverflowError):
        return None
    return seconds * NS_PER_S + fraction


def _split_fraction(text: str) -> tuple[str, int]:
    match = re.search(r"\.([0-9]{1,9})", text)
    if match is None:
        return text, 0
    return text[: match.start()] + text[match.end() :], int(match.group(1).ljust(9, "0"))


def parse_notional(text: str) -> Decimal | None:
    """Return LIVE_MAX_NOTIONAL_USD in [10, 1000], or None."""
    try:
        value = from_wire(text)
    except ValueError:
        return None
    return value if MIN_NOTIONAL_USD <= value <= MAX_NOTIONAL_USD else None
