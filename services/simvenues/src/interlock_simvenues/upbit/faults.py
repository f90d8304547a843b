"""What Upbit says when a call fails before the exchange, and what its calls are about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from interlock_core.instrument import Venue
from interlock_simvenues.faults.calls import Call, Refusal, maintenance_page
from interlock_simvenues.faults.kinds import FaultKind, Operation
from interlock_simvenues.faults.rule import Rule

INTERNAL_ERROR = 500
_QUERIES = {"/orders/test", "/order", "/orders", "/orders/uuids", "/orders/open", "/orders/closed"}


def operation(method: str, path: str, *, private: bool) -> Operation:
    """Return what a route does; the path is the one after /v1."""
    if not private:
        return Operation.PUBLIC
    if method == "DELETE":
        return Operation.CANCEL
    if path in _QUERIES and (method == "GET" or path == "/orders/test"):
        return Operation.QUERY
    return Operation.ORDER if method == "POST" else Operation.ACCOUNT


class UpbitWords:
    """Answers of the REST API."""

    @staticmethod
    def call(request: web.Request, body: str, operation: Operation) -> Call:
        """Return what a call is about; of several markets, the first."""
        values: dict[str, Any] = dict(parse_qsl(unquote(request.rel_url.raw_query_string)))
        values |= _object(body)
        market = str(values.get("market") or values.get("markets") or "").partition(",")[0]
        client_id = values.get("identifier") or values.get("new_identifier") or ""
        return Call(operation, market, str(client_id))

    @staticmethod
    def refusal(rule: Rule, _request: web.Request, _now_ns: int) -> Refusal:
        """Return the answer of a rule that refuses the call."""
        if rule.kind is FaultKind.MAINTENANCE:
            return maintenance_page(Venue.UPBIT)
        if rule.kind is FaultKind.UNKNOWN_STATUS:
            return Refusal(rule.status or INTERNAL_ERROR, "Internal Server Error", "text/plain")
        retry_s = str(rule.retry_after_s)
        if rule.kind is FaultKind.BANNED:
            message = f"Too many requests; blocked for {retry_s} seconds."
            return _error(418, "too_many_requests", message, {"Retry-After": retry_s})
        return _error(429, "too_many_requests", "Too many API requests.", {"Retry-After": retry_s})


def _error(status: int, name: str, message: str, headers: Mapping[str, str]) -> Refusal:
    body = json.dumps({"error": {"name": name, "message": message}}, separators=(",", ":"))
    return Refusal(status, body, headers=headers)


def _object(body: str) -> dict[str, Any]:
    try:
        value = json.loads(body) if body else {}
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
