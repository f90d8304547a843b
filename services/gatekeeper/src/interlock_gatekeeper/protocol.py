"""HTTP on one connection, under limits: how many connections, how long a request may take."""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from interlock_core.wire import strict
from interlock_core.wire.problem import CONTENT_TYPE, problem
from interlock_gatekeeper.auth import peer_of

RECEIVE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections a face takes, and who is told of bytes that are not HTTP."""

    connections: int
    on_malformed: Callable[[], None]


class FaceProtocol(H11Protocol):
    """HTTP whose requests arrive whole within two seconds, or the connection is cut."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._deadline: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take the connection, or answer 503 where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._answer_and_close(HTTPStatus.SERVICE_UNAVAILABLE, "BUSY", "too many connections")
            return
        self._expect_a_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline with the connection."""
        self._expect_nothing()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Read what has arrived, and keep the time while a request is incomplete."""
        super().handle_events()
        if not self._incomplete():
            self._expect_nothing()
        elif self._deadline is None:
            self._expect_a_request()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with a problem document, and count it."""
        self._limits.on_malformed()
        self._answer_and_close(HTTPStatus.BAD_REQUEST, "BAD_HTTP", msg)

    def _incomplete(self) -> bool:
        state = self.conn.their_state
        return state is h11.SEND_BODY or (state is h11.IDLE and bool(self.conn.trailing_data[0]))

    def _expect_a_request(self) -> None:
        # Aborted, not closed: a peer that does not send does not read either.
        self._deadline = self.loop.call_later(RECEIVE_TIMEOUT_S, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _answer_and_close(self, status: HTTPStatus, code: str, detail: str) -> None:
        # In the middle of a response nothing can be added to it.
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = strict.encode(problem(status, code, detail))
            head = (
                f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: {CONTENT_TYPE}\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode("ascii") + body)
        self.transport.close()


class PeerProtocol(FaceProtocol):
    """A face on a Unix socket, with the peer's kernel-attested credentials in `request.state`."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Keep the peer's credentials for every request of this connection."""
        sock = transport.get_extra_info("socket")
        self.app_state = {**self.app_state, "peer": peer_of(sock)}
        super().connection_made(transport)
