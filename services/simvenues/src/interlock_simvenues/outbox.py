"""One WebSocket connection's way out: a bounded queue and one writer, so no reader stalls all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from aiohttp import ClientConnectionResetError, WSCloseCode, WSMsgType, web
from prometheus_client import Gauge

from interlock_core.clock import Clock
from interlock_core.instrument import Venue
from interlock_simvenues.faults.calls import maintenance_response
from interlock_simvenues.faults.faults import Faults
from interlock_simvenues.faults.kinds import FaultKind, Operation
from interlock_simvenues.faults.line import Line

# Some seconds of every stream of fifty assets.
MAX_QUEUED = 8_000

_UPGRADE_KINDS = frozenset({FaultKind.MAINTENANCE})

Receive = Callable[["Outbox", str], Awaitable[None] | None]


class Outbox:
    """Frames waiting for one client; a client that does not keep up is disconnected."""

    __slots__ = ("_close", "_frames", "_line", "_opcode", "_overflow", "_ready", "_transport", "ws")

    def __init__(
        self,
        ws: web.WebSocketResponse,
        opcode: WSMsgType,
        *,
        transport: asyncio.Transport,
        line: Line,
    ) -> None:
        self.ws = ws
        self._transport = transport
        self._line = line
        self._opcode = opcode
        self._frames: deque[bytes] = deque()
        self._ready = asyncio.Event()
        self._overflow = False
        self._close: int | None = None

    def send(self, frame: bytes, *, symbol: str = "", sequenced: bool = False) -> None:
        """Queue one frame; never waits. A sequenced frame is one that a client may miss."""
        rule = self._line.fault(symbol, sequenced=sequenced)
        if rule is None:
            self._queue(frame)
        elif rule.kind is FaultKind.MALFORMED_FRAME:
            self._queue(frame[: len(frame) // 2])
        elif rule.kind is FaultKind.DISCONNECT:
            self._disconnect(rule.code)

    def fail(self, frame: bytes) -> None:
        """Queue a last frame and close normally after it."""
        self._close = WSCloseCode.OK
        self.send(frame)

    def _queue(self, frame: bytes) -> None:
        if len(self._frames) >= MAX_QUEUED:
            self._overflow = True
        else:
            self._frames.append(frame)
        self._ready.set()

    def _disconnect(self, code: int | None) -> None:
        if code is None or code == WSCloseCode.ABNORMAL_CLOSURE:
            self._transport.abort()
            return
        self._close = code
        self._ready.set()

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
                if self._close is not None:
                    await ws.close(code=self._close)
        except (ClientConnectionResetError, ConnectionResetError):
            return


class Connections:
    """The open WebSocket connections of one venue, so that shutdown can cut them all at once."""

    def __init__(self, gauge: Gauge, venue: Venue, faults: Faults, clock: Clock) -> None:
        self._gauge = gauge
        self._venue = venue
        self._faults = faults
        self._clock = clock
        self._open: set[asyncio.Transport] = set()

    async def serve(
        self,
        request: web.Request,
        *,
        opcode: WSMsgType,
        operation: Operation,
        opened: Callable[[Outbox], None],
        received: Receive,
        closed: Callable[[Outbox], None],
    ) -> web.StreamResponse:
        """Accept a connection, feed its text to `received`, and clean up when it ends."""
        now_ns = self._clock.wall_ns()
        if self._faults.decide(self._venue, operation, "", now_ns, kinds=_UPGRADE_KINDS):
            return maintenance_response(self._venue)
        ws = web.WebSocketResponse(compress=False, max_msg_size=1 << 20)
        await ws.prepare(request)
        transport = request.transport
        if transport is None:
            return ws
        line = Line(self._faults, self._venue, operation, self._clock)
        outbox = Outbox(ws, opcode, transport=transport, line=line)
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
