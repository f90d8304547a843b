"""How often is too often: pure counters that are told the time."""

from __future__ import annotations

from collections import deque

from interlock_core.clock import NS_PER_S


class TokenBucket:
    """Allows `rate_per_s` on average and `burst` at once."""

    def __init__(self, rate_per_s: int, burst: int) -> None:
        # In token-nanoseconds, so that nothing is ever rounded.
        self._rate = rate_per_s
        self._full = burst * NS_PER_S
        self._level = self._full
        self._filled_ns: int | None = None

    def take(self, now_ns: int) -> bool:
        """Take one token; say whether there was one."""
        # A clock that steps back must not let the same time pass twice.
        since_ns = now_ns if self._filled_ns is None else self._filled_ns
        self._filled_ns = max(now_ns, since_ns)
        passed_ns = self._filled_ns - since_ns
        self._level = min(self._full, self._level + passed_ns * self._rate)
        if self._level < NS_PER_S:
            return False
        self._level -= NS_PER_S
        return True


class FloodGuard:
    """Says when `limit` things happened within `window_ns`; then begins to count anew."""

    def __init__(self, limit: int, window_ns: int) -> None:
        self._limit = limit
        self._window_ns = window_ns
        self._times: deque[int] = deque()

    def note(self, now_ns: int) -> bool:
        """Count one; say whether it completes a flood."""
        self._times.append(now_ns)
        while self._times[0] <= now_ns - self._window_ns:
            self._times.popleft()
        if len(self._times) < self._limit:
            return False
        self._times.clear()
        return True
