"""Messages between engine and gatekeeper, and the MAC that binds them to one session."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from interlock_core.ids import is_id
from interlock_core.instrument import Side, parse_key

SCHEMA = 1

HEADER_EPOCH = "x-interlock-epoch"
HEADER_SEQUENCE = "x-interlock-sequence"
HEADER_MAC = "x-interlock-mac"

PATH_SESSION = "/v1/session"
PATH_HEARTBEAT = "/v1/heartbeat"
PATH_ORDERS = "/v1/orders"
PATH_KILL = "/v1/kill"


class Purpose(StrEnum):
    """What the engine wants the order for; the gatekeeper never believes it to allow more."""

    ENTRY = "entry"
    EXIT = "exit"
    REPAIR = "repair"
    UNWIND = "unwind"


class Outcome(StrEnum):
    """How an order ended. `UNKNOWN` is not an end: it holds its budget until proven."""

    FILLED = "filled"
    PARTLY_FILLED = "partly_filled"
    UNFILLED = "unfilled"
    REJECTED = "rejected"
    VETOED = "vetoed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SessionOpen:
    """Ask for a session: one engine run under one lease."""

    schema: int
    session_id: str
    stage: str
    config_sha256: str
    instruments: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema: expected {SCHEMA}, was {self.schema}")
        if not is_id(self.session_id):
            raise ValueError("session_id: expected 8 to 40 of [A-Za-z0-9_-]")
        for key in self.instruments:
            parse_key(key)


@dataclass(frozen=True, slots=True)
class SessionGranted:
    """A session: its fencing epoch, its MAC key (hex), its lease and its limits in USD."""

    session_id: str
    epoch: int
    key: str
    lease_ms: int
    hard_deadline_ms: int | None
    state: str
    order_cap_usd: Decimal
    gross_cap_usd: Decimal
    loss_limit_usd: Decimal


@dataclass(frozen=True, slots=True)
class Holding:
    """What the gatekeeper's books hold of an instrument: bought, or sold short."""

    instrument: str
    side: Side
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class OwnFill:
    """What an order of the gatekeeper's own filled: it only ever reduces."""

    intent_id: str
    instrument: str
    side: Side
    filled_quantity: Decimal
    average_price: Decimal
    fee: Decimal
    fee_currency: str | None


@dataclass(frozen=True, slots=True)
class SessionBooks:
    """The gatekeeper's books, for the engine to compare with its own: all fills that are proven.

    `open_intents` are orders that are not proven ended; `own_fills` the latest of its own orders.
    """

    epoch: int
    holdings: tuple[Holding, ...]
    open_intents: tuple[str, ...]
    own_fills: tuple[OwnFill, ...]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the engine knows of itself, with every heartbeat."""

    loop_p99_ms: float
    cpu_percent: float
    memory_mb: float
    market_age_ms: float
    pnl_usd: float
    open_positions: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Renew the lease."""

    telemetry: Telemetry


@dataclass(frozen=True, slots=True)
class HeartbeatAck:
    """The lease as it now stands."""

    epoch: int
    lease_ms: int
    state: str
    hold: bool


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """One limit IOC order that the engine wants sent. Quantities in the asset, prices in quote.

    `quoted_price` is the touch the engine saw; `created_boot_ns` the boot-time clock at decision;
    `edge_bps` the net edge it claims for the round trip (zero unless purpose is entry).
    """

    schema: int
    intent_id: str
    group_id: str
    leg: str
    purpose: Purpose
    instrument: str
    side: Side
    type: str
    time_in_force: str
    quantity: Decimal
    price: Decimal
    quoted_price: Decimal
    edge_bps: Decimal
    created_boot_ns: int
    epoch: int

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema: expected {SCHEMA}, was {self.schema}")
        for name in ("intent_id", "group_id"):
            if not is_id(getattr(self, name)):
                raise ValueError(f"{name}: expected 8 to 40 of [A-Za-z0-9_-]")
        if self.leg not in ("a", "b"):
            raise ValueError("leg: expected 'a' or 'b'")
        if self.quantity <= 0 or self.price <= 0 or self.quoted_price <= 0:
            raise ValueError("quantity, price, quoted_price: expected > 0")
        parse_key(self.instrument)


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What became of an intent. Fees in `fee_currency`; `code` and `detail` say why not."""

    intent_id: str
    client_order_id: str | None
    outcome: Outcome
    code: str | None
    detail: str | None
    filled_quantity: Decimal
    average_price: Decimal
    fee: Decimal
    fee_currency: str | None
    venue_order_id: str | None
    latency_ms: float


@dataclass(frozen=True, slots=True)
class KillRequest:
    """Set the kill latch."""

    reason: str


def mac(  # the five bound parts are the protocol
    key: bytes, *, method: str, path: str, sequence: int, epoch: int, body: bytes
) -> str:
    """Return the hex HMAC-SHA256 over method, path, sequence, epoch and the body's SHA-256."""
    digest = hashlib.sha256(body).hexdigest()
    text = f"{method}|{path}|{sequence}|{epoch}|{digest}"
    return hmac.new(key, text.encode("ascii"), hashlib.sha256).hexdigest()
