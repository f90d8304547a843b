"""Everything the gatekeeper knows, as plain values.

The phase is a sum type: each variant holds only what is valid in it. What the journal holds
changes in one place (`records.apply`), so replaying the journal rebuilds it. What was only seen
(prices, balances, telemetry) lies in `Seen` and is gone with the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from interlock_core.instrument import Instrument, Side
from interlock_core.wire.gate import OrderIntent, OrderResult
from interlock_gatekeeper.limits import Caps, Day
from interlock_gatekeeper.seen import Reference, Seen


@dataclass(frozen=True, slots=True)
class Now:
    """One reading of the clocks: wall time for people, boot time for deadlines (nanoseconds)."""

    wall_ns: int
    boot_ns: int


@dataclass(frozen=True, slots=True)
class Hold:
    """No new risk for now. `clean_since_ns` is set while its causes are gone."""

    cause: str
    since_ns: int
    clean_since_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One engine run under one lease; deadlines on the boot-time clock."""

    session_id: str
    epoch: int
    stage: str
    instruments: frozenset[str]
    pairs: Mapping[str, tuple[str, ...]]
    allocation: Mapping[str, Decimal]
    caps: Caps
    opened_ns: int
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


# Instrument, side, quantity and price.
Shape = tuple[str, Side, Decimal, Decimal]
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
    own: bool = False
    sent_ns: int = 0
    doubt_since_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """An intent that ended: the same id and body get this answer again, for ever."""

    intent_sha256: str
    result: OrderResult
    instrument: str
    side: Side


@dataclass(slots=True)
class Group:
    """One round trip of the session: what its fills hold and what they cost, in USD."""

    asset: str
    opened_ns: int
    entered: set[str] = field(default_factory=set)
    traded: set[str] = field(default_factory=set)
    held: dict[str, Decimal] = field(default_factory=dict)
    cash_usd: Decimal = Decimal(0)
    unit_usd: Decimal = Decimal(0)
    unhedged_since_ns: int | None = None
    ended: bool = False

    @property
    def gap(self) -> Decimal:
        """Return the unhedged quantity of the asset, signed."""
        return sum(self.held.values(), Decimal(0))


@dataclass(slots=True)
class Bucket:
    """A token bucket: what was left at an instant."""

    tokens: Decimal
    at_ns: int


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that left, and when."""

    at_ns: int
    intent: OrderIntent


@dataclass(slots=True)
class Ledger:
    """The running session's own books, from own fills only.

    `leftovers` is what ended round trips left together, by asset and instrument.
    """

    groups: dict[str, Group] = field(default_factory=dict)
    open_groups: dict[str, Group] = field(default_factory=dict)
    leftovers: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    held: dict[str, Decimal] = field(default_factory=dict)
    turnover_usd: Decimal = Decimal(0)
    cash_usd: Decimal = Decimal(0)
    cash: dict[str, Decimal] = field(default_factory=dict)
    traded: dict[str, Decimal] = field(default_factory=dict)
    orders: int = 0
    wins: int = 0
    losses: int = 0
    losing_streak: int = 0
    holds: int = 0
    sent: deque[Sent] = field(default_factory=deque)
    opens_ns: dict[str, list[int]] = field(default_factory=dict)
    shapes_ns: dict[Shape, int] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Residual:
    """What a halt could not prove gone; its hash is what an operator repeats to accept it."""

    orders: tuple[str, ...]
    positions: Mapping[str, Decimal]
    sha256: str


@dataclass(slots=True)
class State:
    """The whole state. `records.apply` changes it; `seen` alone is set by observers."""

    environment: str
    phase: Phase = field(default_factory=Boot)
    hold: Hold | None = None
    epoch: int = 0
    high_water_mark_ns: int = 0
    arm_failures_ns: list[int] = field(default_factory=list)
    arm_locked_until_ns: int = 0
    flat: bool = False
    residual: Residual | None = None
    earned: str | None = None
    ladder: dict[str, tuple[int, str]] = field(default_factory=dict)
    drilled_wall_ns: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    open_orders: dict[str, OpenOrder] = field(default_factory=dict)
    settled: dict[str, Settled] = field(default_factory=dict)
    intent_of: dict[str, str] = field(default_factory=dict)
    forgotten: set[int] = field(default_factory=set)
    flatten_tries: dict[str, int] = field(default_factory=dict)
    day: Day = field(default_factory=lambda: Day(0))
    positions: dict[str, Decimal] = field(default_factory=dict)
    instruments: dict[str, Instrument] = field(default_factory=dict)
    references: dict[str, Reference] = field(default_factory=dict)
    krw_per_usdt: Reference | None = None
    journal_failed: bool = False
    seen: Seen = field(default_factory=Seen)

    @property
    def session(self) -> Session | None:
        """Return the running session, if any."""
        return self.phase.session if isinstance(self.phase, Live | Paper) else None

    @property
    def holding(self) -> str | None:
        """Return why new risk is held: the first cause, and where it differs the present one."""
        if self.hold is None:
            return None
        first, present = self.hold.cause, self.seen.trigger
        return first if present in ("", first) else f"{first}, now {present}"

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


def shape_of(intent: OrderIntent) -> Shape:
    """Return what makes two orders the same order under different ids."""
    return (intent.instrument, intent.side, intent.quantity, intent.price)
