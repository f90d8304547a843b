"""The local, append-only, hash-chained journal: the gatekeeper's memory and its evidence.

One file a UTC day, one JSON object a line; `h` is SHA-256 over the previous hash and the line's
canonical JSON, and the chain runs on over the files. A torn last line of the last file is cut off
and reported; any other defect means the chain is broken. A tail cut off exactly between two lines
leaves a valid shorter chain: only the anchors kept elsewhere show it.
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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interlock_core.clock import NS_PER_S, monotonic_ns
from interlock_core.wire.strict import canonical
from interlock_gatekeeper.records import DURABLE, Kind, Record
from interlock_gatekeeper.state import Now

PATTERN = "journal-*.jsonl"
LOCK_NAME = "journal.lock"
GENESIS = "0" * 64
SCHEMA_VERSION = 2
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
class Anchor:
    """The chain's head as it was told to a place outside the journal."""

    seq: int
    h: str
    wall_ns: int
    reason: str


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


def day_file(wall_ns: int) -> str:
    """Return the name of the file that a line of this moment belongs to."""
    return f"journal-{datetime.fromtimestamp(wall_ns // NS_PER_S, UTC):%Y-%m-%d}.jsonl"


def files(folder: Path) -> list[Path]:
    """Return the journal's files, oldest first."""
    return sorted(folder.glob(PATTERN))


def read(folder: Path, visit: Callable[[Line], None]) -> Verification:
    """Visit every intact line of all files in order and return what was found; never writes."""
    prev, count, before = GENESIS, 0, None
    paths = files(folder)
    for path in paths:
        first = True
        for raw_line in _lines(path):
            if not raw_line.endswith(b"\n") and path == paths[-1]:
                return Verification(count, prev, None, len(raw_line))
            try:
                line = _parse(raw_line, count + 1, prev)
                _check_place(line, path.name, before, first=first)
                visit(line)
            except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
                why = f"{path.name}: line {count + 1}: {error}"
                return Verification(count, prev, why, 0)
            prev, count, first = line.raw["h"], line.seq, False
        if first and path != paths[-1]:
            return Verification(count, prev, f"{path.name}: expected lines, was empty", 0)
        before = path.name
    return Verification(count, prev, None, 0)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        yield from handle


def _parse(raw_line: bytes, seq: int, prev: str) -> Line:
    whole = json.loads(raw_line)
    if not isinstance(whole, dict):
        raise TypeError("expected an object")
    # Other bytes that mean the same JSON were not written by this program.
    if canonical(whole) + b"\n" != raw_line:
        raise ValueError("expected canonical JSON")
    body = {key: value for key, value in whole.items() if key != "h"}
    if body["v"] != SCHEMA_VERSION:
        raise ValueError(f"expected version {SCHEMA_VERSION}, was {body['v']}")
    if body["seq"] != seq:
        raise ValueError(f"expected seq {seq}, was {body['seq']}")
    if body["prev"] != prev or chain(prev, body) != whole["h"]:
        raise ValueError("the hash chain is broken")
    return Line(seq, Record(Kind(body["type"]), body["data"]), whole)


def _check_place(line: Line, name: str, before: str | None, *, first: bool) -> None:
    day = day_file(line.raw["wall_ns"])
    # A clock set back keeps the newest file: later lines may be of an earlier day, never a later.
    if day > name or (first and day != name):
        raise ValueError(f"expected in {day}, was in {name}")
    if first and line.raw["file_before"] != before:
        raise ValueError(f"expected to follow {line.raw['file_before']}, follows {before}")


class Journal:
    """Appends records and makes them durable. One process at a time, held by a file lock."""

    def __init__(
        self,
        folder: Path,
        *,
        boot_id: str,
        config_sha256: str,
        commit: str,
        observe_sync_s: Callable[[float], None],
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._origin = {"boot_id": boot_id, "config_sha256": config_sha256, "commit": commit}
        self._observe_sync_s = observe_sync_s
        self._lock_fd = _lock(folder / LOCK_NAME)
        self._fd = -1
        self._retired: list[int] = []
        self._name: str | None = None
        self._head, self._seq, self._synced = GENESIS, 0, 0
        self._failure: str | None = "it was not recovered"
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._sync_lock = asyncio.Lock()
        self._closed = False

    @property
    def seq(self) -> int:
        """Return the number of the last appended line."""
        return self._seq

    @property
    def head(self) -> tuple[int, str]:
        """Return the number and the hash of the last appended line."""
        return self._seq, self._head

    def free_bytes(self) -> int:
        """Return the disk space left to the journal's folder."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def recover(self, visit: Callable[[Line], None]) -> Verification:
        """Read everything, cut a torn last line, and open for appending where all is well."""
        found = read(self.folder, visit)
        self._head, self._seq, self._synced = found.head, found.lines, found.lines
        if found.defect is not None:
            self._failure = found.defect
            return found
        paths = files(self.folder)
        if paths:
            os.truncate(paths[-1], paths[-1].stat().st_size - found.torn_bytes)
            if paths[-1].stat().st_size == 0:
                # Made for a line that never came: the next line makes its own day's file.
                paths.pop().unlink()
        if paths:
            self._name, self._fd = paths[-1].name, _open(paths[-1])
            # The process before may have died between its write and its sync.
            os.fdatasync(self._fd)
        _sync_folder(self.folder)
        self._failure = None
        return found

    def append(self, record: Record, now: Now, *, before: str, after: str) -> int:
        """Append one record with the state words around it (not yet durable); return its number.

        After a failure every further append fails: a line never follows a torn one.
        """
        self._refuse_after_failure()
        name = day_file(now.wall_ns)
        switches = self._name is None or name > self._name
        body = {
            **self._origin,
            "v": SCHEMA_VERSION,
            "seq": self._seq + 1,
            "wall_ns": now.wall_ns,
            "boot_ns": now.boot_ns,
            "type": record.kind,
            "before": before,
            "after": after,
            "actor": record.data.get("actor"),
            "data": record.data,
            "prev": self._head,
            **({"file_before": self._name} if switches else {}),
        }
        digest = chain(self._head, body)
        data = canonical({**body, "h": digest}) + b"\n"
        try:
            if switches:
                self._switch(name)
            written = os.write(self._fd, data)
        except OSError as error:
            raise self._failed(f"cannot append: {error.strerror}") from error
        if written != len(data):
            raise self._failed("cannot append: short write")
        self._head, self._seq = digest, self._seq + 1
        return self._seq

    def _switch(self, name: str) -> None:
        """Begin a day's file; the finished one is on the disk before the new one exists."""
        if self._fd >= 0:
            os.fdatasync(self._fd)
            # A sync of it may be running in the pool: only the pool closes it.
            self._retired.append(self._fd)
        self._name, self._fd = name, _open(self.folder / name)
        _sync_folder(self.folder)

    async def durable(self, seq: int) -> None:
        """Return once line `seq` is on the disk; one fdatasync serves all that wait.

        A failed fdatasync is never tried again: a second one may falsely succeed. Call it with
        `Journal.seq` every 50 to 100 ms to flush the records that no effect waits for.
        """
        async with self._sync_lock:
            if self._synced >= seq:
                return
            self._refuse_after_failure()
            upto, start = self._seq, monotonic_ns()
            retired, self._retired = self._retired, []
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._pool, self._sync, self._fd, retired)
            self._refuse_after_failure()
            self._observe_sync_s((monotonic_ns() - start) / 1e9)
            self._synced = upto

    def _sync(self, fd: int, retired: list[int]) -> None:
        # Runs in the pool's one thread. It notes a failure itself: its waiter may be cancelled.
        for old in retired:
            os.close(old)
        try:
            os.fdatasync(fd)
        except OSError as error:
            self._failed(f"cannot make durable: {error.strerror}")

    def _failed(self, why: str) -> JournalError:
        self._failure = self._failure or why
        return JournalError(why)

    def _refuse_after_failure(self) -> None:
        if self._failure is not None:
            raise JournalError(self._failure)

    def close(self) -> None:
        """Make everything durable and let the lock go."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown(wait=True)
        if self._fd >= 0:
            if self._failure is None:
                os.fdatasync(self._fd)
            for fd in (*self._retired, self._fd):
                os.close(fd)
        os.close(self._lock_fd)


def new_boot_id() -> str:
    """Return a fresh id of this process's life."""
    return os.urandom(8).hex()


def needs_sync(record: Record) -> bool:
    """Say whether a record must be durable before its effect."""
    return record.kind in DURABLE


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, MODE)


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise AnotherGatekeeperError(f"another gatekeeper holds {path}") from error
    return fd


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
