"""What each stage allows. Configuration may lower these numbers; nothing raises them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from interlock_core.clock import NS_PER_MS, NS_PER_S

LEASE_NS = 3 * NS_PER_S
DEADLINE_MARGIN_NS = 2 * NS_PER_S
RESET_DWELL_NS = 60 * NS_PER_S
MAX_INTENT_AGE_NS = 500 * NS_PER_MS
MAX_REDUCING_INTENT_AGE_NS = 2 * NS_PER_S
MAX_REFERENCE_AGE_NS = 2 * NS_PER_S
MAX_REDUCING_REFERENCE_AGE_NS = 10 * NS_PER_S
MAX_FX_AGE_NS = 60 * NS_PER_S
FX_BAND_KRW = (Decimal(900), Decimal(2500))
COLLAR_BPS = Decimal(50)
REDUCING_COLLAR_BPS = Decimal(300)
MAX_EDGE_BPS = Decimal(300)
# The highest plausible USD value of a quote unit: 1 % above what is measured (section 3).
QUOTE_MARGIN = Decimal("1.01")
MAX_UNKNOWN_ORDERS = 0
ARM_TRIES = 5
ARM_TRIES_WINDOW_NS = 600 * NS_PER_S
ARM_LOCK_NS = 600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class StageLimits:
    """One step of the ramp-up; USD, and nanoseconds (None: no end by itself)."""

    gross_usd: Decimal
    order_usd: Decimal
    duration_ns: int | None


STAGE_LIMITS: Mapping[str, StageLimits] = MappingProxyType(
    {
        "paper": StageLimits(Decimal(10_000), Decimal(1_000), None),
        "smoke": StageLimits(Decimal(50), Decimal(20), 300 * NS_PER_S),
        "pilot": StageLimits(Decimal(100), Decimal(40), 1_800 * NS_PER_S),
        "hour": StageLimits(Decimal(500), Decimal(100), 3_600 * NS_PER_S),
        "continuous": StageLimits(Decimal(1_000), Decimal(200), 4 * 3_600 * NS_PER_S),
    }
)


def order_cap(limits: StageLimits, gross_usd: Decimal) -> Decimal:
    """Return the cap of one order under a session cap, in USD: never above a quarter of 1000."""
    return min(limits.order_usd, gross_usd)
