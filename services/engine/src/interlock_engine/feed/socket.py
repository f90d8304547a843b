"""One multiplexed WebSocket of a venue: connect, subscribe, hand on frames, connect again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from interlock_core.clock import Clock
from interlock_engine.book.market import Venue

log = logging.getLogger(__name__)

FIRST_DELAY_S = 0.25
MAX_DELAY_S = 15.0
# Upbit closes a connection that was idle for 60 to 120 s and sends no pings of its own.
PING_EVERY_S = 20.0
SILENT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
MAX_FRAME_BYTES = 1 << 20
YIELD_EVERY = 512

_DATA = (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where to connect, and what to say first (None: the address says it all)."""

    url: str
    hello: bytes | None


class FeedError(Exception):
    """The venue ended the subscription: connect again later."""


class VenueSocket:
    """Runs one subscription for ever and keeps the venue's age."""

    def __init__(
        self,
        venue: Venue,
        http: aiohttp.ClientSession,
        subscription: Subscription,
        *,
        on_connect: Callable[[], None],
        on_frame: Callable[[bytes, int], None],
        clock: Clock,
    ) -> None:
        self._venue = venue
        self._http = http
        self._subscription = subscription
        self._on_connect = on_connect
        self._on_frame = on_frame
        self._clock = clock

    async def run(self) -> None:
        """Stream until cancelled; after a failure wait, twice as long each time, with jitter."""
        delay_s = FIRST_DELAY_S
        while True:
            seen = self._venue.frames
            try:
                await self._stream()
            except (aiohttp.ClientError, OSError, TimeoutError, FeedError) as error:
                log.warning("feed lost", extra={"venue": self._venue.name, "why": _why(error)})
            if self._venue.frames > seen:
                delay_s = FIRST_DELAY_S
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter only
            delay_s = min(delay_s * 2, MAX_DELAY_S)

    async def _stream(self) -> None:
        async with self._http.ws_connect(
            self._subscription.url,
            heartbeat=PING_EVERY_S,
            timeout=aiohttp.ClientWSTimeout(ws_close=0.2),
            max_msg_size=MAX_FRAME_BYTES,
            decode_text=False,
        ) as socket:
            if self._subscription.hello is not None:
                await socket.send_bytes(self._subscription.hello)
            self._on_connect()
            log.info("feed connected", extra={"venue": self._venue.name})
            watch = asyncio.create_task(self._close_when_silent(socket))
            try:
                await self._read(socket)
            finally:
                watch.cancel()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        receive, on_frame, boot_ns = socket.receive, self._on_frame, self._clock.boot_ns
        venue = self._venue
        while True:
            message = await receive()
            if message.type not in _DATA:
                raise FeedError(f"closed by the venue, code {socket.close_code}")
            now_ns = boot_ns()
            venue.last_ns = now_ns
            venue.frames += 1
            on_frame(message.data, now_ns)
            if venue.frames % YIELD_EVERY == 0:
                # A backlog is drained without a pause; others must still get their turn.
                await asyncio.sleep(0)

    async def _close_when_silent(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        while True:
            seen = self._venue.frames
            await asyncio.sleep(SILENT_S)
            if self._venue.frames == seen:
                log.warning("feed silent", extra={"venue": self._venue.name, "seconds": SILENT_S})
                await socket.close()
                return


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
