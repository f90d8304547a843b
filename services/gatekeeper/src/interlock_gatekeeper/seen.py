"""What the gatekeeper measured or was told.

Nothing here survives the process, and nothing here allows: a value that is missing or old makes a
check say no. Instants are boot-time nanoseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from interlock_core.instrument import Venue
from interlock_core.wire.gate import Telemetry


@dataclass(frozen=True, slots=True)
class Reference:
    """The gatekeeper's own best prices of an instrument, in its quote currency."""

    bid: Decimal
    ask: Decimal
    at_ns: int


@dataclass(frozen=True, slots=True)
class Balances:
    """Free and total amounts per asset and signed positions per instrument, as one venue said."""

    free: Mapping[str, Decimal]
    total: Mapping[str, Decimal]
    positions: Mapping[str, Decimal]
    at_ns: int


@dataclass(slots=True)
class VenueSeen:
    """One venue, as its answers showed it."""

    filters_ns: int | None = None
    answered_ns: int | None = None
    private_ok_ns: int | None = None
    back_off_until_ns: int = 0
    shut_out_ns: int | None = None
    errors_ns: deque[int] = field(default_factory=lambda: deque(maxlen=64))
    limited_ns: int | None = None
    balances: Balances | None = None
    resting_orders: int | None = None
    clock_offset_ms: float | None = None
    clock_error_ms: float | None = None
    clock_ns: int | None = None
    key_problem: str | None = "not looked at yet"
    key_ns: int | None = None


@dataclass(slots=True)
class EngineSeen:
    """The engine, as its heartbeats showed it."""

    heartbeat_ns: int | None = None
    telemetry: Telemetry | None = None
    missing: int = 0
    slow_since_ns: int | None = None
    busy_since_ns: int | None = None
    pnl_differs_since_ns: int | None = None
    # What the engine had earned, and whether nothing was held, when this session began. In live
    # both are always nothing: only simulated trading goes on after a restart.
    pnl_before_usd: Decimal | None = None
    began_flat: bool = True


@dataclass(slots=True)
class SelfSeen:
    """This process and its surroundings."""

    lag_ms: float = 0.0
    lag_ns: int | None = None
    slow_since_ns: int | None = None
    busy_since_ns: int | None = None
    wall_step_ms: float = 0.0
    wall_step_ns: int | None = None
    anchor_ns: int | None = None
    free_bytes: int | None = None
    chain_verified: bool = False
    selftest_ns: int | None = None
    selftest_misses: tuple[str, ...] = ()
    preflight_problem: str | None = "no attestation of a preflight"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference between our books and a venue's."""

    venue: Venue
    what: str
    ours: str
    theirs: str
    forced: bool = False


@dataclass(slots=True)
class ReconSeen:
    """What comparing books with the venues showed."""

    at_ns: int | None = None
    reads: int = 0
    mismatches: tuple[Mismatch, ...] = ()
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class VerdictSeen:
    """One decision, for people to look at."""

    at_wall_ns: int
    intent_id: str
    instrument: str
    code: str
    detail: str


@dataclass(slots=True)
class Seen:
    """Everything that was only seen."""

    venues: dict[Venue, VenueSeen] = field(default_factory=dict)
    engine: EngineSeen = field(default_factory=EngineSeen)
    self: SelfSeen = field(default_factory=SelfSeen)
    recon: ReconSeen = field(default_factory=ReconSeen)
    denials_ns: deque[int] = field(default_factory=lambda: deque(maxlen=64))
    verdicts: deque[VerdictSeen] = field(default_factory=lambda: deque(maxlen=12))
    fx_samples: deque[tuple[int, Decimal]] = field(default_factory=lambda: deque(maxlen=360))
    fx_median: Decimal | None = None
    pnl_peak_usd: Decimal = Decimal(0)
    late_arrival: str | None = None
    # The cause that the triggers named last; empty where none did.
    trigger: str = ""
