"""One WebSocket connection's way out: a bounded queue and one writer, so no reader stalls all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from aiohttp import ClientConnectionResetError, WSCloseCode, WSMsgType, web
from prometheus_client import Gauge

# Some seconds of every stream of fifty assets.
MAX_QUEUED = 8_000

Receive = Callable[["Outbox", str], Awaitable[None] | None]


class Outbox:
    """Frames waiting for one client; a client that does not keep up is disconnected."""

    __slots__ = ("_closing", "_frames", "_opcode", "_overflow", "_ready", "ws")

    def __init__(self, ws: web.WebSocketResponse, opcode: WSMsgType) -> None:
        self.ws = ws
        self._opcode = opcode
        self._frames: deque[bytes] = deque()
        self._ready = asyncio.Event()
        self._overflow = False
        self._closing = False

    def send(self, frame: bytes) -> None:
        """Queue one frame; never waits."""
        if len(self._frames) >= MAX_QUEUED:
            self._overflow = True
        else:
            self._frames.append(frame)
        self._ready.set()

    def fail(self, frame: bytes) -> None:
        """Queue a last frame and close normally after it."""
        self._closing = True
        self.send(frame)

    async def drain(self) -> None:
        """Write queued frames until the connection closes."""
        ws, frames = self.ws, self._frames
        try:
            while not ws.closed:
                await self._ready.wait()
                self._ready.clear()
                if self._overflow:
                    await ws.close(code=WSCloseCode.POLICY_VIOLATION, message=b"slow consumer")
                    return
                while frames:
                    await ws.send_frame(frames.popleft(), self._opcode)
                if self._closing:
                    await ws.close(code=WSCloseCode.OK)
        except (ClientConnectionResetError, ConnectionResetError):
            return


class Connections:
    """The open WebSocket connections of one venue, so that shutdown can cut them all at once."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._open: set[asyncio.Transport] = set()

    async def serve(
        self,
        request: web.Request,
        *,
        opcode: WSMsgType,
        opened: Callable[[Outbox], None],
        received: Receive,
        closed: Callable[[Outbox], None],
    ) -> web.WebSocketResponse:
        """Accept a connection, feed its text to `received`, and clean up when it ends."""
        ws = web.WebSocketResponse(compress=False, max_msg_size=1 << 20)
        await ws.prepare(request)
        outbox = Outbox(ws, opcode)
        transport = request.transport
        if transport is None:
            return ws
        writer = asyncio.create_task(outbox.drain())
        self._open.add(transport)
        self._gauge.inc()
        try:
            opened(outbox)
            async for message in ws:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await _receive(received, outbox, message.data)
        finally:
            self._open.discard(transport)
            self._gauge.dec()
            closed(outbox)
            writer.cancel()
        return ws

    def abort_all(self) -> None:
        """Cut every connection without waiting for the other side to agree."""
        for transport in list(self._open):
            transport.abort()


async def _receive(received: Receive, outbox: Outbox, data: str | bytes) -> None:
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    result = received(outbox, text)
    if result is not None:
        await result
