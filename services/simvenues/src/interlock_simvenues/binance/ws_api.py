"""Binance's request/response WebSocket API, on top of the same calls as REST."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from interlock_simvenues.binance.auth import Authenticator
from interlock_simvenues.binance.errors import BinanceError, not_permitted
from interlock_simvenues.binance.face import Face
from interlock_simvenues.binance.faults import call_of, failure, operation
from interlock_simvenues.binance.routes import Access, Route
from interlock_simvenues.binance.user_stream import SpotUserStream
from interlock_simvenues.faults.calls import Calls
from interlock_simvenues.faults.rule import Rule
from interlock_simvenues.outbox import Outbox
from interlock_simvenues.units import NS_PER_MS

Row = dict[str, Any]
# Where USD-M answers a method at another path than spot.
_PERP_METHODS = {"account.status": ("GET", "v2/account")}
_METHODS = {
    "ping": ("GET", "ping"),
    "time": ("GET", "time"),
    "exchangeInfo": ("GET", "exchangeInfo"),
    "depth": ("GET", "depth"),
    "trades.recent": ("GET", "trades"),
    "trades.historical": ("GET", "historicalTrades"),
    "trades.aggregate": ("GET", "aggTrades"),
    "klines": ("GET", "klines"),
    "avgPrice": ("GET", "avgPrice"),
    "ticker.24hr": ("GET", "ticker/24hr"),
    "ticker.price": ("GET", "ticker/price"),
    "ticker.book": ("GET", "ticker/bookTicker"),
    "order.place": ("POST", "order"),
    "order.test": ("POST", "order/test"),
    "order.status": ("GET", "order"),
    "order.modify": ("PUT", "order"),
    "order.cancel": ("DELETE", "order"),
    "order.cancelReplace": ("POST", "order/cancelReplace"),
    "openOrders.status": ("GET", "openOrders"),
    "openOrders.cancelAll": ("DELETE", "openOrders"),
    "allOrders": ("GET", "allOrders"),
    "myTrades": ("GET", "myTrades"),
    "account.status": ("GET", "account"),
    "account.balance": ("GET", "balance"),
    "account.position": ("GET", "positionRisk"),
    "v2/account.status": ("GET", "v3/account"),
    "v2/account.balance": ("GET", "v3/balance"),
    "v2/account.position": ("GET", "v3/positionRisk"),
}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: Row


class WsApi:
    """Serves `/ws-api/v3` (spot) or `/ws-api/v1` (USD-M)."""

    def __init__(
        self,
        face: Face,
        auth: Authenticator,
        routes: list[Route],
        user_stream: SpotUserStream | None,
        calls: Calls,
    ) -> None:
        self._face = face
        self._auth = auth
        self._routes = {(route.method, route.path): route for route in routes}
        self._user_stream = user_stream
        self._calls = calls
        self._subscriptions: dict[str, Callable[[Outbox, dict[str, str]], Row]] = {
            "userDataStream.subscribe.signature": self._subscribe,
            "userDataStream.unsubscribe": self._unsubscribe,
        }

    def opened(self, outbox: Outbox) -> None:
        """Nothing starts before it is asked for."""

    def closed(self, outbox: Outbox) -> None:
        """End the connection's subscription."""
        if self._user_stream is not None:
            self._user_stream.unsubscribe(outbox)

    async def received(self, outbox: Outbox, text: str) -> None:
        """Answer one request, unless a fault leaves it unanswered."""
        try:
            message = _object(text)
        except BinanceError as error:
            _send(outbox, None, _failure(error))
            return
        raw = message.get("params") or {}
        params = {str(key): _text(value) for key, value in raw.items()}
        answer = await self._answer(str(message.get("method")), params, outbox)
        if answer is not None:
            _send(outbox, message.get("id"), answer)

    async def _answer(self, method: str, params: dict[str, str], outbox: Outbox) -> _Answer | None:
        async def answer() -> _Answer | None:
            try:
                return _Answer(200, {"result": self._call(method, params, outbox)})
            except BinanceError as error:
                return _failure(error)

        async def silence() -> _Answer | None:
            return None

        route = self._route(method)
        rule = None if route is None else self._calls.decide(call_of(operation(route), params))
        if rule is None:
            return await answer()
        return await self._calls.apply(
            rule, answer=answer, refuse=lambda: self._refused(rule), silence=silence
        )

    def _refused(self, rule: Rule) -> _Answer:
        now_ns = self._face.now_ns()
        status, error = failure(rule, self._face, now_ns)
        if rule.retry_after_s is not None:
            retry_ms = now_ns // NS_PER_MS + rule.retry_after_s * 1_000
            error["data"] = {"serverTime": now_ns // NS_PER_MS, "retryAfter": retry_ms}
        return _Answer(status, {"error": error})

    def _call(self, method: str, params: dict[str, str], outbox: Outbox) -> object:
        special = self._subscriptions.get(method)
        if special is not None and self._user_stream is not None:
            return special(outbox, params)
        route = self._route(method)
        if route is None:
            raise BinanceError(400, -1000, f"Unknown method {method[:40]}.")
        key = None
        if route.access is not Access.PUBLIC:
            key = self._auth.key(params.get("apiKey"))
            self._auth.signed_params(key, params)
            if route.access is Access.TRADE and not key.may_trade:
                raise not_permitted()
            if route.counts_order:
                self._face.limiter.order(key.key, self._face.now_ns(), {})
        return route.call(params, key)

    def _route(self, method: str) -> Route | None:
        methods = _METHODS | _PERP_METHODS if self._face.perp else _METHODS
        verb, path = methods.get(method, ("", ""))
        prefixes = ("/fapi/v1/", "/fapi/") if self._face.perp else ("/api/v3/",)
        found = [self._routes.get((verb, prefix + path)) for prefix in prefixes]
        return next((route for route in found if route is not None), None)

    def _subscribe(self, outbox: Outbox, params: dict[str, str]) -> Row:
        key = self._auth.key(params.get("apiKey"))
        self._auth.signed_params(key, params)
        if self._user_stream is None:
            raise not_permitted()
        return {"subscriptionId": self._user_stream.subscribe(outbox)}

    def _unsubscribe(self, outbox: Outbox, _params: dict[str, str]) -> Row:
        if self._user_stream is not None:
            self._user_stream.unsubscribe(outbox)
        return {}


def _object(text: str) -> Row:
    try:
        message = json.loads(text)
    except json.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        raise BinanceError(400, -1102, "The request is not a JSON object.")
    return message


def _send(outbox: Outbox, request_id: object, answer: _Answer) -> None:
    body = {"id": request_id, "status": answer.status, **answer.body, "rateLimits": []}
    outbox.send(json.dumps(body, separators=(",", ":")).encode())


def _failure(error: BinanceError) -> _Answer:
    return _Answer(error.status, {"error": {"code": error.code, "msg": error.message}})


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))
