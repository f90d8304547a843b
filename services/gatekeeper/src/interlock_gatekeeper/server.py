"""The four faces: engine socket, operator socket, health port, console. HTTP in, gateway out."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from asyncio import Transport
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from interlock_core.wire import strict
from interlock_core.wire.problem import CONTENT_TYPE, problem
from interlock_core.wire.strict import MAX_BYTES, SchemaError
from interlock_gatekeeper.auth import peer_of

Handler = Callable[[Request], Awaitable[Response]]

ENGINE_SOCKET_MODE = 0o660
OPERATOR_SOCKET_MODE = 0o600
KEEP_ALIVE_S = 75
MAX_CONNECTIONS = 64


class PeerProtocol(H11Protocol):
    """HTTP over a Unix socket with the peer's kernel-attested credentials in `request.state`."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Keep the peer's credentials for every request of this connection."""
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        self.app_state = {**self.app_state, "peer": peer_of(sock)}


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


def server(app: Starlette, *, peers: bool = False) -> QuietServer:
    """Return a server for an app; with peers, for a Unix socket whose callers are attested."""
    config = uvicorn.Config(
        app,
        http=PeerProtocol if peers else H11Protocol,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    return QuietServer(config)


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


def refuse(status: int, code: str, detail: str) -> Response:
    """Return a problem document."""
    body = strict.encode(problem(status, code, detail))
    return Response(body, status, media_type=CONTENT_TYPE)


def new_key() -> bytes:
    """Return a fresh session key."""
    return secrets.token_bytes(32)
