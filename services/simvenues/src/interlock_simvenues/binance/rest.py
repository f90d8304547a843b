"""Binance's HTTP face: routes, keys, signatures, limits and headers around the APIs."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from aiohttp import web

from interlock_simvenues.binance.auth import Authenticator, Key
from interlock_simvenues.binance.errors import BinanceError, not_permitted
from interlock_simvenues.binance.face import Face
from interlock_simvenues.binance.faults import BinanceWords, operation
from interlock_simvenues.binance.routes import Access, Route
from interlock_simvenues.faults.calls import Calls, Handler


class Rest:
    """Serves the routes of one Binance market."""

    def __init__(self, face: Face, auth: Authenticator, routes: list[Route], calls: Calls) -> None:
        self._face = face
        self._calls = calls
        self._auth = auth
        self._routes = routes

    def add_routes(self, app: web.Application) -> None:
        """Add every route."""
        words = BinanceWords(self._face)
        for route in self._routes:
            handler = self._calls.around(operation(route), words, self._handler(route))
            app.router.add_route(route.method, route.path, handler)

    def _handler(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            headers: dict[str, str] = {"x-mbx-uuid": f"{self._face.now_ns():032x}"}
            try:
                result = self._answer(route, request, await request.text(), headers)
                status = 200
            except BinanceError as error:
                status, result = error.status, {"code": error.code, "msg": error.message}
            self._face.world.metrics.requests.labels(self._face.venue, str(status)).inc()
            return web.Response(
                text=json.dumps(result, separators=(",", ":")),
                status=status,
                content_type="application/json",
                headers=headers,
            )

        return handle

    def _answer(
        self, route: Route, request: web.Request, body: str, headers: dict[str, str]
    ) -> object:
        raw_query = request.rel_url.raw_query_string
        params = dict(parse_qsl(raw_query, keep_blank_values=True))
        params.update(parse_qsl(body, keep_blank_values=True))
        now_ns = self._face.now_ns()
        self._face.limiter.use(route.weight_of(params), request.remote or "", now_ns, headers)
        key = self._key(route, request)
        if key is not None and route.access is not Access.KEY:
            self._auth.signed(key, params, raw_query, body)
        if route.access is Access.TRADE and key is not None and not key.may_trade:
            raise not_permitted()
        if route.counts_order and key is not None:
            self._face.limiter.order(key.key, now_ns, headers)
        return route.call(params, key)

    def _key(self, route: Route, request: web.Request) -> Key | None:
        if route.access is Access.PUBLIC:
            return None
        return self._auth.key(request.headers.get("X-MBX-APIKEY"))
