"""What a venue's answer proves. Three ways, never two: ended, refused, or in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from interlock_core.instrument import Instrument, Venue
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


SubmitReading = Ended | Accepted | Refused | Ambiguous
QueryReading = Ended | Accepted | Ambiguous | Absent


@dataclass(frozen=True, slots=True)
class BestPrices:
    """Best bid and ask of a symbol."""

    bid: Decimal
    ask: Decimal


class Adapter(Protocol):
    """What the gatekeeper needs of a venue. No I/O: requests out, answers in."""

    venue: Venue
    rest_url: str
    late_s: float

    def order_request(self, order: OpenOrder) -> Request:
        """Return the signed request that places the order."""
        ...

    def read_order(self, answer: Answer) -> SubmitReading:
        """Return what the answer to an order request proves."""
        ...

    def query_request(self, order: OpenOrder) -> Request:
        """Return the signed request that asks for the order by client order id."""
        ...

    def read_query(self, answer: Answer) -> QueryReading:
        """Return what the answer to a query proves."""
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
