"""A histogram that costs little to add to, with an exact p99 over the newest values."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

RESERVOIR = 8192
LOOP_BUCKETS_S = (
    0.00005,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    1.0,
)
ORDER_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Counts of nanosecond values by bucket, their sum, and a ring of the newest 8,192."""

    __slots__ = ("_at", "_bounds_ns", "_ring", "_window", "bounds_s", "count", "counts", "total_ns")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self.bounds_s = tuple(bounds_s)
        self._bounds_ns = [round(bound * 1e9) for bound in bounds_s]
        self.counts = [0] * (len(bounds_s) + 1)
        self.count = 0
        self.total_ns = 0
        self._ring = array("q")
        self._at = 0
        self._window: list[int] = []

    def add(self, value_ns: int) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds_ns, value_ns)] += 1
        self.count += 1
        self.total_ns += value_ns
        if len(self._ring) < RESERVOIR:
            self._ring.append(value_ns)
        else:
            self._ring[self._at] = value_ns
            self._at = (self._at + 1) % RESERVOIR
        if len(self._window) < RESERVOIR:
            self._window.append(value_ns)

    @property
    def mean_ms(self) -> float:
        """Return the mean of all values in ms; 0 before the first."""
        return self.total_ns / self.count / 1e6 if self.count else 0.0

    def p99_ms(self) -> float:
        """Return the exact 99th percentile of the newest values in ms; 0 before the first."""
        return _p99_ms(self._ring)

    def window_p99_ms(self) -> float:
        """Return the 99th percentile of the values since the last call in ms, and begin anew."""
        window, self._window = self._window, []
        return _p99_ms(window)

    def cumulative(self) -> list[tuple[str, float]]:
        """Return the buckets as Prometheus wants them: upper bound as text, values up to it."""
        running, rows = 0, []
        bounds = [*(repr(float(bound)) for bound in self.bounds_s), "+Inf"]
        for bound, count in zip(bounds, self.counts, strict=True):
            running += count
            rows.append((bound, float(running)))
        return rows


def _p99_ms(values: Sequence[int]) -> float:
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)] / 1e6
