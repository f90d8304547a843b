"""Frame faults: what happens to the frames of one WebSocket connection."""

from __future__ import annotations

from interlock_core.clock import Clock
from interlock_core.instrument import Venue
from interlock_simvenues.faults.faults import Faults
from interlock_simvenues.faults.kinds import FRAME_KINDS, FaultKind, Operation
from interlock_simvenues.faults.rule import Rule
from interlock_simvenues.units import NS_PER_MS

_ANY_FRAME = FRAME_KINDS - {FaultKind.SEQUENCE_GAP}


class Line:
    """Decides frame by frame; a stalled connection stays stalled until its stall is over."""

    __slots__ = ("_clock", "_faults", "_operation", "_stall", "_stalled_until_ns", "_venue")

    def __init__(self, faults: Faults, venue: Venue, operation: Operation, clock: Clock) -> None:
        self._faults = faults
        self._venue = venue
        self._operation = operation
        self._clock = clock
        self._stall: Rule | None = None
        self._stalled_until_ns: int | None = None

    def fault(self, symbol: str, *, sequenced: bool) -> Rule | None:
        """Return what happens to the next frame; a stall swallows it and all that follow."""
        if self._stall is None and self._faults.kinds.isdisjoint(FRAME_KINDS):
            return None
        now_ns = self._clock.wall_ns()
        if self._is_stalled(now_ns):
            return self._stall
        kinds = FRAME_KINDS if sequenced else _ANY_FRAME
        rule = self._faults.decide(self._venue, self._operation, symbol, now_ns, kinds=kinds)
        if rule is not None and rule.kind is FaultKind.STALL:
            self._stall = rule
            self._stalled_until_ns = None if rule.ms is None else now_ns + rule.ms * NS_PER_MS
        return rule

    def _is_stalled(self, now_ns: int) -> bool:
        if self._stall is None:
            return False
        over = self._stalled_until_ns is not None and now_ns >= self._stalled_until_ns
        if over or not self._faults.in_force(self._stall.id, now_ns):
            self._stall = None
        return self._stall is not None
