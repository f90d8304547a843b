"""What Binance says when a call fails before the exchange, and what its calls are about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from interlock_simvenues.binance.face import Face
from interlock_simvenues.binance.limits import ORDERS, WEIGHT
from interlock_simvenues.binance.routes import Access, Route
from interlock_simvenues.faults.calls import Call, Refusal, maintenance_page
from interlock_simvenues.faults.kinds import FaultKind, Operation
from interlock_simvenues.faults.rule import Rule
from interlock_simvenues.units import NS_PER_MS, NS_PER_S

UNAVAILABLE = 503
SHUTTING_DOWN = -1016
_UNKNOWN = {
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; "
    "execution status unknown.",
    0: "Unknown error, please check your request or try again later.",
}
_ORDERS = {
    "order",
    "openOrder",
    "openOrders",
    "allOrders",
    "allOpenOrders",
    "algoOpenOrders",
    "openAlgoOrders",
    "batchOrders",
    "order/test",
    "order/cancelReplace",
    "countdownCancelAll",
    "myTrades",
    "userTrades",
}


def operation(route: Route) -> Operation:
    """Return what a route does."""
    name = route.path.split("/", 3)[3]
    if route.access is Access.PUBLIC:
        return Operation.TIME if name == "time" else Operation.PUBLIC
    if name not in _ORDERS:
        return Operation.ACCOUNT
    if route.method == "DELETE" or name == "countdownCancelAll":
        return Operation.CANCEL
    return Operation.QUERY if route.method == "GET" or name == "order/test" else Operation.ORDER


def call_of(route_operation: Operation, params: Mapping[str, str]) -> Call:
    """Return what a call with these parameters is about."""
    client_id = params.get("newClientOrderId") or params.get("origClientOrderId") or ""
    return Call(route_operation, params.get("symbol") or params.get("pair") or "", client_id)


def failure(rule: Rule, face: Face, now_ns: int) -> tuple[int, dict[str, Any]]:
    """Return status and body of a rule that refuses the call."""
    if rule.kind is FaultKind.UNKNOWN_STATUS:
        code = rule.code if rule.code is not None else -1007
        body: dict[str, Any] = {"msg": _UNKNOWN[code]}
        return rule.status or UNAVAILABLE, {"code": code, **body} if code else body
    if rule.kind is FaultKind.MAINTENANCE:
        return UNAVAILABLE, {"code": SHUTTING_DOWN, "msg": "This service is no longer available."}
    if rule.kind is FaultKind.BANNED:
        until_ms = (now_ns + (rule.retry_after_s or 0) * NS_PER_S) // NS_PER_MS
        text = f"Way too much request weight used; IP banned until {until_ms}."
        return 418, {"code": WEIGHT, "msg": text}
    code = ORDERS if rule.code == ORDERS else WEIGHT
    return 429, {"code": code, "msg": face.limiter.refusal_text(code)}


class BinanceWords:
    """Answers of one market's REST API."""

    def __init__(self, face: Face) -> None:
        self._face = face

    @staticmethod
    def call(request: web.Request, body: str, operation: Operation) -> Call:
        """Return what a call is about."""
        params = dict(parse_qsl(request.rel_url.raw_query_string))
        params.update(parse_qsl(body))
        return call_of(operation, params)

    def refusal(self, rule: Rule, request: web.Request, now_ns: int) -> Refusal:
        """Return the answer of a rule that refuses the call."""
        if rule.kind is FaultKind.MAINTENANCE:
            return maintenance_page(self._face.venue)
        status, body = failure(rule, self._face, now_ns)
        if rule.kind is FaultKind.UNKNOWN_STATUS and "code" not in body:
            body = {"timestamp": now_ns // NS_PER_MS, "path": request.path, **body}
        headers = {"x-mbx-uuid": f"{now_ns:032x}"}
        if rule.retry_after_s is not None:
            headers["Retry-After"] = str(rule.retry_after_s)
        return Refusal(status, json.dumps(body, separators=(",", ":")), headers=headers)
