"""What this process costs: CPU and memory, sampled once a second."""

from __future__ import annotations

import os
import resource
from collections import deque
from pathlib import Path

WINDOW = 15
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")


def cpu_seconds() -> float:
    """Return the CPU time this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory_bytes() -> int:
    """Return the resident memory of this process."""
    return int(_STATM.read_text("ascii").split()[1]) * _PAGE_BYTES


class ProcessMeter:
    """Averages over the session, and CPU over the last 15 samples for the guard."""

    def __init__(self, now_ns: int) -> None:
        self._first = (now_ns, cpu_seconds())
        self._samples: deque[tuple[int, float]] = deque([self._first], maxlen=WINDOW)
        self._memory_sum = float(memory_bytes())
        self._memory_count = 1
        self.memory_mb = self._memory_sum / 1e6

    def sample(self, now_ns: int) -> None:
        """Take one sample."""
        self._samples.append((now_ns, cpu_seconds()))
        now_bytes = memory_bytes()
        self.memory_mb = now_bytes / 1e6
        self._memory_sum += now_bytes
        self._memory_count += 1

    @property
    def recent_cpu_percent(self) -> float:
        """Return CPU use over the last 15 samples, in percent of one core."""
        return _percent(self._samples[0], self._samples[-1])

    @property
    def mean_cpu_percent(self) -> float:
        """Return CPU use since the session began, in percent of one core."""
        return _percent(self._first, self._samples[-1])

    @property
    def mean_memory_mb(self) -> float:
        """Return the mean of all samples in MB."""
        return self._memory_sum / self._memory_count / 1e6


def _percent(first: tuple[int, float], last: tuple[int, float]) -> float:
    elapsed_ns = last[0] - first[0]
    return (last[1] - first[1]) * 1e11 / elapsed_ns if elapsed_ns > 0 else 0.0
