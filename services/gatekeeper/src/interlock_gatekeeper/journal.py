"""The local, append-only, hash-chained journal: the gatekeeper's memory and its evidence.

One JSON object a line; `h` is SHA-256 over the previous hash and the line's canonical JSON. A
torn last line is cut off and reported; any other defect means the chain is broken.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock_core.clock import monotonic_ns
from interlock_core.wire.strict import canonical
from interlock_gatekeeper.records import DURABLE, Kind, Record
from interlock_gatekeeper.state import Now

FILE_NAME = "journal.jsonl"
LOCK_NAME = "journal.lock"
GENESIS = "0" * 64
SCHEMA_VERSION = 1
MODE = 0o600


class JournalError(Exception):
    """The journal cannot be used: nothing may be sent; the process must not trade."""


class AnotherGatekeeperError(JournalError):
    """Another process holds this journal: exactly one gatekeeper may run."""


@dataclass(frozen=True, slots=True)
class Line:
    """One verified journal line."""

    seq: int
    record: Record
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading a journal showed: lines, head, and the first defect if there is one."""

    lines: int
    head: str
    defect: str | None
    torn_bytes: int


def chain(prev: str, body: dict[str, Any]) -> str:
    """Return the hash that binds a line's body to everything before it."""
    return hashlib.sha256(prev.encode("ascii") + canonical(body)).hexdigest()


def read(path: Path, visit: Callable[[Line], None]) -> Verification:
    """Visit every intact line in order and return what was found; never writes."""
    prev, count, good_bytes = GENESIS, 0, 0
    if not path.exists():
        return Verification(0, GENESIS, None, 0)
    size = path.stat().st_size
    for raw_line in _lines(path):
        if not raw_line.endswith(b"\n"):
            break
        try:
            line = _parse(raw_line, count + 1, prev)
            visit(line)
        except (ValueError, LookupError, TypeError, ArithmeticError) as error:
            return Verification(count, prev, f"line {count + 1}: {error}", 0)
        prev, count = line.raw["h"], line.seq
        good_bytes += len(raw_line)
    return Verification(count, prev, None, size - good_bytes)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        yield from handle


def _parse(raw_line: bytes, seq: int, prev: str) -> Line:
    body = json.loads(raw_line)
    digest = body.pop("h")
    if body["seq"] != seq:
        raise ValueError(f"expected seq {seq}, was {body['seq']}")
    if body["prev"] != prev or chain(prev, body) != digest:
        raise ValueError("the hash chain is broken")
    record = Record(Kind(body["type"]), body["data"])
    return Line(seq, record, {**body, "h": digest})


class Journal:
    """Appends records and makes them durable. One process at a time, held by a file lock."""

    def __init__(
        self, directory: Path, *, boot_id: str, observe_sync_s: Callable[[float], None]
    ) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / FILE_NAME
        self._boot_id = boot_id
        self._observe_sync_s = observe_sync_s
        self._lock_fd = _lock(directory / LOCK_NAME)
        self._fd = -1
        self._head, self._seq, self._synced = GENESIS, 0, 0
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._sync_lock = asyncio.Lock()
        self._closed = False

    @property
    def seq(self) -> int:
        """Return the number of the last appended line."""
        return self._seq

    def recover(self, visit: Callable[[Line], None]) -> Verification:
        """Read everything, cut a torn last line, and open for appending."""
        found = read(self.path, visit)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, MODE)
        if found.torn_bytes and found.defect is None:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - found.torn_bytes)
        self._head, self._seq = found.head, found.lines
        self._synced = found.lines
        _sync_directory(self.path.parent)
        return found

    def append(self, record: Record, now: Now) -> int:
        """Append one record to the file (not yet durable) and return its number."""
        body = {
            "v": SCHEMA_VERSION,
            "seq": self._seq + 1,
            "wall_ns": now.wall_ns,
            "boot_ns": now.boot_ns,
            "boot_id": self._boot_id,
            "type": record.kind,
            "data": record.data,
            "prev": self._head,
        }
        digest = chain(self._head, body)
        data = canonical({**body, "h": digest}) + b"\n"
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            raise JournalError(f"cannot append: {error.strerror}") from error
        if written != len(data):
            raise JournalError("cannot append: short write")
        self._head, self._seq = digest, self._seq + 1
        return self._seq

    async def durable(self, seq: int) -> None:
        """Return once line `seq` is on the disk; one fdatasync serves all that wait.

        A failed fdatasync is never tried again: a second one may falsely succeed.
        """
        async with self._sync_lock:
            if self._synced >= seq:
                return
            upto, start = self._seq, monotonic_ns()
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(self._pool, os.fdatasync, self._fd)
            except OSError as error:
                raise JournalError(f"cannot make durable: {error.strerror}") from error
            self._observe_sync_s((monotonic_ns() - start) / 1e9)
            self._synced = upto

    def close(self) -> None:
        """Make everything durable and let the lock go."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown(wait=True)
        if self._fd >= 0:
            os.fdatasync(self._fd)
            os.close(self._fd)
        os.close(self._lock_fd)


def needs_sync(record: Record) -> bool:
    """Say whether a record must be durable before its effect."""
    return record.kind in DURABLE


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise AnotherGatekeeperError(f"another gatekeeper holds {path}") from error
    return fd


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
