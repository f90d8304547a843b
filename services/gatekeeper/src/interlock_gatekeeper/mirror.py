"""The journal's mirror in PostgreSQL, for queries and anchors. Never on the safety path.

The journal itself is the queue: a cursor file says how far the mirror has come, so an outage of
the database or of this process loses nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from interlock_core.clock import wall_ns
from interlock_gatekeeper.metrics import Metrics

log = logging.getLogger(__name__)

CURSOR_NAME = "mirror.cursor"
POLL_S = 0.5
RETRY_S = 3.0
BATCH_LINES = 500
ANCHOR_EVERY_S = 60.0
CONNECT_TIMEOUT_S = 3
ANCHOR_KINDS = ("ARM", "KILL", "FLAT")

INSERT_LINE = (
    "INSERT INTO journal (seq, boot_id, wall_ns, type, record, h) VALUES (%s, %s, %s, %s, %s, %s) "
    "ON CONFLICT DO NOTHING"
)
INSERT_ANCHOR = "INSERT INTO anchors (seq, h, wall_ns, reason) VALUES (%s, %s, %s, %s)"


class Mirror:
    """Copies journal lines and anchors to PostgreSQL, at its own pace."""

    def __init__(self, dsn: str, journal_path: Path, metrics: Metrics) -> None:
        self._dsn = dsn
        self._path = journal_path
        self._cursor_path = journal_path.with_name(CURSOR_NAME)
        self._lag = metrics.mirror_lag
        self._offset = self._read_cursor()

    def _read_cursor(self) -> int:
        try:
            offset = int(self._cursor_path.read_text("ascii"))
        except (OSError, ValueError):
            return 0
        # A cursor past the end belongs to another journal: begin anew, the inserts are idempotent.
        size = self._path.stat().st_size if self._path.exists() else 0
        return offset if 0 <= offset <= size else 0

    def _write_cursor(self) -> None:
        fresh = self._cursor_path.with_suffix(".new")
        fresh.write_text(str(self._offset), "ascii")
        os.replace(fresh, self._cursor_path)  # noqa: PTH105 - os.replace states the atomicity

    async def run(self) -> None:
        """Mirror until cancelled, through any outage."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._dsn, connect_timeout=CONNECT_TIMEOUT_S, autocommit=False
                ) as connection:
                    await self._copy(connection)
            except psycopg.Error as error:
                log.warning("mirror is behind", extra={"why": type(error).__name__})
                await asyncio.sleep(RETRY_S)

    async def _copy(self, connection: psycopg.AsyncConnection[Any]) -> None:
        anchored_s = 0.0
        loop = asyncio.get_running_loop()
        while True:
            lines = await asyncio.to_thread(self._next_lines)
            self._lag.set(len(lines))
            if lines:
                due = loop.time() - anchored_s >= ANCHOR_EVERY_S
                await self._insert(connection, lines, periodic_anchor=due)
                anchored_s = loop.time() if due else anchored_s
            if len(lines) < BATCH_LINES:
                await asyncio.sleep(POLL_S)

    async def _insert(
        self,
        connection: psycopg.AsyncConnection[Any],
        lines: list[bytes],
        *,
        periodic_anchor: bool,
    ) -> None:
        bodies = [json.loads(line) for line in lines]
        anchors = [(b["seq"], b["h"], wall_ns(), b["type"]) for b in bodies if _is_anchor(b)]
        if periodic_anchor:
            anchors.append((bodies[-1]["seq"], bodies[-1]["h"], wall_ns(), "PERIODIC"))
        async with connection.transaction(), connection.cursor() as cursor:
            rows = [
                (b["seq"], b["boot_id"], b["wall_ns"], b["type"], Jsonb(b), b["h"]) for b in bodies
            ]
            await cursor.executemany(INSERT_LINE, rows)
            if anchors:
                await cursor.executemany(INSERT_ANCHOR, anchors)
        self._offset += sum(map(len, lines))
        await asyncio.to_thread(self._write_cursor)
        for seq, digest, _, reason in anchors:
            log.info("anchor", extra={"seq": seq, "head": digest[:16], "reason": reason})

    def _next_lines(self) -> list[bytes]:
        lines: list[bytes] = []
        with self._path.open("rb") as handle:
            handle.seek(self._offset)
            for line in handle:
                if not line.endswith(b"\n") or len(lines) >= BATCH_LINES:
                    break
                lines.append(line)
        return lines


def _is_anchor(body: dict[str, Any]) -> bool:
    return body["type"] in ANCHOR_KINDS
