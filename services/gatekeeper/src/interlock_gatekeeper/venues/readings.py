"""What a venue's answer proves. Three ways, never two: ended, refused, or in doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from interlock_core.instrument import Instrument, Side, Venue
from interlock_gatekeeper.state import OpenOrder
from interlock_gatekeeper.transport import Answer, Request


@dataclass(frozen=True, slots=True)
class Ended:
    """The order is terminal at the venue with this much filled; fees in `fee_currency`."""

    venue_order_id: str
    filled_quantity: Decimal
    average_price: Decimal
    fee: Decimal
    fee_currency: str | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue has the order; it is not proven terminal, or its fills are not known yet."""

    venue_order_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue definitely did not take the order."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Nothing is proven."""

    why: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The venue does not know the client order id now, which alone proves nothing."""


# What Binance itself calls the orders that it forces on an account: liquidation, auto-deleveraging,
# settlement. No order of ours begins so.
FORCED_PREFIXES = ("autoclose-", "adl_autoclose", "settlement_autoclose-")

SubmitReading = Ended | Accepted | Refused | Ambiguous
QueryReading = Ended | Accepted | Ambiguous | Absent


@dataclass(frozen=True, slots=True)
class BestPrices:
    """Best bid and ask of a symbol."""

    bid: Decimal
    ask: Decimal


@dataclass(frozen=True, slots=True)
class Resting:
    """An order that the venue lists as open; it may have no client order id."""

    client_order_id: str | None
    venue_order_id: str
    instrument: str
    side: Side
    quantity: Decimal
    filled: Decimal


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the account owns, zeros left out.

    `free` and `total` by asset; `positions` are signed quantities by instrument key, empty on spot.
    """

    free: Mapping[str, Decimal]
    total: Mapping[str, Decimal]
    positions: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class AccountMode:
    """How a futures account trades; leverage and margin type by instrument key."""

    one_way: bool
    leverage: Mapping[str, int]
    isolated: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class KeyScopes:
    """What an API key may do; None where the venue cannot tell."""

    can_trade: bool | None
    can_withdraw: bool | None
    ip_restricted: bool | None


class Adapter(Protocol):
    """What the gatekeeper needs of a venue. No I/O: requests out, answers in.

    Readings of orders never raise. Where `client_order_id` is given, an answer that names another
    order proves nothing. Every other reading raises ValueError where it does not understand.
    """

    venue: Venue
    rest_url: str
    # The origin that answers key_scopes_requests; all else is answered at rest_url.
    scopes_url: str
    late_s: float
    clock_resolution_ms: int

    def order_request(self, order: OpenOrder) -> Request:
        """Return the signed request that places the order."""
        ...

    def read_order(self, answer: Answer, client_order_id: str | None = None) -> SubmitReading:
        """Return what the answer to an order request proves."""
        ...

    def query_request(self, order: OpenOrder) -> Request:
        """Return the signed request that asks for the order by client order id."""
        ...

    def read_query(self, answer: Answer, client_order_id: str | None = None) -> QueryReading:
        """Return what the answer to a query proves."""
        ...

    def cancel_request(self, order: OpenOrder) -> Request:
        """Return the signed request that cancels the order by client order id."""
        ...

    def read_cancel(self, answer: Answer, client_order_id: str | None = None) -> QueryReading:
        """Return what the answer to a cancel proves; absent where there was nothing to cancel."""
        ...

    def cancel_all_requests(self, instruments: Sequence[str]) -> list[Request]:
        """Return the signed requests that cancel what is open in this venue's instruments.

        Upbit needs none named: its one request covers the account.
        """
        ...

    def read_cancel_all(self, answer: Answer) -> bool:
        """Say whether all was canceled, or nothing was open."""
        ...

    def open_orders_requests(self) -> list[Request]:
        """Return the signed requests that list the account's open orders, each from page one."""
        ...

    def next_open_orders_request(self, answer: Answer, page: int) -> Request | None:
        """Return the request for the page after the given one, or None where it was the last."""
        ...

    def read_open_orders(self, answer: Answer) -> list[Resting]:
        """Return the orders on one page."""
        ...

    def holdings_requests(self) -> list[Request]:
        """Return the signed requests for balances and positions."""
        ...

    def read_holdings(self, answers: Sequence[Answer]) -> Holdings:
        """Return balances and positions."""
        ...

    def time_request(self) -> Request:
        """Return the public request that tells the venue's clock."""
        ...

    def read_time_ms(self, answer: Answer) -> int:
        """Return the venue's wall time, a multiple of `clock_resolution_ms`."""
        ...

    def set_clock_offset_ms(self, offset_ms: int) -> None:
        """Sign from now on with our clock plus offset: how far the venue's clock is ahead."""
        ...

    def account_mode_requests(self) -> list[Request]:
        """Return the signed requests for the futures mode; none on spot."""
        ...

    def read_account_mode(self, answers: Sequence[Answer]) -> AccountMode | None:
        """Return the futures mode, or None where the venue has none."""
        ...

    def key_scopes_requests(self) -> list[Request]:
        """Return the signed requests, for `scopes_url`, that tell what the key may do."""
        ...

    def read_key_scopes(self, answers: Sequence[Answer]) -> KeyScopes:
        """Return what the key may do."""
        ...

    def back_off_s(self, answer: Answer) -> float | None:
        """Return how long the venue wants no requests, or None where it did not ask."""
        ...

    def fills_request(self, order: OpenOrder, venue_order_id: str) -> Request | None:
        """Return the signed request for the order's fills, or None where the query has them."""
        ...

    def read_fills(self, ended: Ended, answer: Answer) -> Ended | Ambiguous:
        """Return the ended order with price and fee from its fills."""
        ...

    def instruments_request(self) -> Request:
        """Return the public request for the venue's markets and filters."""
        ...

    def read_instruments(self, answer: Answer) -> dict[str, Instrument]:
        """Return instruments by key; raise ValueError where the answer is not understood."""
        ...

    def prices_request(self, symbols: list[str]) -> Request:
        """Return the public bulk request for best prices."""
        ...

    def read_prices(self, answer: Answer) -> dict[str, BestPrices]:
        """Return best prices by symbol; raise ValueError where the answer is not understood."""
        ...
