"""Upbit KRW spot. Wire facts: Upbit docs v1.6.4; ccxt signs, the readings are ours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

import ccxt

from interlock_core.instrument import Instrument, Side, Venue
from interlock_core.money import ZERO, to_wire
from interlock_gatekeeper.state import OpenOrder
from interlock_gatekeeper.transport import Answer, Request
from interlock_gatekeeper.vault import KeyPair
from interlock_gatekeeper.venues import codes, parse
from interlock_gatekeeper.venues.codes import Proof
from interlock_gatekeeper.venues.readings import (
    Absent,
    Accepted,
    AccountMode,
    Ambiguous,
    BestPrices,
    Ended,
    Holdings,
    KeyScopes,
    QueryReading,
    Refused,
    Resting,
    SubmitReading,
)

NOT_FOUND = "order_not_found"
WORKING_STATES = ("wait", "watch")
DONE = "done"
ENDED_STATES = (DONE, "cancel")
TIME_IN_FORCE = ("ioc", "fok")
SIDES = {"bid": Side.BUY, "ask": Side.SELL}
# An order that would meet one of our own ends instead; what rests stays.
SELF_MATCH_PREVENTION = "cancel_taker"
MOST_CANCELED = 300
MOST_LISTED = 100
HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"
TRADE_SCOPE, WITHDRAW_SCOPE = "make_orders", "withdraw"
LOT = Decimal("0.00000001")
MIN_TOTAL_KRW = Decimal(5_000)
MAX_TOTAL_KRW = Decimal(1_000_000_000)


class Upbit:
    """Requests to and readings from Upbit."""

    venue = Venue.UPBIT
    late_s = 30.0
    # The Date header tells whole seconds; Upbit has no other clock.
    clock_resolution_ms = 1_000

    def __init__(self, rest_url: str, keys: KeyPair) -> None:
        self.rest_url = rest_url
        self.scopes_url = rest_url
        self._access_key = keys.key
        self._prefix = urlsplit(rest_url).path
        api = {"public": rest_url, "private": rest_url, "ws": ""}
        self._ccxt = ccxt.upbit({"apiKey": keys.key, "secret": keys.secret, "urls": {"api": api}})

    def order_request(self, order: OpenOrder) -> Request:
        """Return the signed request that places the order."""
        intent = order.intent
        if intent.time_in_force not in TIME_IN_FORCE:
            raise ValueError(f"expected ioc or fok, was {intent.time_in_force[:40]}")
        return self._sign(
            "orders",
            "POST",
            {
                "market": intent.instrument.partition(":")[2],
                "side": "bid" if intent.side is Side.BUY else "ask",
                "ord_type": "limit",
                "time_in_force": intent.time_in_force,
                "volume": to_wire(intent.quantity),
                "price": to_wire(intent.price),
                "identifier": order.client_order_id,
                "smp_type": SELF_MATCH_PREVENTION,
            },
        )

    def read_order(self, answer: Answer, client_order_id: str | None = None) -> SubmitReading:
        """Return what the answer to an order request proves."""
        if answer.status in codes.UPBIT_STATUSES:
            return _refusal(answer)
        try:
            body = parse.mapping(parse.answered(answer))
            parse.require_own(body.get("identifier"), client_order_id)
            return Accepted(parse.text(body, "uuid"))
        except ValueError as error:
            return Ambiguous(f"HTTP {answer.status}: {error}")

    def query_request(self, order: OpenOrder) -> Request:
        """Return the signed request that asks for the order by client order id."""
        return self._sign("order", "GET", {"identifier": order.client_order_id})

    def read_query(self, answer: Answer, client_order_id: str | None = None) -> QueryReading:
        """Return what the answer to a query proves."""
        try:
            if answer.status in codes.UPBIT_STATUSES and _error(answer)[0] == NOT_FOUND:
                return Absent()
            return _read_state(parse.mapping(parse.answered(answer)), client_order_id)
        except ValueError as error:
            return Ambiguous(f"HTTP {answer.status}: {error}")

    def cancel_request(self, order: OpenOrder) -> Request:
        """Return the signed request that cancels the order by client order id."""
        return self._sign("order", "DELETE", {"identifier": order.client_order_id})

    def read_cancel(self, answer: Answer, client_order_id: str | None = None) -> QueryReading:
        """Return what the answer to a cancel proves: mostly that it was accepted, not yet done."""
        return self.read_query(answer, client_order_id)

    def cancel_all_requests(self, instruments: Sequence[str]) -> list[Request]:
        """Return the signed request that cancels every waiting order of the account."""
        _ = instruments
        params = {"cancel_side": "all", "count": str(MOST_CANCELED)}
        return [self._sign("orders/open", "DELETE", params)]

    def read_cancel_all(self, answer: Answer) -> bool:
        """Say whether all was canceled; a full batch may have left some."""
        try:
            body = parse.mapping(parse.answered(answer))
            canceled = parse.whole(parse.mapping(body.get("success")), "count")
            failed = parse.whole(parse.mapping(body.get("failed")), "count")
        except ValueError:
            return False
        return failed == 0 and canceled < MOST_CANCELED

    def open_orders_requests(self) -> list[Request]:
        """Return the signed requests for page one of each state.

        An order only moves from watch to wait: asked in this sequence, none slips through.
        """
        return [self._open_orders_request(state, 1) for state in ("watch", "wait")]

    def next_open_orders_request(self, answer: Answer, page: int) -> Request | None:
        """Return the request for the page after the given one, or None where it was the last."""
        listed = parse.rows(parse.answered(answer))
        if len(listed) < MOST_LISTED:
            return None
        return self._open_orders_request(parse.text(listed[0], "state"), page + 1)

    def _open_orders_request(self, state: str, page: int) -> Request:
        params = {"state": state, "page": str(page), "limit": str(MOST_LISTED), "order_by": "asc"}
        return self._sign("orders/open", "GET", params)

    def read_open_orders(self, answer: Answer) -> list[Resting]:
        """Return the orders on one page."""
        return [_resting(row) for row in parse.rows(parse.answered(answer))]

    def holdings_requests(self) -> list[Request]:
        """Return the signed request for balances."""
        return [self._sign("accounts", "GET", {})]

    def read_holdings(self, answers: Sequence[Answer]) -> Holdings:
        """Return balances; what orders hold counts in the total only."""
        [body] = parse.bodies(answers, 1)
        rows = parse.named_rows(body, "currency")
        free = {asset: parse.amount(row, "balance") for asset, row in rows.items()}
        total = {asset: free[asset] + parse.amount(row, "locked") for asset, row in rows.items()}
        return Holdings(parse.not_zero(free), parse.not_zero(total), {})

    def time_request(self) -> Request:
        """Return a small public request: any answer has the Date header."""
        return Request("GET", f"{self._prefix}/v1/trades/ticks?market=KRW-BTC&count=1")

    def read_time_ms(self, answer: Answer) -> int:
        """Return the venue's wall time in whole seconds."""
        parse.answered(answer)
        date = datetime.strptime(answer.headers.get("date", ""), HTTP_DATE).replace(tzinfo=UTC)
        return int(date.timestamp()) * 1_000

    def set_clock_offset_ms(self, offset_ms: int) -> None:
        """Do nothing: Upbit's tokens carry no time."""

    def account_mode_requests(self) -> list[Request]:
        """Return none: there are no futures."""
        return []

    def read_account_mode(self, answers: Sequence[Answer]) -> AccountMode | None:
        """Return None: there are no futures."""
        _ = answers
        return None

    def key_scopes_requests(self) -> list[Request]:
        """Return the signed requests for the account's keys and, where permitted, their scopes."""
        return [self._sign(path, "GET", {}) for path in ("api_keys", "pockets/api_keys")]

    def read_key_scopes(self, answers: Sequence[Answer]) -> KeyScopes:
        """Return what the key may do; only a key that may manage pockets is told its scopes."""
        [listed] = parse.bodies(answers[:1], 1)
        if self._access_key not in parse.named_rows(listed, "access_key"):
            raise ValueError("expected the key among the account's keys")
        [pockets] = answers[1:]
        if pockets.status in codes.UPBIT_STATUSES:
            return KeyScopes(None, None, None)
        for pocket in parse.rows(parse.answered(pockets)):
            key = parse.named_rows(pocket.get("keys"), "access_key").get(self._access_key)
            if key is not None:
                scopes = parse.words(key, "permissions")
                return KeyScopes(
                    can_trade=TRADE_SCOPE in scopes,
                    can_withdraw=WITHDRAW_SCOPE in scopes,
                    ip_restricted=bool(parse.words(key, "allowed_ips")),
                )
        return KeyScopes(None, None, None)

    def back_off_s(self, answer: Answer) -> float | None:
        """Return how long the venue wants no requests, or None where it did not ask."""
        return parse.back_off_s(answer)

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


def _error(answer: Answer) -> tuple[str, str]:
    """Return name and message of an error, or raise ValueError."""
    error = parse.mapping(parse.mapping(parse.document(answer)).get("error"))
    return parse.text(error, "name"), str(error.get("message", ""))[:200]


def _refusal(answer: Answer) -> Refused | Ambiguous:
    try:
        name, message = _error(answer)
    except ValueError:
        name, message = "", ""
    meaning = codes.UPBIT.get(name) or codes.UPBIT_NAMELESS.get(answer.status)
    if meaning is None or meaning.proof is Proof.UNKNOWN:
        reason = f": {meaning.reason}" if meaning else ""
        return Ambiguous(f"HTTP {answer.status} {name[:40]}{reason}")
    return Refused(name or f"HTTP {answer.status}", message or meaning.reason)


def _read_state(body: dict[str, Any], client_order_id: str | None) -> Ended | Accepted:
    parse.require_own(body.get("identifier"), client_order_id)
    uuid = parse.text(body, "uuid")
    state = parse.text(body, "state")
    if state in WORKING_STATES:
        return Accepted(uuid)
    if state not in ENDED_STATES:
        raise ValueError(f"expected a known state, was {state[:40]}")
    filled = parse.amount(body, "executed_volume")
    if state == DONE and filled == ZERO:
        raise ValueError("expected a done order to have executed something")
    # The answer to a cancel has no trades.
    trades = parse.rows(body.get("trades", []))
    if sum((parse.amount(row, "volume") for row in trades), ZERO) != filled:
        return Accepted(uuid)
    if filled == ZERO:
        return parse.unfilled(uuid)
    funds = sum((parse.amount(row, "funds") for row in trades), ZERO)
    fee = parse.amount(body, "paid_fee")
    return Ended(uuid, filled, parse.average(funds, filled), fee, "KRW")


def _resting(row: dict[str, Any]) -> Resting:
    return Resting(
        client_order_id=parse.text(row, "identifier") if "identifier" in row else None,
        venue_order_id=parse.text(row, "uuid"),
        instrument=f"{Venue.UPBIT}:{parse.text(row, 'market')}",
        side=parse.choice(row, "side", SIDES),
        quantity=parse.amount(row, "volume"),
        filled=parse.amount(row, "executed_volume"),
    )
