"""`stack.json`: where the parts of a running native stack are."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from interlock_operator.errors import OperatorError, StackNotFoundError

FILE_NAME = "stack.json"
LOCK_NAME = "lock"
LOCK_ATTEMPTS = 5
LOCK_RETRY_S = 0.02


@dataclass(frozen=True, slots=True)
class Stack:
    """A running native stack: its supervisor's pid, its folders, sockets and addresses."""

    pid: int
    session_dir: str
    gate_socket: str
    operator_socket: str
    gatekeeper_url: str
    engine_url: str
    console_url: str
    simvenues_url: str
    postgres_dsn_file: str
    redis_url_file: str
    universe: str


def write(native_dir: Path, stack: Stack) -> None:
    """Write the file atomically."""
    fresh = native_dir / f"{FILE_NAME}.new"
    fresh.write_text(json.dumps(asdict(stack), indent=2) + "\n", "utf-8")
    fresh.replace(native_dir / FILE_NAME)


def read(native_dir: Path) -> Stack | None:
    """Return what the file says, whoever wrote it, or None where there is no such file."""
    try:
        raw = json.loads((native_dir / FILE_NAME).read_text("utf-8"))
        return Stack(**{field.name: raw[field.name] for field in fields(Stack)})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(f"cannot read {native_dir / FILE_NAME}: {error}") from error


def running(native_dir: Path) -> Stack:
    """Return the stack that runs from native_dir, or raise StackNotFoundError."""
    stack = read(native_dir)
    if stack is None or not is_locked(native_dir):
        raise StackNotFoundError(
            f"no stack runs from {native_dir}: start one with `interlock up` "
            "(or go to the folder it was started from, or set NATIVE_DIR)"
        )
    return stack


def lock(native_dir: Path) -> int:
    """Lock native_dir for this process; return the descriptor that holds the lock.

    Raises OperatorError where another stack runs from it. The kernel frees the lock when the
    process ends, however it ends.
    """
    native_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(native_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _try_exclusive(descriptor):
        pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise OperatorError(
            f"a stack already runs from {native_dir} (pid {pid}): `interlock status` shows it, "
            "Ctrl+C in its terminal ends it; for a second stack set NATIVE_DIR to another folder"
        )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor


def _try_exclusive(descriptor: int) -> bool:
    # `is_locked` of another process holds a shared lock for an instant: ask again before saying no.
    for _ in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(LOCK_RETRY_S)
        else:
            return True
    return False


def is_locked(native_dir: Path) -> bool:
    """Say whether a living supervisor holds native_dir."""
    try:
        descriptor = os.open(native_dir / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
