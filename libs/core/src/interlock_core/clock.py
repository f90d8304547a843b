"""Time: the only module that asks the operating system for it.

Instants are integer nanoseconds. Deadlines use the boot-time clock, which also counts suspend and
is the same for every process of a host; wall time is for people, venues and `LIVE_ARM_AT` only.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """What a component that needs time takes from outside."""

    def wall_ns(self) -> int:
        """Return nanoseconds since the Unix epoch, UTC."""
        ...

    def boot_ns(self) -> int:
        """Return nanoseconds since boot, suspend included; never steps back."""
        ...


class SystemClock:
    """The operating system's clocks."""

    __slots__ = ()

    def wall_ns(self) -> int:
        """Return nanoseconds since the Unix epoch, UTC."""
        return time.time_ns()

    def boot_ns(self) -> int:
        """Return nanoseconds since boot, suspend included; never steps back."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class ManualClock:
    """A clock that moves only when told to, for tests and replay."""

    __slots__ = ("_boot_ns", "_wall_ns")

    def __init__(self, wall_ns: int = 1_700_000_000 * NS_PER_S, boot_ns: int = NS_PER_S) -> None:
        self._wall_ns = wall_ns
        self._boot_ns = boot_ns

    def wall_ns(self) -> int:
        """Return the set wall time in nanoseconds."""
        return self._wall_ns

    def boot_ns(self) -> int:
        """Return the set boot time in nanoseconds."""
        return self._boot_ns

    def advance(self, delta_ns: int) -> None:
        """Move both clocks forward by delta_ns nanoseconds."""
        self._wall_ns += delta_ns
        self._boot_ns += delta_ns

    def step_wall(self, delta_ns: int) -> None:
        """Step wall time alone, as an operator or NTP would."""
        self._wall_ns += delta_ns


def wall_ns() -> int:
    """Return the wall time in nanoseconds since the Unix epoch."""
    return time.time_ns()


def monotonic_ns() -> int:
    """Return the monotonic clock in nanoseconds, for measuring latency only."""
    return time.perf_counter_ns()


def rfc3339(ns: int) -> str:
    """Return a wall time as RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(ns // NS_PER_S, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % NS_PER_S // NS_PER_MS:03d}Z"
