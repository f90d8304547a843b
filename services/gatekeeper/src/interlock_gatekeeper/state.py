"""Everything the gatekeeper knows, as plain values.

The phase is a sum type: each variant holds only what is valid in it. The state changes in one
place (`records.apply`), so replaying the journal rebuilds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from interlock_core.instrument import Instrument, Side
from interlock_core.wire.gate import OrderIntent, OrderResult


@dataclass(frozen=True, slots=True)
class Now:
    """One reading of the clocks: wall time for people, boot time for deadlines (nanoseconds)."""

    wall_ns: int
    boot_ns: int


@dataclass(frozen=True, slots=True)
class Session:
    """One engine run under one lease; deadlines on the boot-time clock."""

    session_id: str
    epoch: int
    stage: str
    instruments: frozenset[str]
    gross_cap_usd: Decimal
    order_cap_usd: Decimal
    lease_until_ns: int
    hard_deadline_ns: int | None


@dataclass(frozen=True, slots=True)
class Boot:
    """Recovery is not done: nothing can be known."""


@dataclass(frozen=True, slots=True)
class Disarmed:
    """Live trading is off; only an operator's arm leads on."""


@dataclass(frozen=True, slots=True)
class Armed:
    """An operator armed; the window to open one session runs."""

    stage: str
    gross_cap_usd: Decimal
    until_ns: int


@dataclass(frozen=True, slots=True)
class Live:
    """A session trades real money."""

    session: Session


@dataclass(frozen=True, slots=True)
class Expired:
    """A live session ended; no new arm before every order is proven."""


@dataclass(frozen=True, slots=True)
class Killed:
    """The latch. Only a reset leads on, and never to trading."""

    cause: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class Paper:
    """Simulated venues only, for the whole life of the process."""

    session: Session | None


Phase = Boot | Disarmed | Armed | Live | Expired | Killed | Paper

PHASE_NAMES: Mapping[type, str] = {
    Boot: "BOOT",
    Disarmed: "DISARMED",
    Armed: "ARMED",
    Live: "LIVE",
    Expired: "EXPIRED",
    Killed: "KILLED",
    Paper: "PAPER",
}


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that may be travelling or open at a venue: it holds its worst-case notional."""

    client_order_id: str
    session_id: str
    intent: OrderIntent
    intent_sha256: str
    notional_usd: Decimal
    reducing: bool
    unknown: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """An intent that ended: the same id and body get this answer again, for ever."""

    intent_sha256: str
    result: OrderResult


@dataclass(frozen=True, slots=True)
class Reference:
    """The gatekeeper's own best prices of an instrument, in its quote currency."""

    bid: Decimal
    ask: Decimal
    at_ns: int


@dataclass(slots=True)
class State:
    """The whole state. Only `records.apply` and the market updates change it."""

    environment: str
    phase: Phase = field(default_factory=Boot)
    epoch: int = 0
    high_water_mark_ns: int = 0
    arm_failures_ns: list[int] = field(default_factory=list)
    arm_locked_until_ns: int = 0
    open_orders: dict[str, OpenOrder] = field(default_factory=dict)
    settled: dict[str, Settled] = field(default_factory=dict)
    intent_of: dict[str, str] = field(default_factory=dict)
    positions: dict[str, Decimal] = field(default_factory=dict)
    instruments: dict[str, Instrument] = field(default_factory=dict)
    references: dict[str, Reference] = field(default_factory=dict)
    krw_per_usdt: Reference | None = None
    journal_failed: bool = False

    @property
    def session(self) -> Session | None:
        """Return the running session, if any."""
        return self.phase.session if isinstance(self.phase, Live | Paper) else None

    @property
    def phase_name(self) -> str:
        """Return the state word used on the wire."""
        return PHASE_NAMES[type(self.phase)]

    @property
    def unknown_orders(self) -> list[OpenOrder]:
        """Return the orders whose outcome is in doubt."""
        return [order for order in self.open_orders.values() if order.unknown]


def signed(quantity: Decimal, side: Side) -> Decimal:
    """Return quantity as a position change: positive for a buy."""
    return quantity if side is Side.BUY else -quantity
