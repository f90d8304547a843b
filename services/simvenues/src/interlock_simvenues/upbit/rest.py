"""Upbit's HTTP face: routes, authentication, limits and headers around the two APIs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from interlock_core.instrument import Venue
from interlock_simvenues.faults.calls import Calls, Handler
from interlock_simvenues.upbit.auth import Authenticator, query_of_body, query_of_url
from interlock_simvenues.upbit.errors import UpbitError
from interlock_simvenues.upbit.faults import UpbitWords, operation
from interlock_simvenues.upbit.limits import Limiter, header
from interlock_simvenues.upbit.private import Trading
from interlock_simvenues.upbit.public import Quotation
from interlock_simvenues.world import World

PREFIX = "/upbit/v1"
_SECRET, _TRADES = "private", "trades"


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: str
    group: str
    call: Callable[[dict[str, Any]], Any]
    access: str = ""
    status: int = 200


class Rest:
    """Serves `/upbit/v1`."""

    def __init__(
        self,
        world: World,
        *,
        auth: Authenticator,
        limiter: Limiter,
        trading: Trading,
        calls: Calls,
    ) -> None:
        self._world = world
        self._calls = calls
        self._auth = auth
        self._limiter = limiter
        self._routes = _routes(Quotation(world), trading)

    def add_routes(self, app: web.Application) -> None:
        """Add every route, and the venue's answer for any other path."""
        words = UpbitWords()
        for route in self._routes:
            does = operation(route.method, route.path, private=bool(route.access))
            handler = self._calls.around(does, words, self._handler(route))
            app.router.add_route(route.method, PREFIX + route.path, handler)
        app.router.add_route("*", "/upbit/v1/{rest:.*}", self._unrouted)

    def _handler(self, route: _Route) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            headers: dict[str, str] = {}
            try:
                result = self._call(route, request, await request.text(), headers)
            except UpbitError as error:
                return self._refuse(error, headers)
            return self._answer(result, route.status, headers)

        return handle

    def _call(
        self, route: _Route, request: web.Request, body: str, headers: dict[str, str]
    ) -> object:
        caller = request.remote or ""
        if route.access:
            token = request.headers.get("Authorization")
            key = self._auth.rest(token, _signed_text(request, body))
            if route.access == _TRADES and not key.may_trade:
                raise UpbitError(403, "out_of_scope", "This key may not do this.")
            caller = key.access
        now_ns = self._world.clock.wall_ns()
        count, refusal = self._limiter.use(route.group, caller, now_ns)
        headers["Remaining-Req"] = header(route.group, count)
        headers["limit-by-ip"] = "Yes"
        if refusal is not None:
            headers["Retry-After"] = str(count.retry_after_s(now_ns))
            raise refusal
        return route.call(_params(request, body))

    def _answer(self, result: object, status: int, headers: dict[str, str]) -> web.Response:
        self._world.metrics.requests.labels(Venue.UPBIT, str(status)).inc()
        return web.Response(
            text=json.dumps(result, ensure_ascii=False, separators=(",", ":")),
            status=status,
            content_type="application/json",
            headers=headers,
        )

    def _refuse(self, error: UpbitError, headers: dict[str, str]) -> web.Response:
        body = {"error": {"name": error.name, "message": error.message}}
        return self._answer(body, error.status, headers)

    async def _unrouted(self, _request: web.Request) -> web.Response:
        return self._refuse(UpbitError(404, "not_found", "no Route matched with those values"), {})


def _signed_text(request: web.Request, body: str) -> str:
    if request.method == "POST":
        return query_of_body(_json_object(body)) if body else ""
    if body:
        raise UpbitError(400, "QUERY_PARAMETER_NOT_SUPPORTED", "Use query parameters.")
    return query_of_url(request.rel_url.raw_query_string)


def _params(request: web.Request, body: str) -> dict[str, Any]:
    params: dict[str, Any] = {}
    if request.method == "POST" and body:
        params.update(_json_object(body))
    raw = request.rel_url.raw_query_string
    for name, value in parse_qsl(unquote(raw) if "%5B" in raw.upper() else raw):
        if name.endswith("[]"):
            params.setdefault(name, []).append(value)
        else:
            params[name] = value
    params.update(request.match_info)
    return params


def _json_object(body: str) -> dict[str, Any]:
    try:
        # Numbers stay as they were written: the signature covers their text.
        value = json.loads(body, parse_float=str, parse_int=str)
    except json.JSONDecodeError as error:
        raise UpbitError(400, "bad_request", "The body is not JSON.") from error
    if not isinstance(value, dict):
        raise UpbitError(400, "bad_request", "The body is not a JSON object.")
    return value


def _routes(quotation: Quotation, trading: Trading) -> list[_Route]:
    public = [
        ("/market/all", "market", quotation.markets),
        ("/ticker", "ticker", quotation.ticker),
        ("/ticker/all", "ticker", quotation.ticker_all),
        ("/orderbook", "orderbook", quotation.orderbook),
        ("/orderbook/instruments", "orderbook", quotation.instruments),
        ("/orderbook/supported_levels", "orderbook", quotation.supported_levels),
        ("/trades/ticks", "crix-trades", quotation.trades),
        ("/candles/minutes/{unit}", "candles", quotation.minute_candles),
        ("/candles/{span:seconds|days|weeks|months|years}", "candles", quotation.candles),
    ]
    reading = [
        ("/accounts", trading.accounts),
        ("/api_keys", trading.api_keys),
        ("/pockets/api_keys", trading.pocket_keys),
        ("/orders/chance", trading.chance),
        ("/order", trading.order),
        ("/orders/uuids", trading.by_ids),
        ("/orders/open", trading.open),
        ("/orders/closed", trading.closed),
        ("/orders", trading.orders),
        ("/deposits", trading.empty),
        ("/withdraws", trading.empty),
        ("/deposits/coin_addresses", trading.empty),
        ("/status/wallet", trading.empty),
    ]
    writing = [
        ("POST", "/orders", "order", trading.place, 201),
        ("POST", "/orders/test", "order-test", trading.test, 201),
        ("POST", "/orders/cancel_and_new", "order", trading.cancel_and_new, 201),
        ("DELETE", "/order", "default", trading.cancel, 200),
        ("DELETE", "/orders/uuids", "default", trading.cancel_ids, 200),
        ("DELETE", "/orders/open", "order-cancel-all", trading.cancel_open, 200),
    ]
    routes = [_Route("GET", path, group, call) for path, group, call in public]
    routes += [_Route("GET", path, "default", call, _SECRET) for path, call in reading]
    routes += [
        _Route(method, path, group, call, _TRADES, status)
        for method, path, group, call, status in writing
    ]
    return routes
