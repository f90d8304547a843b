"""One child process: its own session, its own log file, and no life after its supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from interlock_core.clock import NS_PER_S, monotonic_ns

PR_SET_PDEATHSIG = 1
POLL_S = 0.02
KILL_WAIT_S = 2.0
TAIL_BYTES = 64 * 1024

_LIBC = ctypes.CDLL(None, use_errno=True)


class Child:
    """A running child process.

    The kernel kills it with SIGKILL when the thread that started it ends, so children must be
    started from the supervisor's main thread.
    """

    def __init__(
        self, name: str, argv: Sequence[str | Path], *, env: Mapping[str, str], log_path: Path
    ) -> None:
        self.name = name
        self.log_path = log_path
        parent = os.getpid()
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed argument list, no shell
                [str(part) for part in argv],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # The supervisor runs no other thread while it forks, so nothing can be held here.
                preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509
            )

    @property
    def pid(self) -> int:
        """Return the process id, which is also the process group's."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        return self._process.poll()

    async def stop(self, number: signal.Signals, grace_s: float) -> int:
        """Ask it to end with a signal, and kill its whole group after grace_s seconds."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        code = await self.wait(grace_s)
        # Also after an orderly end: a grandchild that outlived its parent is still in the group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if code is None:
            code = await self.wait(KILL_WAIT_S)
        return -signal.SIGKILL if code is None else code

    async def wait(self, timeout_s: float) -> int | None:
        """Wait at most timeout_s seconds for the end; return the exit code, or None."""
        until_ns = monotonic_ns() + int(timeout_s * NS_PER_S)
        # A child's end has no event without a waiting thread, and threads forbid a safe fork.
        while (code := self.exit_code()) is None and monotonic_ns() < until_ns:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        return code

    def tail(self, lines: int) -> tuple[str, ...]:
        """Return the last lines of its log."""
        return tail(self.log_path, lines)


def tail(path: Path, lines: int) -> tuple[str, ...]:
    """Return the last lines of a text file; nothing where it cannot be read."""
    try:
        with path.open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(handle.tell() - TAIL_BYTES, 0))
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(deque(text.splitlines(), maxlen=lines))


def describe_exit(code: int) -> str:
    """Return an exit code in words, e.g. `exit code 1` or `signal SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _die_with(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL when the parent ends; runs in the child, before exec."""
    refused = _LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    # The parent may have ended before the call: then nobody would ever send the signal.
    if refused or os.getppid() != parent_pid:
        os._exit(1)
