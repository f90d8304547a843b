"""This process's own vital signs: loop lag, CPU, steps of the wall clock, room on the disk."""

from __future__ import annotations

import time

from interlock_core.clock import NS_PER_MS, NS_PER_S
from interlock_gatekeeper import guards
from interlock_gatekeeper.journal import Journal
from interlock_gatekeeper.state import Now, State

WINDOW_NS = 5 * NS_PER_S
STEP_EVERY_NS = NS_PER_S
TICK_NS = NS_PER_S // 10


class SelfWatch:
    """Looked at once a tick; writes what it sees into `state.seen.self`."""

    def __init__(self, state: State, book: Journal) -> None:
        self._state = state
        self._journal = book
        self._last_ns: int | None = None
        self._worst_lag_ns = 0
        self._window_ns = 0
        self._cpu_ns = time.process_time_ns()
        self._clocks: Now | None = None

    def look(self, now: Now) -> None:
        """Take one look; cheap enough for every tick."""
        if self._last_ns is not None:
            late_ns = now.boot_ns - self._last_ns - TICK_NS
            self._worst_lag_ns = max(self._worst_lag_ns, late_ns)
        self._last_ns = now.boot_ns
        if self._clocks is None:
            self._clocks, self._window_ns = now, now.boot_ns
            self._look_at_disk()
            return
        if now.boot_ns - self._clocks.boot_ns >= STEP_EVERY_NS:
            self._look_at_clocks(self._clocks, now)
            self._clocks = now
        if now.boot_ns - self._window_ns >= WINDOW_NS:
            self._look_at_load(now)
            self._look_at_disk()

    def _look_at_clocks(self, before: Now, now: Now) -> None:
        step_ns = (now.wall_ns - before.wall_ns) - (now.boot_ns - before.boot_ns)
        if abs(step_ns) > guards.STEP_HOLD_MS * NS_PER_MS:
            own = self._state.seen.self
            own.wall_step_ms, own.wall_step_ns = step_ns / NS_PER_MS, now.boot_ns

    def _look_at_load(self, now: Now) -> None:
        cpu_ns, span_ns = time.process_time_ns(), now.boot_ns - self._window_ns
        guards.note_load(
            self._state.seen.self,
            lag_ms=max(self._worst_lag_ns, 0) / NS_PER_MS,
            cpu_percent=100.0 * (cpu_ns - self._cpu_ns) / span_ns,
            now=now,
        )
        self._cpu_ns, self._window_ns, self._worst_lag_ns = cpu_ns, now.boot_ns, 0

    def _look_at_disk(self) -> None:
        self._state.seen.self.free_bytes = self._journal.free_bytes()
