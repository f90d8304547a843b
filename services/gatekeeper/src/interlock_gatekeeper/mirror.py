"""The journal's mirror in PostgreSQL, for queries and anchors. Never on the safety path.

The journal itself is the queue: a cursor file says how far the mirror has come, so an outage of
the database or of this process loses nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from interlock_core.clock import NS_PER_S, Clock, SystemClock
from interlock_gatekeeper import journal
from interlock_gatekeeper.journal import Anchor
from interlock_gatekeeper.metrics import Metrics

log = logging.getLogger(__name__)

CURSOR_NAME = "mirror.cursor"
POLL_S = 0.5
RETRY_S = 3.0
BATCH_LINES = 500
TAIL_BYTES = 1 << 20
ANCHOR_EVERY_NS = 60 * NS_PER_S
CONNECT_TIMEOUT_S = 3
ANCHOR_KINDS = ("ARM", "KILL", "FLAT", "RESIDUAL")

INSERT_LINE = (
    "INSERT INTO journal (seq, boot_id, wall_ns, type, record, h) VALUES (%s, %s, %s, %s, %s, %s) "
    "ON CONFLICT DO NOTHING"
)
INSERT_ANCHOR = "INSERT INTO anchors (seq, h, wall_ns, reason) VALUES (%s, %s, %s, %s)"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the mirror has come: the place after its last line, and that line's head."""

    name: str
    offset: int
    seq: int
    h: str


class Mirror:
    """Copies journal lines and anchors to PostgreSQL, at its own pace.

    `anchored` gets the boot time of each anchor that PostgreSQL accepted, once the mirror has
    caught up: an anchor far behind the head proves little. `announce` gets the anchor itself and
    must neither raise nor wait long.
    """

    def __init__(
        self,
        dsn: str,
        folder: Path,
        metrics: Metrics,
        *,
        anchored: Callable[[int], None],
        announce: Callable[[Anchor], Awaitable[None]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._dsn = dsn
        self._folder = folder
        self._cursor_path = folder / CURSOR_NAME
        self._lag = metrics.mirror_lag
        self._anchored = anchored
        self._announce = announce
        self._clock = clock or SystemClock()
        self._anchored_ns: int | None = None
        self._cursor = self._read_cursor()

    def _read_cursor(self) -> Cursor | None:
        """Return the stored cursor where its line ends there; else begin anew: inserts repeat."""
        try:
            cursor = Cursor(**json.loads(self._cursor_path.read_text("ascii")))
            with (self._folder / cursor.name).open("rb") as handle:
                handle.seek(max(0, cursor.offset - TAIL_BYTES))
                tail = handle.read(min(cursor.offset, TAIL_BYTES))
                whole = handle.tell() == cursor.offset and tail.endswith(b"\n")
            last = tail[:-1].rpartition(b"\n")[2]
            return cursor if whole and json.loads(last)["h"] == cursor.h else None
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def _write_cursor(self, cursor: Cursor) -> None:
        fresh = self._cursor_path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(cursor)), "ascii")
        os.replace(fresh, self._cursor_path)  # noqa: PTH105 - os.replace states the atomicity

    async def run(self) -> None:
        """Mirror until cancelled, through any outage."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._dsn, connect_timeout=CONNECT_TIMEOUT_S, autocommit=False
                ) as connection:
                    while True:
                        await self._copy(connection)
            except (psycopg.Error, OSError, ValueError, LookupError) as error:
                log.warning("mirror is behind", extra={"why": type(error).__name__})
                await asyncio.sleep(RETRY_S)

    async def _copy(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Copy one batch with its anchors in one transaction, then move the cursor."""
        lines, cursor = await asyncio.to_thread(self._next_lines)
        self._lag.set(len(lines))
        bodies = [json.loads(line) for line in lines]
        anchors = [
            Anchor(b["seq"], b["h"], self._clock.wall_ns(), b["type"])
            for b in bodies
            if b["type"] in ANCHOR_KINDS
        ]
        if bodies and cursor is not None:
            cursor = Cursor(cursor.name, cursor.offset, bodies[-1]["seq"], bodies[-1]["h"])
        if cursor is not None and self._is_due():
            anchors.append(Anchor(cursor.seq, cursor.h, self._clock.wall_ns(), "PERIODIC"))
        if bodies or anchors:
            await self._insert(connection, bodies, anchors, current=len(lines) < BATCH_LINES)
        if cursor is not None and cursor != self._cursor:
            await asyncio.to_thread(self._write_cursor, cursor)
            self._cursor = cursor
        if len(lines) < BATCH_LINES:
            await asyncio.sleep(POLL_S)

    def _is_due(self) -> bool:
        last = self._anchored_ns
        return last is None or self._clock.boot_ns() - last >= ANCHOR_EVERY_NS

    async def _insert(
        self,
        connection: psycopg.AsyncConnection[Any],
        bodies: list[dict[str, Any]],
        anchors: list[Anchor],
        *,
        current: bool,
    ) -> None:
        at_ns = self._clock.boot_ns()
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.executemany(
                INSERT_LINE,
                [
                    (b["seq"], b["boot_id"], b["wall_ns"], b["type"], Jsonb(b), b["h"])
                    for b in bodies
                ],
            )
            await cursor.executemany(
                INSERT_ANCHOR, [(a.seq, a.h, a.wall_ns, a.reason) for a in anchors]
            )
        if anchors and current:
            self._anchored_ns = at_ns
            self._anchored(at_ns)
        for anchor in anchors:
            log.info(
                "anchor",
                extra={"seq": anchor.seq, "head": anchor.h[:16], "reason": anchor.reason},
            )
            if self._announce is not None:
                await self._announce(anchor)

    def _next_lines(self) -> tuple[list[bytes], Cursor | None]:
        """Return the next whole lines and the place after them, passing over finished files."""
        cursor = self._cursor
        # Listed before reading: a file with a later one beside it is complete.
        paths = [
            path for path in journal.files(self._folder) if not cursor or path.name >= cursor.name
        ]
        lines: list[bytes] = []
        for path in paths:
            at_cursor = cursor is not None and path.name == cursor.name
            offset = cursor.offset if cursor is not None and at_cursor else 0
            with path.open("rb") as handle:
                handle.seek(offset)
                for line in handle:
                    if not line.endswith(b"\n") or len(lines) >= BATCH_LINES:
                        return lines, cursor
                    lines.append(line)
                    offset += len(line)
                    seq, head = (cursor.seq, cursor.h) if cursor else (0, journal.GENESIS)
                    cursor = Cursor(path.name, offset, seq, head)
        return lines, cursor
