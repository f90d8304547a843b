"""Fixed-window counters: how many calls a caller made in the running window."""

from __future__ import annotations

from dataclasses import dataclass

from interlock_simvenues.units import NS_PER_S

MAX_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Count:
    """Where a caller stands in a window."""

    used: int
    limit: int
    reset_ns: int

    @property
    def over(self) -> bool:
        """Say whether the last call was one too many."""
        return self.used > self.limit

    @property
    def left(self) -> int:
        """Return how many calls are left in this window."""
        return max(self.limit - self.used, 0)

    def retry_after_s(self, now_ns: int) -> int:
        """Return whole seconds until the window ends, at least one."""
        return max(1, -((now_ns - self.reset_ns) // NS_PER_S))


class Window:
    """Counts per caller in windows of fixed length that start at multiples of that length."""

    def __init__(self, limit: int, period_ns: int) -> None:
        self.limit = limit
        self.period_ns = period_ns
        self._used: dict[str, tuple[int, int]] = {}

    def add(self, caller: str, weight: int, now_ns: int) -> Count:
        """Count a call and return where the caller stands."""
        start = now_ns - now_ns % self.period_ns
        known, used = self._used.get(caller, (start, 0))
        used = used + weight if known == start else weight
        if len(self._used) >= MAX_CALLERS and caller not in self._used:
            self._used.clear()
        self._used[caller] = (start, used)
        return Count(used, self.limit, start + self.period_ns)
