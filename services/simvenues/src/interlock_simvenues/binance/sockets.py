"""Binance's WebSocket paths: spot, the routed USD-M paths, user data and the WebSocket APIs."""

from __future__ import annotations

from aiohttp import WSMsgType, web

from interlock_simvenues.binance.channels import Channel
from interlock_simvenues.binance.stream import Allowed, MarketStream
from interlock_simvenues.binance.user_stream_perp import ListenKeys, PerpUserStream
from interlock_simvenues.binance.ws_api import WsApi
from interlock_simvenues.faults.kinds import Operation
from interlock_simvenues.outbox import Connections, Outbox


def _anything(_channel: Channel) -> bool:
    return True


def _book_only(channel: Channel) -> bool:
    return channel.is_book


def _market_only(channel: Channel) -> bool:
    return not channel.is_book


# Since 2026-04-23 an unrouted USD-M connection carries book data only.
_CATEGORIES: dict[str, Allowed] = {"public": _book_only, "market": _market_only, "": _book_only}


class MarketSockets:
    """Serves the market streams of one Binance market."""

    def __init__(self, stream: MarketStream, connections: Connections, *, perp: bool) -> None:
        self._stream = stream
        self._connections = connections
        self._perp = perp

    def add_routes(self, app: web.Application) -> None:
        """Add the raw and combined paths."""
        if not self._perp:
            for path in ("/stream/ws", "/stream/ws/{streams:.*}", "/stream/stream"):
                app.router.add_get(path, self._serve)
            return
        for prefix in ("/fstream", "/fstream/{category:public|market}"):
            for path in ("/ws", "/ws/{streams:.*}", "/stream"):
                app.router.add_get(prefix + path, self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        combined = request.path.endswith("/stream")
        named = request.query.get("streams") if combined else request.match_info.get("streams")
        names = [name for name in (named or "").split("/") if name]
        allowed: Allowed = _anything
        if self._perp:
            allowed = _CATEGORIES[request.match_info.get("category", "")]

        def opened(outbox: Outbox) -> None:
            self._stream.opened(outbox, names, combined=combined, allowed=allowed)

        return await self._connections.serve(
            request,
            opcode=WSMsgType.TEXT,
            operation=Operation.PUBLIC,
            opened=opened,
            received=self._stream.received,
            closed=self._stream.closed,
        )


class UserSockets:
    """Serves USD-M user data."""

    def __init__(self, stream: PerpUserStream, keys: ListenKeys, connections: Connections) -> None:
        self._stream = stream
        self._keys = keys
        self._connections = connections

    def add_routes(self, app: web.Application) -> None:
        """Add the private paths."""
        app.router.add_get("/fstream/private/ws", self._serve)
        app.router.add_get("/fstream/private/ws/{listen_key}", self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        name = request.query.get("listenKey") or request.match_info.get("listen_key", "")
        if not self._keys.is_valid(name):
            return web.json_response(
                {"code": -1125, "msg": "This listenKey does not exist."}, status=400
            )
        return await self._connections.serve(
            request,
            opcode=WSMsgType.TEXT,
            operation=Operation.ACCOUNT,
            opened=self._stream.opened,
            received=self._stream.received,
            closed=self._stream.closed,
        )


class ApiSocket:
    """Serves one WebSocket API."""

    def __init__(self, api: WsApi, connections: Connections, path: str) -> None:
        self._api = api
        self._connections = connections
        self._path = path

    def add_routes(self, app: web.Application) -> None:
        """Add the path."""
        app.router.add_get(self._path, self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        return await self._connections.serve(
            request,
            opcode=WSMsgType.TEXT,
            operation=Operation.ACCOUNT,
            opened=self._api.opened,
            received=self._api.received,
            closed=self._api.closed,
        )
