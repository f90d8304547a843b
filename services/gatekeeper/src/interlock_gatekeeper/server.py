"""The four faces: engine socket, operator socket, health port, console. HTTP in, gateway out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPMethod, HTTPStatus
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from interlock_core.clock import NS_PER_S, monotonic_ns
from interlock_core.reasons import DenyReason
from interlock_core.wire import gate, strict
from interlock_core.wire.problem import CONTENT_TYPE, problem
from interlock_core.wire.strict import MAX_BYTES, SchemaError
from interlock_gatekeeper.protocol import ConnectionLimits, FaceProtocol, PeerProtocol
from interlock_gatekeeper.rates import FloodGuard, TokenBucket

log = logging.getLogger(__name__)

ENGINE_SOCKET_MODE = 0o660
OPERATOR_SOCKET_MODE = 0o600
KEEP_ALIVE_S = 75
MAX_CONNECTIONS = 64
MAX_PEER_CONNECTIONS = 16
MAX_HEAD_BYTES = 8192
REQUESTS_PER_S = 20
# Whoever asks the health port often must not make the gatekeeper look disarmed to the engine.
HEALTH_REQUESTS_PER_S = 200
BURST_S = 2
FLOOD, FLOOD_WINDOW_NS = 100, 60 * NS_PER_S
MALFORMED = frozenset({DenyReason.AUTH, DenyReason.BAD_SCHEMA})
RATE = "RATE"
KILL_PATHS = (gate.PATH_KILL, "/kill")


class QuietServer(uvicorn.Server):
    """A server that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install nothing."""
        yield


def unix_socket(path: Path, mode: int, gid: int | None = None) -> socket.socket:
    """Return a listening socket at path that never existed with wider rights than mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~OPERATOR_SOCKET_MODE)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
    if gid is not None:
        os.chown(path, -1, gid)
    path.chmod(mode)
    sock.listen(MAX_CONNECTIONS)
    return sock


def tcp_socket(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket."""
    sock = socket.create_server((host, port), backlog=MAX_CONNECTIONS)
    sock.set_inheritable(False)
    return sock


def server(
    app: Starlette,
    *,
    peers: bool = False,
    requests_per_s: int = REQUESTS_PER_S,
    on_flood: Callable[[], None] | None = None,
) -> QuietServer:
    """Return a server for an app; with peers, for a Unix socket whose callers are attested.

    `on_flood` is called when 100 requests within a minute were not HTTP, not authenticated, or
    not a message.
    """
    flood = FloodGuard(FLOOD, FLOOD_WINDOW_NS)

    def on_malformed() -> None:
        if flood.note(monotonic_ns()) and on_flood is not None:
            on_flood()

    limits = ConnectionLimits(MAX_PEER_CONNECTIONS if peers else MAX_CONNECTIONS, on_malformed)
    protocol = partial(PeerProtocol if peers else FaceProtocol, limits=limits)
    bucket = TokenBucket(requests_per_s, requests_per_s * BURST_S)
    config = uvicorn.Config(
        Guard(_documented(app), bucket, on_malformed),
        # uvicorn only calls it, as it would call the class.
        http=cast("type[asyncio.Protocol]", protocol),
        interface="asgi3",
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_graceful_shutdown=1,
    )
    return QuietServer(config)


class Guard:
    """An application behind the limits of its face; what breaks in it is logged, never shown."""

    def __init__(
        self, app: Starlette, bucket: TokenBucket, on_malformed: Callable[[], None]
    ) -> None:
        self._app = app
        self._bucket = bucket
        self._on_malformed = on_malformed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if _head_bytes(scope) > MAX_HEAD_BYTES:
            self._on_malformed()
            too_large = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            await _http_problem(too_large)(scope, receive, send)
            return
        if not _never_limited(scope) and not self._bucket.take(monotonic_ns()):
            slow_down = refuse(HTTPStatus.TOO_MANY_REQUESTS, RATE, "too many requests")
            await slow_down(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception:  # the edge of a request: the peer was answered, the others go on
            log.exception("a request broke", extra={"path": scope["path"][:100]})
        if scope["state"].get("refused") in MALFORMED:
            self._on_malformed()


def _head_bytes(scope: Scope) -> int:
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    return headers + len(scope["raw_path"]) + len(scope["query_string"])


def _never_limited(scope: Scope) -> bool:
    method, path = scope["method"], scope["path"]
    if method == HTTPMethod.POST:
        return path in KILL_PATHS
    return bool(method == HTTPMethod.DELETE and path.startswith(f"{gate.PATH_ORDERS}/"))


def _documented(app: Starlette) -> Starlette:
    """Return the app with a problem document for whatever its handlers do not answer."""

    async def http_error(_request: Request, error: Exception) -> Response:
        return _http_problem(HTTPStatus(cast("HTTPException", error).status_code))

    async def bad_schema(_request: Request, error: Exception) -> Response:
        return refuse(HTTPStatus.FORBIDDEN, DenyReason.BAD_SCHEMA, str(error))

    async def internal(_request: Request, _error: Exception) -> Response:
        return refuse(HTTPStatus.SERVICE_UNAVAILABLE, DenyReason.INTERNAL, "see the log")

    app.router.redirect_slashes = False
    app.exception_handlers.setdefault(HTTPException, http_error)
    app.exception_handlers.setdefault(SchemaError, bad_schema)
    app.exception_handlers.setdefault(Exception, internal)
    return app


def _http_problem(status: HTTPStatus) -> Response:
    return refuse(status, status.name, status.phrase)


async def read_body(request: Request) -> bytes:
    """Return the body, or raise SchemaError where it is larger than any message may be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise SchemaError(f"expected at most {MAX_BYTES} bytes")
    return bytes(body)


def message(content: object, status: int = 200) -> Response:
    """Return a message dataclass as a JSON response."""
    return Response(strict.encode(content), status, media_type="application/json")


def document(content: dict[str, Any], status: int = 200) -> Response:
    """Return a plain JSON object as a response."""
    return Response(strict.canonical(content), status, media_type="application/json")


class Refused(Response):
    """A problem document that leaves its code for whoever counts refusals."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        body = strict.encode(problem(status, code, detail))
        super().__init__(body, status, media_type=CONTENT_TYPE)
        self._code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        scope.setdefault("state", {})["refused"] = self._code
        await super().__call__(scope, receive, send)


def refuse(status: int, code: str, detail: str) -> Response:
    """Return a problem document."""
    return Refused(status, code, detail)


def new_key() -> bytes:
    """Return a fresh session key."""
    return secrets.token_bytes(32)
