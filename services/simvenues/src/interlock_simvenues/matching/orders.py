"""Orders, fills and the reasons why an order is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from interlock_core.instrument import Side

ZERO = Decimal(0)


class TimeInForce(StrEnum):
    """How long an order may rest."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


class OrderState(StrEnum):
    """Where an order stands; all but the first are terminal."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    PREVENTED = "prevented"


class Reason(StrEnum):
    """Why an order is refused, in no venue's words."""

    UNKNOWN_MARKET = "unknown_market"
    PRICE_STEP = "price_step"
    PRICE_RANGE_HIGH = "price_range_high"
    PRICE_RANGE_LOW = "price_range_low"
    QUANTITY_STEP = "quantity_step"
    QUANTITY_LOW = "quantity_low"
    QUANTITY_HIGH = "quantity_high"
    NOTIONAL_LOW = "notional_low"
    NOTIONAL_HIGH = "notional_high"
    FUNDS = "funds"
    DUPLICATE = "duplicate"
    WOULD_TAKE = "would_take"
    FILL_OR_KILL = "fill_or_kill"
    REDUCE_ONLY = "reduce_only"
    POSITION_SIDE = "position_side"
    THIN_BOOK = "thin_book"
    HALTED = "halted"


class RefusedError(Exception):
    """The order was not taken; nothing changed."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason} {detail}".strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """What a client asks for. `price` is None for a market order; `budget` is in quote currency.

    `kind` is the venue's own word for the order type and is only echoed.
    """

    symbol: str
    side: Side
    kind: str
    time_in_force: TimeInForce
    price: Decimal | None = None
    quantity: Decimal | None = None
    budget: Decimal | None = None
    client_id: str = ""
    reduce_only: bool = False
    position_side: str = "BOTH"
    self_trade: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of one order."""

    trade_id: int
    order_id: int
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    realized: Decimal
    time_ns: int

    @property
    def funds(self) -> Decimal:
        """Return price x quantity in quote currency."""
        return self.price * self.quantity


@dataclass(slots=True)
class Order:
    """An accepted order. Only the exchange that accepted it writes to it."""

    order_id: int
    new: NewOrder
    created_ns: int
    updated_ns: int
    state: OrderState = OrderState.OPEN
    filled: Decimal = ZERO
    funds: Decimal = ZERO
    fee: Decimal = ZERO
    locked: Decimal = ZERO
    fills: list[Fill] = field(default_factory=list)

    @property
    def remaining(self) -> Decimal:
        """Return the unfilled quantity; zero for an order given as a budget."""
        return ZERO if self.new.quantity is None else self.new.quantity - self.filled

    @property
    def is_open(self) -> bool:
        """Say whether the order can still change."""
        return self.state is OrderState.OPEN


class EventKind(StrEnum):
    """What happened to an order."""

    ACCEPTED = "accepted"
    TRADED = "traded"
    CANCELED = "canceled"
    EXPIRED = "expired"
    PREVENTED = "prevented"


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One thing that happened; observers read the order at once, because it changes later."""

    kind: EventKind
    order: Order
    fill: Fill | None
    time_ns: int
