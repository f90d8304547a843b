"""What each stage allows. Configuration may lower these numbers; nothing raises them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from interlock_core.clock import NS_PER_MS, NS_PER_S
from interlock_core.money import ZERO

LEASE_NS = 3 * NS_PER_S
DEADLINE_MARGIN_NS = 2 * NS_PER_S
RESET_DWELL_NS = 60 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S

MAX_INTENT_AGE_NS = 500 * NS_PER_MS
MAX_REDUCING_INTENT_AGE_NS = 2 * NS_PER_S
SAME_SHAPE_NS = 2 * NS_PER_S
MAX_FILTER_AGE_NS = 3_600 * NS_PER_S
MAX_PRIVATE_AGE_NS = 10 * NS_PER_S
MAX_REFERENCE_AGE_NS = 2 * NS_PER_S
MAX_REDUCING_REFERENCE_AGE_NS = 10 * NS_PER_S
MAX_DIVERGENCE_BPS = Decimal(100)
MAX_REDUCING_DIVERGENCE_BPS = Decimal(300)
COLLAR_BPS = Decimal(50)
REDUCING_COLLAR_BPS = Decimal(300)
MAX_FX_AGE_NS = 60 * NS_PER_S
FX_BAND_KRW = (Decimal(900), Decimal(2500))
MAX_FX_DRIFT = Decimal("0.03")
MAX_EDGE_BPS = Decimal(300)
# The highest plausible USD value of a quote unit: 1 % above what is measured (section 3).
QUOTE_MARGIN = Decimal("1.01")
REPEAT_WINDOW_NS = 300 * NS_PER_S
MAX_UNKNOWN_ORDERS = 0
MAX_BALANCE_AGE_NS = 30 * NS_PER_S
MIN_FREE_BYTES = 64 * 1024 * 1024
MAX_ANCHOR_AGE_NS = 300 * NS_PER_S
# A smaller gap cannot be traded away: both venues' minimums lie near it.
DUST_USD = Decimal(6)

# Rates that do not depend on the stage: reducing orders have a bucket of their own.
SYMBOL_RATE_PER_S = 1
SYMBOL_BURST = 2
REDUCING_RATE_PER_S = 4
REDUCING_BURST = 8

ARM_TRIES = 5
ARM_TRIES_WINDOW_NS = 600 * NS_PER_S
ARM_LOCK_NS = 600 * NS_PER_S
ARM_MAX_ANCHOR_AGE_NS = 60 * NS_PER_S
ARM_MAX_CLOCK_ERROR_MS = 500
ARM_MAX_CLOCK_AGE_NS = 90 * NS_PER_S
ARM_MAX_CHECK_AGE_NS = 60 * NS_PER_S
ARM_MAX_SELFTEST_AGE_NS = 120 * NS_PER_S
APPROVAL_WAIT_NS = 60 * NS_PER_S
APPROVAL_WINDOW_NS = 600 * NS_PER_S
LADDER_NS = 7 * DAY_NS
DRILL_NS = DAY_NS
RENEWAL_NS = 4 * 3_600 * NS_PER_S
ABSOLUTE_NS = DAY_NS

FLATTEN_TRIES = 3
# An engine that leaves a leg unhedged for so long has it closed, and is killed.
LEG_REPAIR_NS = 6 * NS_PER_S
HALT_CLEAN_GAP_NS = 2 * NS_PER_S
HALT_RESIDUAL_NS = 60 * NS_PER_S

# What a stage must show to be passed: round trips, share of wins, result in USD (ARCHITECTURE).
PASS_MARKS: Mapping[str, tuple[int, Decimal, Decimal]] = MappingProxyType(
    {
        "smoke": (1, Decimal("0.3"), Decimal(-10)),
        "pilot": (1, Decimal("0.3"), Decimal(-10)),
        "hour": (20, Decimal(0), Decimal(0)),
    }
)
PASS_SHARE_OF_TIME = Decimal("0.9")


@dataclass(frozen=True, slots=True)
class Caps:
    """What one session may do: USD, nanoseconds and counts; None where there is no limit."""

    gross_usd: Decimal
    order_usd: Decimal
    unhedged_usd: Decimal
    open_orders: int
    open_groups: int
    turnover_usd: Decimal | None
    orders: int | None
    rate_per_s: int
    burst: int
    loss_usd: Decimal
    drawdown_usd: Decimal
    gain_usd: Decimal | None
    losing_streak: int | None
    opens_per_symbol: int | None
    assets: int
    duration_ns: int | None


@dataclass(frozen=True, slots=True)
class Day:
    """What live sessions of one UTC day have used up together."""

    number: int
    turnover_usd: Decimal = ZERO
    loss_usd: Decimal = ZERO
    orders: int = 0


def _under(stage: Caps, gross_usd: Decimal) -> Caps:
    """Return a stage's caps under a smaller session cap; shares of N where the table says so."""
    gross = min(stage.gross_usd, gross_usd)
    return replace(
        stage,
        gross_usd=gross,
        order_usd=min(stage.order_usd, gross),
        unhedged_usd=min(stage.unhedged_usd, gross),
    )


SMOKE = Caps(
    gross_usd=Decimal(50),
    order_usd=Decimal(20),
    unhedged_usd=Decimal(20),
    open_orders=4,
    open_groups=2,
    turnover_usd=Decimal(500),
    orders=100,
    rate_per_s=2,
    burst=4,
    loss_usd=Decimal(5),
    drawdown_usd=Decimal(4),
    gain_usd=Decimal(25),
    losing_streak=3,
    opens_per_symbol=6,
    assets=10,
    duration_ns=300 * NS_PER_S,
)
PILOT = replace(
    SMOKE,
    gross_usd=Decimal(100),
    order_usd=Decimal(40),
    unhedged_usd=Decimal(40),
    open_orders=6,
    turnover_usd=Decimal(2_000),
    orders=600,
    losing_streak=4,
    assets=20,
    duration_ns=1_800 * NS_PER_S,
)
HOUR = replace(
    PILOT,
    gross_usd=Decimal(500),
    order_usd=Decimal(100),
    unhedged_usd=Decimal(100),
    open_orders=10,
    open_groups=5,
    turnover_usd=Decimal(10_000),
    orders=2_000,
    rate_per_s=4,
    burst=8,
    loss_usd=Decimal(10),
    drawdown_usd=Decimal(8),
    gain_usd=Decimal(50),
    losing_streak=5,
    assets=50,
    duration_ns=3_600 * NS_PER_S,
)
CONTINUOUS = replace(
    HOUR,
    gross_usd=Decimal(1_000),
    order_usd=Decimal(200),
    unhedged_usd=Decimal(250),
    turnover_usd=Decimal(20_000),
    orders=10_000,
    duration_ns=RENEWAL_NS,
)
# Simulated money: what is counted in the other stages is unlimited here.
PAPER = replace(
    HOUR,
    gross_usd=Decimal(10_000),
    order_usd=Decimal(1_000),
    unhedged_usd=Decimal(1_000),
    turnover_usd=None,
    orders=None,
    loss_usd=Decimal(500),
    drawdown_usd=Decimal(500),
    gain_usd=None,
    losing_streak=None,
    opens_per_symbol=None,
    duration_ns=None,
)
STAGE_CAPS: Mapping[str, Caps] = MappingProxyType(
    {"paper": PAPER, "smoke": SMOKE, "pilot": PILOT, "hour": HOUR, "continuous": CONTINUOUS}
)
LIVE_STAGES = ("smoke", "pilot", "hour", "continuous")


@dataclass(frozen=True, slots=True)
class Lowered:
    """What configuration lowers below the stage's caps; None leaves a cap as it is."""

    order_usd: Decimal | None = None
    unhedged_usd: Decimal | None = None
    turnover_usd: Decimal | None = None
    loss_usd: Decimal | None = None


def session_caps(stage: str, gross_usd: Decimal, lowered: Lowered | None = None) -> Caps:
    """Return the caps of a session of a stage whose gross cap is at most gross_usd."""
    caps = _under(STAGE_CAPS[stage], gross_usd)
    if stage == "continuous":
        quarter, gross = caps.gross_usd / 4, caps.gross_usd
        caps = replace(
            caps,
            order_usd=min(caps.order_usd, quarter),
            unhedged_usd=min(caps.unhedged_usd, quarter),
            turnover_usd=20 * gross,
            loss_usd=gross / 100,
            drawdown_usd=gross * 8 / 1000,
            gain_usd=gross / 20,
        )
    return _lower(caps, lowered or Lowered())


def _lower(caps: Caps, lowered: Lowered) -> Caps:
    wishes = {field.name: getattr(lowered, field.name) for field in fields(Lowered)}
    changes: dict[str, Any] = {
        name: wish if getattr(caps, name) is None else min(wish, getattr(caps, name))
        for name, wish in wishes.items()
        if wish is not None
    }
    return replace(caps, **changes)


def is_spent(day: Day, wall_ns: int) -> bool:
    """Say whether today's live sessions left nothing of a day's orders."""
    return day.number == wall_ns // DAY_NS and day.orders >= (CONTINUOUS.orders or 0)


def left_of_day(caps: Caps, day: Day, wall_ns: int) -> Caps:
    """Return a continuous session's caps less what this UTC day's live sessions used up."""
    if day.number != wall_ns // DAY_NS:
        return caps
    return replace(
        caps,
        turnover_usd=max((caps.turnover_usd or ZERO) - day.turnover_usd, ZERO),
        loss_usd=max(caps.loss_usd - day.loss_usd, ZERO),
        orders=max((caps.orders or 0) - day.orders, 0),
    )


def caps_record(caps: Caps) -> dict[str, Any]:
    """Return caps as a journal record holds them."""
    values = {field.name: getattr(caps, field.name) for field in fields(Caps)}
    return {name: str(v) if isinstance(v, Decimal) else v for name, v in values.items()}


def caps_from(record: Mapping[str, Any]) -> Caps:
    """Return the caps in a journal record."""
    values: dict[str, Any] = {
        name: Decimal(value) if isinstance(value, str) else value for name, value in record.items()
    }
    return Caps(**values)
