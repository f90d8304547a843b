"""Binance spot and USD-M perpetual. ccxt signs; the readings are ours, by numeric code."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

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

# Codes that prove the order was not taken (docs of both markets). What is not here is in doubt:
# -1006 and -1007 say so themselves, and every HTTP 5xx is in doubt whatever its body.
DEFINITIVE = frozenset(
    {
        -1003, -1013, -1015, -1016, -1021, -1022, -1100, -1101, -1102, -1103, -1104, -1105, -1106,
        -1111, -1112, -1114, -1115, -1116, -1117, -1121, -2010, -2014, -2015, -2019, -2022, -2027,
        -2028, -4003, -4004, -4005, -4014, -4016, -4024, -4061, -4131, -4164, -4400, -5028,
    }
)  # fmt: skip
# "Duplicate" says that an order of this id exists: never a proof that nothing was taken.
DUPLICATE_TEXT = "duplicate"
NOT_FOUND = -2013
ENDED_STATES = ("FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH")
RECV_WINDOW_MS = 2_000


@dataclass(frozen=True, slots=True)
class _Market:
    """What differs between the two Binance markets."""

    venue: Venue
    api: str
    public: str
    trades: str
    response_type: str
    notional_filter: tuple[str, str]


SPOT = _Market(Venue.BINANCE, "private", "/api/v3", "myTrades", "FULL", ("NOTIONAL", "minNotional"))
PERP = _Market(
    Venue.BINANCE_PERP,
    "fapiPrivate",
    "/fapi/v1",
    "userTrades",
    "RESULT",
    ("MIN_NOTIONAL", "notional"),
)


class Binance:
    """Requests to and readings from one Binance market."""

    late_s = 15.0

    def __init__(self, market: _Market, rest_url: str, keys: KeyPair) -> None:
        self._market = market
        self.venue = market.venue
        self.rest_url = rest_url
        api = {"private": f"{rest_url}/api/v3", "fapiPrivate": f"{rest_url}/fapi/v1"}
        self._ccxt = ccxt.binance(
            {
                "apiKey": keys.key,
                "secret": keys.secret,
                "urls": {"api": api},
                "options": {"recvWindow": RECV_WINDOW_MS},
            }
        )

    def order_request(self, order: OpenOrder) -> Request:
        """Return the signed request that places the order; reducing is said on the wire."""
        intent = order.intent
        params = {
            "symbol": intent.instrument.partition(":")[2],
            "side": "BUY" if intent.side is Side.BUY else "SELL",
            "type": "LIMIT",
            "timeInForce": "IOC",
            "quantity": to_wire(intent.quantity),
            "price": to_wire(intent.price),
            "newClientOrderId": order.client_order_id,
            "newOrderRespType": self._market.response_type,
        }
        if self.venue is Venue.BINANCE_PERP and order.reducing:
            params["reduceOnly"] = "true"
        return self._sign("order", "POST", params)

    def read_order(self, answer: Answer) -> SubmitReading:
        """Return what the answer to an order request proves."""
        try:
            body = parse.mapping(parse.document(answer))
            if answer.status in parse.HTTP_OK:
                return self._read_state(body)
            if answer.status in parse.HTTP_CLIENT_ERROR:
                return _refusal(answer.status, body)
        except ValueError as error:
            return Ambiguous(f"HTTP {answer.status}: {error}")
        return Ambiguous(f"HTTP {answer.status}")

    def query_request(self, order: OpenOrder) -> Request:
        """Return the signed request that asks for the order by client order id."""
        symbol = order.intent.instrument.partition(":")[2]
        params = {"symbol": symbol, "origClientOrderId": order.client_order_id}
        return self._sign("order", "GET", params)

    def read_query(self, answer: Answer) -> QueryReading:
        """Return what the answer to a query proves."""
        try:
            body = parse.mapping(parse.document(answer))
            if answer.status in parse.HTTP_OK:
                return self._read_state(body)
            if body.get("code") == NOT_FOUND:
                return Absent()
        except ValueError as error:
            return Ambiguous(f"HTTP {answer.status}: {error}")
        return Ambiguous(f"HTTP {answer.status}")

    def _read_state(self, body: dict[str, Any]) -> Ended | Accepted:
        order_id = parse.text(body, "orderId")
        filled = parse.amount(body, "executedQty")
        if body.get("status") not in ENDED_STATES:
            return Accepted(order_id)
        # Price and fee come from the fills: the venue dropped avgPrice from these answers.
        return Ended(order_id, filled, ZERO, ZERO, None)

    def fills_request(self, order: OpenOrder, venue_order_id: str) -> Request | None:
        """Return the signed request for the order's fills."""
        symbol = order.intent.instrument.partition(":")[2]
        return self._sign(self._market.trades, "GET", {"symbol": symbol, "orderId": venue_order_id})

    def read_fills(self, ended: Ended, answer: Answer) -> Ended | Ambiguous:
        """Return the ended order with price and fee, once its fills add up to what it filled."""
        try:
            if answer.status not in parse.HTTP_OK:
                return Ambiguous(f"HTTP {answer.status}")
            trades = parse.rows(parse.document(answer))
            if sum((parse.amount(row, "qty") for row in trades), ZERO) != ended.filled_quantity:
                return Ambiguous("the fills do not add up yet")
            quote = sum((parse.amount(r, "qty") * parse.amount(r, "price") for r in trades), ZERO)
            assets = {parse.text(row, "commissionAsset") for row in trades}
            if len(assets) != 1:
                return Ambiguous(f"fees in {len(assets)} assets")
            fee = sum((parse.amount(row, "commission") for row in trades), ZERO)
        except ValueError as error:
            return Ambiguous(str(error))
        price = parse.average(quote, ended.filled_quantity)
        return Ended(ended.venue_order_id, ended.filled_quantity, price, fee, assets.pop())

    def instruments_request(self) -> Request:
        """Return the public request for symbols and filters."""
        return Request("GET", f"{self._market.public}/exchangeInfo")

    def read_instruments(self, answer: Answer) -> dict[str, Instrument]:
        """Return the tradable USDT symbols by key."""
        found = {}
        for row in parse.rows(parse.mapping(parse.document(answer)).get("symbols")):
            if self._is_traded(row):
                instrument = self._instrument(row)
                found[instrument.key] = instrument
        return found

    def _is_traded(self, row: dict[str, Any]) -> bool:
        perpetual = self.venue is Venue.BINANCE or row.get("contractType") == "PERPETUAL"
        return row.get("quoteAsset") == "USDT" and row.get("status") == "TRADING" and perpetual

    def _instrument(self, row: dict[str, Any]) -> Instrument:
        filters = {str(item.get("filterType")): item for item in parse.rows(row.get("filters"))}
        lot = parse.mapping(filters.get("LOT_SIZE"))
        name, key = self._market.notional_filter
        notional = parse.mapping(filters.get(name))
        maximum = notional.get("maxNotional")
        return Instrument(
            venue=self.venue,
            symbol=parse.text(row, "symbol"),
            asset=parse.text(row, "baseAsset"),
            quote="USDT",
            tick=_positive(parse.mapping(filters.get("PRICE_FILTER")), "tickSize"),
            lot=_positive(lot, "stepSize"),
            min_quantity=parse.amount(lot, "minQty"),
            max_quantity=parse.amount(lot, "maxQty"),
            min_notional=parse.amount(notional, key),
            max_notional=parse.amount(notional, "maxNotional") if maximum else None,
        )

    def prices_request(self, symbols: list[str]) -> Request:
        """Return the public bulk request for best prices: one call for all symbols."""
        _ = symbols
        return Request("GET", f"{self._market.public}/ticker/bookTicker")

    def read_prices(self, answer: Answer) -> dict[str, BestPrices]:
        """Return best prices by symbol; a symbol without two sides is left out."""
        prices = {}
        for row in parse.rows(parse.document(answer)):
            bid, ask = parse.amount(row, "bidPrice"), parse.amount(row, "askPrice")
            if ZERO < bid < ask:
                prices[parse.text(row, "symbol")] = BestPrices(bid, ask)
        return prices

    def _sign(self, path: str, method: str, params: dict[str, str]) -> Request:
        return parse.signed_request(self._ccxt.sign(path, [self._market.api], method, params))


def _refusal(status: int, body: dict[str, Any]) -> Refused | Ambiguous:
    code, message = body.get("code"), str(body.get("msg", ""))[:200]
    if code in DEFINITIVE and DUPLICATE_TEXT not in message.lower():
        return Refused(str(code), message)
    return Ambiguous(f"HTTP {status} code {code}")


def _positive(row: dict[str, Any], key: str) -> Decimal:
    value = parse.amount(row, key)
    if value <= ZERO:
        raise ValueError(f"expected a positive {key}")
    return value
