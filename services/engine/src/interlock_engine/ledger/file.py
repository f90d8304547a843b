"""The ledger's file: one line a record, appended before anything follows from it.

Each line is a CRC-32 and canonical JSON. A line reaches the kernel at once, so that it outlives
any end of this process; it reaches the disk before a round trip's first order, and else within a
second. A last line without its end was never acted on and is cut off.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from interlock_core.wire import strict
from interlock_core.wire.strict import SchemaError
from interlock_engine.ledger.records import Record, from_value, to_value

log = logging.getLogger(__name__)

FILE_NAME = "ledger.jsonl"
SYNC_EVERY_S = 1.0
MAX_LINE_BYTES = 65_536
MODE = 0o640


class LedgerError(Exception):
    """The ledger cannot be used; the message says what to do."""


class Ledger:
    """Appends records; a failed write fails every later one, and the session opens nothing more."""

    def __init__(self, folder: Path) -> None:
        """Open the file for this process alone, creating it; raise LedgerError."""
        self.path = folder / FILE_NAME
        self.failed = ""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, MODE)
        except OSError as error:
            raise LedgerError(f"{self.path}: cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise LedgerError(f"{self.path}: another engine runs this session") from error
        self._size = self._synced = os.fstat(self._descriptor).st_size

    def read(self) -> list[Record]:
        """Return every record, after cutting off a torn last line; raise LedgerError."""
        raw = self.path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if whole < len(raw):
            log.warning("torn line cut off", extra={"bytes": len(raw) - whole})
            os.ftruncate(self._descriptor, whole)
            self._size = self._synced = whole
        try:
            return list(decode(raw[:whole]))
        except SchemaError as error:
            raise LedgerError(f"{self.path}: {error}") from error

    def append(self, record: Record) -> bool:
        """Write one record; return whether it was kept. Never raises."""
        if self.failed:
            return False
        line = encode(record)
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            return self._fail(str(error))
        if written != len(line):
            return self._fail(f"{written} of {len(line)} bytes were written")
        self._size += len(line)
        return True

    def _fail(self, why: str) -> bool:
        self.failed = f"the ledger cannot be written: {why}"
        log.critical("ledger failed", extra={"path": str(self.path), "why": why})
        return False

    async def sync(self) -> bool:
        """Wait until every record is on the disk; return whether it is."""
        size = self._size
        if self.failed or size == self._synced:
            return not self.failed
        try:
            await asyncio.to_thread(os.fdatasync, self._descriptor)
        except OSError as error:
            return self._fail(str(error))
        self._synced = max(self._synced, size)
        return True

    async def run(self) -> None:
        """Bring what was written to the disk once a second, until cancelled."""
        while True:
            await self.sync()
            await asyncio.sleep(SYNC_EVERY_S)

    def close(self) -> None:
        """Close the file and let another process have it."""
        os.close(self._descriptor)


def encode(record: Record) -> bytes:
    """Return a record's line."""
    body = strict.canonical(to_value(record))
    return b"%08x %s\n" % (zlib.crc32(body), body)


def decode(raw: bytes) -> Iterator[Record]:
    """Yield the records of whole lines, or raise SchemaError naming the first that is broken."""
    for number, line in enumerate(raw.splitlines(), start=1):
        crc, _, body = line.partition(b" ")
        if b"%08x" % zlib.crc32(body) != crc:
            raise SchemaError(f"line {number} is broken: move the folder away to begin anew")
        try:
            yield from_value(strict.loads(body, max_bytes=MAX_LINE_BYTES))
        except SchemaError as error:
            raise SchemaError(f"line {number}: {error}") from error
