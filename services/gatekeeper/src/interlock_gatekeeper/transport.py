"""HTTP/1.1 to one venue on warm connections: `prepare` may wait, `fire` writes at once.

No retry, no redirect, no hidden wait: what was written was written once, and what came back is
handed on as status and bytes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import SupportsIndex
from urllib.parse import urlsplit

import h11

from interlock_core.clock import NS_PER_S, monotonic_ns
from interlock_core.redaction import Redactor

CONNECT_TIMEOUT_S = 3.0
MAX_IDLE_NS = 10 * NS_PER_S
MAX_BODY_BYTES = 32 * 1024 * 1024
CHUNK_BYTES = 65_536
MAX_IDLE_CONNECTIONS = 8


class ConnectError(Exception):
    """No connection: nothing was written, so nothing can have happened at the venue."""


class NoAnswerError(Exception):
    """The request was written and no whole answer came back: the outcome is unknown."""


@dataclass(frozen=True, slots=True)
class Request:
    """A signed request, ready to be written."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the venue said: status, raw body, headers by lower-case name."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class _CountingReader(asyncio.StreamReader):
    """A reader that knows how many bytes ever came, so that unasked ones are noticed."""

    fed = 0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Take bytes from the connection."""
        whole = bytes(data)
        self.fed += len(whole)
        super().feed_data(whole)


class Connection:
    """One open connection; one request at a time."""

    def __init__(self, host: str, reader: _CountingReader, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._reader = reader
        self._taken = 0
        self._writer = writer
        self._h11 = h11.Connection(our_role=h11.CLIENT)
        self.idle_since_ns = monotonic_ns()

    @property
    def usable(self) -> bool:
        """Say whether a request may be written: open, at rest, and not idle for long."""
        fresh = monotonic_ns() - self.idle_since_ns < MAX_IDLE_NS
        # Bytes that nobody asked for would be taken for the next request's answer.
        quiet = self._reader.fed == self._taken and not self._h11.trailing_data[0]
        closed = self._reader.at_eof() or self._writer.is_closing()
        return fresh and quiet and not closed

    def fire(self, request: Request) -> None:
        """Write the whole request now, without waiting for anything."""
        headers = [("Host", self._host), *request.headers]
        if request.body or request.method == "POST":
            headers.append(("Content-Length", str(len(request.body))))
        head = h11.Request(method=request.method, target=request.target, headers=headers)
        data = self._h11.send(head) or b""
        if request.body:
            data += self._h11.send(h11.Data(data=request.body)) or b""
        data += self._h11.send(h11.EndOfMessage()) or b""
        self._writer.write(data)

    async def answer(self, timeout_s: float) -> Answer:
        """Return the venue's answer, or raise NoAnswerError."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._read()
        except TimeoutError as error:
            raise NoAnswerError(f"no answer within {timeout_s} s") from error
        except (OSError, h11.RemoteProtocolError) as error:
            raise NoAnswerError(f"connection lost: {type(error).__name__}") from error

    async def _read(self) -> Answer:
        status, body, headers = 0, bytearray(), {}
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                chunk = await self._reader.read(CHUNK_BYTES)
                self._taken += len(chunk)
                self._h11.receive_data(chunk)
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {k.decode("ascii"): v.decode("latin-1") for k, v in event.headers}
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY_BYTES:
                    raise NoAnswerError("the answer is too large")
            elif isinstance(event, h11.EndOfMessage):
                return Answer(status, bytes(body), headers)
            elif isinstance(event, h11.ConnectionClosed):
                raise NoAnswerError("connection closed before the answer")

    def rest(self) -> bool:
        """Make ready for another request; return False where the connection cannot be reused."""
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        self.idle_since_ns = monotonic_ns()
        return self.usable

    def close(self) -> None:
        """Close without waiting."""
        self._writer.close()


class Transport:
    """Connections to one origin, whose answers never show one of our secrets back to us."""

    def __init__(self, base_url: str, redactor: Redactor | None = None) -> None:
        parts = urlsplit(base_url)
        self._redactor = redactor or Redactor()
        self._host = parts.hostname or ""
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._ssl else 80)
        self._header_host = parts.netloc
        self._idle: list[Connection] = []

    async def prepare(self) -> Connection:
        """Return an open connection, warm where there is one; raise ConnectError."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return await self._connect()
        except (OSError, TimeoutError) as error:
            raise ConnectError(f"cannot connect to {self._header_host}") from error

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        reader = _CountingReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.create_connection(
            lambda: protocol, self._host, self._port, ssl=self._ssl
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return Connection(self._header_host, reader, writer)

    async def finish(self, connection: Connection, timeout_s: float) -> Answer:
        """Return the answer to what was fired on connection; keep the connection if it can be."""
        try:
            answer = await connection.answer(timeout_s)
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < MAX_IDLE_CONNECTIONS and connection.rest():
            self._idle.append(connection)
        else:
            connection.close()
        # A venue's message may repeat what it was sent, and it goes into record and reply.
        return replace(answer, body=self._redactor.raw(answer.body))

    async def ask(self, request: Request, timeout_s: float) -> Answer:
        """Send a request that changes nothing at the venue, and return its answer."""
        connection = await self.prepare()
        connection.fire(request)
        return await self.finish(connection, timeout_s)

    def close(self) -> None:
        """Close every idle connection."""
        while self._idle:
            self._idle.pop().close()
