"""Binance spot and USD-M perpetual. ccxt signs; the readings are ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import ccxt

from interlock_core.instrument import Instrument, Side, Venue, parse_key
from interlock_core.money import ZERO, to_wire
from interlock_gatekeeper.state import OpenOrder
from interlock_gatekeeper.transport import Answer, Request
from interlock_gatekeeper.vault import KeyPair
from interlock_gatekeeper.venues import binance_answers, codes, parse
from interlock_gatekeeper.venues.codes import Meaning
from interlock_gatekeeper.venues.readings import (
    AccountMode,
    Ambiguous,
    BestPrices,
    Ended,
    Holdings,
    KeyScopes,
    QueryReading,
    Resting,
    SubmitReading,
)

ALL_CANCELED = "200"
TIME_IN_FORCE = {"ioc": "IOC", "fok": "FOK"}
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
ISOLATED = {"ISOLATED": True, "CROSSED": False}
# An order that would meet one of our own ends instead; what rests stays.
SELF_TRADE_PREVENTION = "EXPIRE_TAKER"
RECV_WINDOW_MS = 2_000


@dataclass(frozen=True, slots=True)
class _Market:
    """What differs between the two Binance markets."""

    venue: Venue
    api: str
    public: str
    trades: str
    cancel_all: tuple[str, ...]
    open_orders: tuple[str, ...]
    response_type: str
    notional_filter: tuple[str, str]
    trading_scope: str
    meanings: Mapping[int, Meaning]


SPOT = _Market(
    venue=Venue.BINANCE,
    api="private",
    public="/api/v3",
    trades="myTrades",
    cancel_all=("openOrders",),
    open_orders=("openOrders",),
    response_type="FULL",
    notional_filter=("NOTIONAL", "minNotional"),
    trading_scope="enableSpotAndMarginTrading",
    meanings=codes.BINANCE_SPOT,
)
PERP = _Market(
    venue=Venue.BINANCE_PERP,
    api="fapiPrivate",
    public="/fapi/v1",
    trades="userTrades",
    # Conditional orders are in neither list nor cancel of the ordinary ones.
    cancel_all=("allOpenOrders", "algoOpenOrders"),
    open_orders=("openOrders", "openAlgoOrders"),
    response_type="RESULT",
    notional_filter=("MIN_NOTIONAL", "notional"),
    trading_scope="enableFutures",
    meanings=codes.BINANCE_PERP,
)


class Binance:
    """Requests to and readings from one Binance market."""

    late_s = 15.0
    clock_resolution_ms = 1

    def __init__(
        self, market: _Market, rest_url: str, keys: KeyPair, *, scopes_url: str | None = None
    ) -> None:
        self._market = market
        self.venue = market.venue
        self.rest_url = rest_url
        self.scopes_url = scopes_url or rest_url
        api = {
            "private": f"{rest_url}/api/v3",
            "fapiPrivate": f"{rest_url}/fapi/v1",
            "fapiPrivateV3": f"{rest_url}/fapi/v3",
            "sapi": f"{self.scopes_url}/sapi/v1",
        }
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
            "symbol": _symbol(order),
            "side": "BUY" if intent.side is Side.BUY else "SELL",
            "type": "LIMIT",
            "timeInForce": TIME_IN_FORCE[intent.time_in_force],
            "quantity": to_wire(intent.quantity),
            "price": to_wire(intent.price),
            "newClientOrderId": order.client_order_id,
            "newOrderRespType": self._market.response_type,
            "selfTradePreventionMode": SELF_TRADE_PREVENTION,
        }
        if self.venue is Venue.BINANCE_PERP and order.reducing:
            params["reduceOnly"] = "true"
        return self._sign("order", "POST", params)

    def read_order(self, answer: Answer, client_order_id: str | None = None) -> SubmitReading:
        """Return what the answer to an order request proves."""
        return binance_answers.read_order(answer, client_order_id, self._market.meanings)

    def query_request(self, order: OpenOrder) -> Request:
        """Return the signed request that asks for the order by client order id."""
        return self._sign("order", "GET", _by_client_id(order))

    def read_query(self, answer: Answer, client_order_id: str | None = None) -> QueryReading:
        """Return what the answer to a query proves."""
        return binance_answers.read_query(answer, client_order_id)

    def cancel_request(self, order: OpenOrder) -> Request:
        """Return the signed request that cancels the order by client order id."""
        return self._sign("order", "DELETE", _by_client_id(order))

    def read_cancel(self, answer: Answer, client_order_id: str | None = None) -> QueryReading:
        """Return what the answer to a cancel proves; absent where there was nothing to cancel."""
        return binance_answers.read_cancel(answer, client_order_id)

    def cancel_all_requests(self, instruments: Sequence[str]) -> list[Request]:
        """Return the signed requests that cancel what is open in this market's instruments."""
        named = [parse_key(key) for key in instruments]
        return [
            self._sign(path, "DELETE", {"symbol": symbol})
            for path in self._market.cancel_all
            for venue, symbol in named
            if venue is self.venue
        ]

    def read_cancel_all(self, answer: Answer) -> bool:
        """Say whether all was canceled, or nothing was open."""
        try:
            body = parse.document(answer)
            if answer.status not in parse.HTTP_OK:
                return binance_answers.is_nothing_to_cancel(answer.status, parse.mapping(body))
            if self.venue is Venue.BINANCE:
                return isinstance(body, list)
            return str(parse.mapping(body).get("code")) == ALL_CANCELED
        except ValueError:
            return False

    def open_orders_requests(self) -> list[Request]:
        """Return the signed requests that list the account's open orders."""
        return [self._sign(path, "GET", {}) for path in self._market.open_orders]

    def next_open_orders_request(self, answer: Answer, page: int) -> Request | None:
        """Return None: a list has one page."""
        _ = answer, page
        return None

    def read_open_orders(self, answer: Answer) -> list[Resting]:
        """Return the open orders; a conditional order counts as one with nothing filled."""
        return [self._resting(row) for row in parse.rows(parse.answered(answer))]

    def _resting(self, row: dict[str, Any]) -> Resting:
        conditional = "algoId" in row
        return Resting(
            client_order_id=parse.text(row, "clientAlgoId" if conditional else "clientOrderId"),
            venue_order_id=parse.text(row, "algoId" if conditional else "orderId"),
            instrument=f"{self.venue}:{parse.text(row, 'symbol')}",
            side=parse.choice(row, "side", SIDES),
            quantity=parse.amount(row, "quantity" if conditional else "origQty"),
            filled=ZERO if conditional else parse.amount(row, "executedQty"),
        )

    def holdings_requests(self) -> list[Request]:
        """Return the signed request for balances and positions."""
        if self.venue is Venue.BINANCE:
            return [self._sign("account", "GET", {"omitZeroBalances": "true"})]
        return [self._sign("account", "GET", {}, api="fapiPrivateV3")]

    def read_holdings(self, answers: Sequence[Answer]) -> Holdings:
        """Return balances and positions."""
        [answered] = parse.bodies(answers, 1)
        body = parse.mapping(answered)
        if self.venue is Venue.BINANCE:
            rows = parse.named_rows(body.get("balances"), "asset")
            free = {asset: parse.amount(row, "free") for asset, row in rows.items()}
            total = {
                asset: free[asset] + parse.amount(row, "locked") for asset, row in rows.items()
            }
            return Holdings(parse.not_zero(free), parse.not_zero(total), {})
        rows = parse.named_rows(body.get("assets"), "asset")
        free = {asset: parse.amount(row, "availableBalance") for asset, row in rows.items()}
        total = {asset: parse.signed_amount(row, "walletBalance") for asset, row in rows.items()}
        positions = {
            f"{self.venue}:{symbol}": _one_way_position(row)
            for symbol, row in parse.named_rows(body.get("positions"), "symbol").items()
        }
        return Holdings(parse.not_zero(free), parse.not_zero(total), parse.not_zero(positions))

    def time_request(self) -> Request:
        """Return the public request that tells the venue's clock."""
        return Request("GET", f"{self._market.public}/time")

    def read_time_ms(self, answer: Answer) -> int:
        """Return the venue's wall time."""
        return parse.whole(parse.mapping(parse.answered(answer)), "serverTime")

    def set_clock_offset_ms(self, offset_ms: int) -> None:
        """Sign from now on with our clock plus offset: how far the venue's clock is ahead."""
        self._ccxt.options["timeDifference"] = -offset_ms

    def account_mode_requests(self) -> list[Request]:
        """Return the signed requests for the futures mode; none on spot."""
        if self.venue is Venue.BINANCE:
            return []
        return [self._sign(path, "GET", {}) for path in ("accountConfig", "symbolConfig")]

    def read_account_mode(self, answers: Sequence[Answer]) -> AccountMode | None:
        """Return the futures mode, or None on spot."""
        if self.venue is Venue.BINANCE:
            return None
        account, symbols = parse.bodies(answers, 2)
        rows = {
            f"{self.venue}:{symbol}": row
            for symbol, row in parse.named_rows(symbols, "symbol").items()
        }
        return AccountMode(
            one_way=not parse.flag(parse.mapping(account), "dualSidePosition"),
            leverage={key: parse.whole(row, "leverage") for key, row in rows.items()},
            isolated={key: parse.choice(row, "marginType", ISOLATED) for key, row in rows.items()},
        )

    def key_scopes_requests(self) -> list[Request]:
        """Return the signed request that tells what the key may do; only spot's host answers it."""
        return [self._sign("account/apiRestrictions", "GET", {}, api="sapi")]

    def read_key_scopes(self, answers: Sequence[Answer]) -> KeyScopes:
        """Return what the key may do."""
        [answered] = parse.bodies(answers, 1)
        body = parse.mapping(answered)
        return KeyScopes(
            can_trade=parse.flag(body, self._market.trading_scope),
            can_withdraw=parse.flag(body, "enableWithdrawals"),
            ip_restricted=parse.flag(body, "ipRestrict"),
        )

    def back_off_s(self, answer: Answer) -> float | None:
        """Return how long the venue wants no requests, or None where it did not ask."""
        return parse.back_off_s(answer)

    def fills_request(self, order: OpenOrder, venue_order_id: str) -> Request | None:
        """Return the signed request for the order's fills."""
        params = {"symbol": _symbol(order), "orderId": venue_order_id}
        return self._sign(self._market.trades, "GET", params)

    def read_fills(self, ended: Ended, answer: Answer) -> Ended | Ambiguous:
        """Return the ended order with price and fee, once its fills add up to what it filled."""
        return binance_answers.read_fills(ended, answer)

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

    def _sign(
        self, path: str, method: str, params: dict[str, str], *, api: str | None = None
    ) -> Request:
        signed = self._ccxt.sign(path, [api or self._market.api], method, params)
        return parse.signed_request(signed)


def _symbol(order: OpenOrder) -> str:
    return order.intent.instrument.partition(":")[2]


def _by_client_id(order: OpenOrder) -> dict[str, str]:
    return {"symbol": _symbol(order), "origClientOrderId": order.client_order_id}


def _one_way_position(row: dict[str, Any]) -> Decimal:
    if row.get("positionSide") != "BOTH":
        raise ValueError("expected one-way positions")
    return parse.signed_amount(row, "positionAmt")


def _positive(row: dict[str, Any], key: str) -> Decimal:
    value = parse.amount(row, key)
    if value <= ZERO:
        raise ValueError(f"expected a positive {key}")
    return value
