"""Upbit KRW spot. Wire facts: Upbit docs v1.6.4; ccxt signs, the readings are ours."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

import ccxt

from interlock_core.instrument import Instrument, Side, Venue
from interlock_core.money import ZERO, to_wire
from interlock_gatekeeper.state import OpenOrder
from interlock_gatekeeper.transport import Answer, Request
from interlock_gatekeeper.vault import KeyPair
from interlock_gatekeeper.venues import parse
from interlock_gatekeeper.venues.readings import (
    Absent,
    Accepted,
    Ambiguous,
    BestPrices,
    Ended,
    QueryReading,
    Refused,
    SubmitReading,
)

# Named errors that prove the order was not taken. What is not here is in doubt.
DEFINITIVE = frozenset(
    {
        "bad_request",
        "create_ask_error",
        "create_bid_error",
        "expired_access_key",
        "insufficient_funds_ask",
        "insufficient_funds_bid",
        "invalid_access_key",
        "invalid_parameter",
        "invalid_post_only",
        "invalid_price_ask",
        "invalid_price_bid",
        "invalid_query_payload",
        "invalid_time_in_force",
        "jwt_verification",
        "market_offline",
        "no_authorization_ip",
        "no_authorization_token",
        "nonce_used",
        "notfoundmarket",
        "out_of_scope",
        "over_krw_funds_ask",
        "over_krw_funds_bid",
        "under_min_total_ask",
        "under_min_total_bid",
        "validation_error",
    }
)
HTTP_TOO_MANY = 429
ENDED_STATES = ("done", "cancel")
LOT = Decimal("0.00000001")
MIN_TOTAL_KRW = Decimal(5_000)
MAX_TOTAL_KRW = Decimal(1_000_000_000)


class Upbit:
    """Requests to and readings from Upbit."""

    venue = Venue.UPBIT
    late_s = 30.0

    def __init__(self, rest_url: str, keys: KeyPair) -> None:
        self.rest_url = rest_url
        self._prefix = urlsplit(rest_url).path
        api = {"public": rest_url, "private": rest_url, "ws": ""}
        self._ccxt = ccxt.upbit({"apiKey": keys.key, "secret": keys.secret, "urls": {"api": api}})

    def order_request(self, order: OpenOrder) -> Request:
        """Return the signed request that places the order."""
        intent = order.intent
        return self._sign(
            "orders",
            "POST",
            {
                "market": intent.instrument.partition(":")[2],
                "side": "bid" if intent.side is Side.BUY else "ask",
                "ord_type": "limit",
                "time_in_force": "ioc",
                "volume": to_wire(intent.quantity),
                "price": to_wire(intent.price),
                "identifier": order.client_order_id,
            },
        )

    def read_order(self, answer: Answer) -> SubmitReading:
        """Return what the answer to an order request proves."""
        try:
            body = parse.mapping(parse.document(answer))
            if answer.status in parse.HTTP_OK:
                return Accepted(parse.text(body, "uuid"))
            if answer.status == HTTP_TOO_MANY:
                return Refused("too_many_requests", "HTTP 429")
            if answer.status in parse.HTTP_CLIENT_ERROR:
                error = parse.mapping(body.get("error"))
                name = parse.text(error, "name")
                if name in DEFINITIVE:
                    return Refused(name, str(error.get("message", ""))[:200])
                return Ambiguous(f"HTTP {answer.status} {name[:40]}")
        except ValueError as error:
            return Ambiguous(f"HTTP {answer.status}: {error}")
        return Ambiguous(f"HTTP {answer.status}")

    def query_request(self, order: OpenOrder) -> Request:
        """Return the signed request that asks for the order by client order id."""
        return self._sign("order", "GET", {"identifier": order.client_order_id})

    def read_query(self, answer: Answer) -> QueryReading:
        """Return what the answer to a query proves."""
        try:
            body = parse.mapping(parse.document(answer))
            if answer.status in parse.HTTP_OK:
                return self._read_state(body)
            error = parse.mapping(body.get("error"))
            if error.get("name") == "order_not_found":
                return Absent()
        except ValueError as error:
            return Ambiguous(f"HTTP {answer.status}: {error}")
        return Ambiguous(f"HTTP {answer.status}")

    def _read_state(self, body: dict[str, Any]) -> Ended | Accepted:
        uuid = parse.text(body, "uuid")
        if body.get("state") not in ENDED_STATES:
            return Accepted(uuid)
        filled = parse.amount(body, "executed_volume")
        if filled == ZERO:
            return parse.unfilled(uuid)
        trades = parse.rows(body.get("trades"))
        if sum((parse.amount(row, "volume") for row in trades), ZERO) != filled:
            return Accepted(uuid)
        funds = sum((parse.amount(row, "funds") for row in trades), ZERO)
        fee = parse.amount(body, "paid_fee")
        return Ended(uuid, filled, parse.average(funds, filled), fee, "KRW")

    def fills_request(self, order: OpenOrder, venue_order_id: str) -> Request | None:
        """Return None: the query carries the fills."""
        _ = order, venue_order_id
        return None

    def read_fills(self, ended: Ended, answer: Answer) -> Ended | Ambiguous:
        """Return the order as it is: the query carried its fills."""
        _ = answer
        return ended

    def instruments_request(self) -> Request:
        """Return the public request for the list of markets."""
        return Request("GET", f"{self._prefix}/v1/market/all")

    def read_instruments(self, answer: Answer) -> dict[str, Instrument]:
        """Return the KRW markets by key; their rules are the venue's documented ones."""
        found = {}
        for row in parse.rows(parse.document(answer)):
            market = parse.text(row, "market")
            quote, _, asset = market.partition("-")
            if quote == "KRW" and asset:
                instrument = Instrument(
                    venue=Venue.UPBIT,
                    symbol=market,
                    asset=asset,
                    quote="KRW",
                    tick=None,
                    lot=LOT,
                    min_quantity=ZERO,
                    max_quantity=MAX_TOTAL_KRW,
                    min_notional=MIN_TOTAL_KRW,
                    max_notional=MAX_TOTAL_KRW,
                )
                found[instrument.key] = instrument
        return found

    def prices_request(self, symbols: list[str]) -> Request:
        """Return the public bulk request for best prices."""
        query = urlencode({"markets": ",".join(symbols), "count": "1"}, safe=",")
        return Request("GET", f"{self._prefix}/v1/orderbook?{query}")

    def read_prices(self, answer: Answer) -> dict[str, BestPrices]:
        """Return best prices by market; a market without two sides is left out."""
        prices = {}
        for row in parse.rows(parse.document(answer)):
            units = parse.rows(row.get("orderbook_units"))
            if units:
                bid, ask = parse.amount(units[0], "bid_price"), parse.amount(units[0], "ask_price")
                if ZERO < bid < ask:
                    prices[parse.text(row, "market")] = BestPrices(bid, ask)
        return prices

    def _sign(self, path: str, method: str, params: dict[str, str]) -> Request:
        return parse.signed_request(self._ccxt.sign(path, ["private"], method, params))
