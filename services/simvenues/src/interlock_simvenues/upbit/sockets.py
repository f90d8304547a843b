"""Upbit's WebSocket paths: public, and private behind a token on the upgrade."""

from __future__ import annotations

from aiohttp import WSMsgType, web

from interlock_simvenues.faults.kinds import Operation
from interlock_simvenues.outbox import Connections
from interlock_simvenues.upbit.auth import Authenticator
from interlock_simvenues.upbit.errors import UpbitError
from interlock_simvenues.upbit.stream import PublicStream
from interlock_simvenues.upbit.user_stream import PrivateStream

PATH = "/upbit/websocket/v1"


class Sockets:
    """Serves both WebSockets; frames are binary."""

    def __init__(
        self,
        *,
        public: PublicStream,
        private: PrivateStream,
        auth: Authenticator,
        connections: Connections,
    ) -> None:
        self._public = public
        self._private = private
        self._auth = auth
        self._connections = connections

    def add_routes(self, app: web.Application) -> None:
        """Add both paths."""
        app.router.add_get(PATH, self._serve_public)
        app.router.add_get(f"{PATH}/private", self._serve_private)

    async def _serve_public(self, request: web.Request) -> web.StreamResponse:
        return await self._connections.serve(
            request,
            opcode=WSMsgType.BINARY,
            operation=Operation.PUBLIC,
            opened=self._public.opened,
            received=self._public.received,
            closed=self._public.closed,
        )

    async def _serve_private(self, request: web.Request) -> web.StreamResponse:
        try:
            self._auth.websocket(request.headers.get("Authorization"))
        except UpbitError as error:
            body = {"error": {"name": error.name, "message": error.message}}
            return web.json_response(body, status=error.status)
        return await self._connections.serve(
            request,
            opcode=WSMsgType.BINARY,
            operation=Operation.ACCOUNT,
            opened=self._private.opened,
            received=self._private.received,
            closed=self._private.closed,
        )
