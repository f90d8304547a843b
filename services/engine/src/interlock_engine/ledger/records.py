"""What the ledger holds: one frozen record for everything that happened in a session.

A record carries what a later process needs to be where this one was. Signed amounts are text,
because a message's decimals have no sign; times are wall-clock nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from interlock_core.instrument import Side
from interlock_core.reasons import ExitReason, GuardTrigger, Severity
from interlock_core.wire import strict
from interlock_core.wire.gate import Holding, OrderIntent, OrderResult, OwnFill
from interlock_core.wire.strict import SchemaError
from interlock_engine.account.position import Phase
from interlock_engine.decide.spread import Direction

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Begun:
    """A session began."""

    schema: int
    session_id: str
    environment: str
    stage: str
    universe: str
    config_sha256: str
    started_wall_ns: int

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema: expected {SCHEMA}, was {self.schema}")


@dataclass(frozen=True, slots=True)
class Resumed:
    """Another process went on with the session."""

    at_wall_ns: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the gatekeeper's books held before the session's first order, and its own fills."""

    holdings: tuple[Holding, ...]
    own_fills: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Carried:
    """Dust of an instrument that a round trip took in, at its worth then."""

    leg: str
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal
    fx_bid: Decimal
    fx_ask: Decimal


@dataclass(frozen=True, slots=True)
class Opened:
    """A round trip was decided on; nothing was sent for it yet."""

    number: int
    asset: str
    direction: Direction
    quantity: Decimal
    edge_bps: float
    cost_bps: float
    opened_wall_ns: int
    entry: dict[str, Decimal]
    unwind: dict[str, Decimal]
    legging_ns: int
    worst_usd: Decimal
    carried: tuple[Carried, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """A round trip came to a phase."""

    number: int
    phase: Phase
    reason: ExitReason | None


@dataclass(frozen=True, slots=True)
class Sent:
    """An order is about to be sent: from here on it may exist. The rate is KRW per USDT."""

    number: int
    intent: OrderIntent
    fx_bid: Decimal
    fx_ask: Decimal


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an order is proven."""

    number: int
    result: OrderResult


@dataclass(frozen=True, slots=True)
class Repaired:
    """The gatekeeper itself reduced a position of ours."""

    number: int
    fill: OwnFill
    fx_bid: Decimal
    fx_ask: Decimal


@dataclass(frozen=True, slots=True)
class Finished:
    """A round trip ended with both legs closed."""

    number: int
    asset: str
    direction: str
    opened_wall_ns: int
    closed_wall_ns: int
    notional_usd: str
    pnl_usd: str
    exit_reason: ExitReason
    entry_edge_bps: float
    entry_premium_bps: float | None
    exit_premium_bps: float | None
    leftover: dict[str, str]


@dataclass(frozen=True, slots=True)
class Undone:
    """An entry was undone, or nothing of it ever filled."""

    number: int
    asset: str
    pnl_usd: str
    leftover: dict[str, str]


@dataclass(frozen=True, slots=True)
class Released:
    """A position is not ours any more: the gatekeeper's books do not hold it."""

    number: int
    asset: str
    pnl_usd: str
    held: dict[str, str]


@dataclass(frozen=True, slots=True)
class Unhedged:
    """A residual was found, changed its value, or was resolved."""

    number: int
    asset: str
    since: str
    value_usd: str
    why: str
    held: dict[str, str]
    resolved: bool


@dataclass(frozen=True, slots=True)
class Alerted:
    """An alert was raised."""

    severity: Severity


@dataclass(frozen=True, slots=True)
class Guarded:
    """A guard began to hold."""

    trigger: GuardTrigger


@dataclass(frozen=True, slots=True)
class Ended:
    """The session ended in order: nobody goes on with it."""

    exit_code: int


Record = (
    Begun
    | Resumed
    | Baseline
    | Opened
    | Moved
    | Sent
    | Settled
    | Repaired
    | Finished
    | Undone
    | Released
    | Unhedged
    | Alerted
    | Guarded
    | Ended
)


class Kind(StrEnum):
    """The word for each record on its line."""

    BEGUN = "begun"
    RESUMED = "resumed"
    BASELINE = "baseline"
    OPENED = "opened"
    MOVED = "moved"
    SENT = "sent"
    SETTLED = "settled"
    REPAIRED = "repaired"
    FINISHED = "finished"
    UNDONE = "undone"
    RELEASED = "released"
    UNHEDGED = "unhedged"
    ALERTED = "alerted"
    GUARDED = "guarded"
    ENDED = "ended"


TYPES: Mapping[Kind, type[Record]] = {
    Kind.BEGUN: Begun,
    Kind.RESUMED: Resumed,
    Kind.BASELINE: Baseline,
    Kind.OPENED: Opened,
    Kind.MOVED: Moved,
    Kind.SENT: Sent,
    Kind.SETTLED: Settled,
    Kind.REPAIRED: Repaired,
    Kind.FINISHED: Finished,
    Kind.UNDONE: Undone,
    Kind.RELEASED: Released,
    Kind.UNHEDGED: Unhedged,
    Kind.ALERTED: Alerted,
    Kind.GUARDED: Guarded,
    Kind.ENDED: Ended,
}
KINDS: Mapping[type[Record], Kind] = {kind_type: kind for kind, kind_type in TYPES.items()}


def to_value(record: Record) -> dict[str, Any]:
    """Return a record as a JSON value."""
    return {"kind": KINDS[type(record)].value, "data": strict.plain(record)}


def from_value(value: object) -> Record:
    """Return the record in a JSON value, or raise SchemaError."""
    if not isinstance(value, dict) or set(value) != {"kind", "data"}:
        raise SchemaError("expected a record with kind and data")
    try:
        kind = Kind(value["kind"])
    except ValueError as error:
        raise SchemaError(f"unknown kind of record {str(value['kind'])[:40]!r}") from error
    return strict.from_value(TYPES[kind], value["data"], kind)
