"""The audit: re-hash the journal, replay it, check the invariants, compare the anchors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from interlock_core.wire import strict
from interlock_core.wire.gate import OrderIntent
from interlock_gatekeeper import journal, policy
from interlock_gatekeeper.facts import facts_from
from interlock_gatekeeper.invariants import Violation, Watch
from interlock_gatekeeper.journal import Anchor, Line
from interlock_gatekeeper.records import Kind, Record, apply
from interlock_gatekeeper.state import State

CONNECT_TIMEOUT_S = 3
SELECT_ANCHORS = "SELECT seq, h, wall_ns, reason FROM anchors ORDER BY anchor_id"


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What a journal shows; `state` is where its intact lines lead."""

    lines: int
    head: str
    defect: str | None
    torn_bytes: int
    state: State
    violations: list[Violation]


def verify(
    folder: Path, *, environment: str, visit: Callable[[Line], None] | None = None
) -> AuditReport:
    """Read the journal once, streaming; never writes, so it may run beside the gatekeeper."""
    state, watch = State(environment=environment), Watch(environment=environment)

    def see(line: Line) -> None:
        again = _decide_again(state, line.record)
        if again is not None:
            watch.violations.append(Violation(14, line.seq, again))
        apply(state, line.record)
        watch.see(line, at_boot_ns=line.raw["boot_ns"], boot_id=line.raw["boot_id"])
        if visit is not None:
            visit(line)

    found = journal.read(folder, see)
    return AuditReport(
        found.lines, found.head, found.defect, found.torn_bytes, state, watch.violations
    )


def _decide_again(state: State, record: Record) -> str | None:
    """Return how a recorded decision differs from the one that its facts lead to now."""
    if record.kind not in (Kind.SENT, Kind.DENY) or not record.data["facts"]:
        return None
    intent = strict.from_value(OrderIntent, record.data["intent"])
    verdict = policy.decide(intent, state, facts_from(record.data["facts"]))
    found = str(verdict.reason) if isinstance(verdict, policy.Denied) else Kind.SENT
    said = record.data.get("code", Kind.SENT)
    return None if found == said else f"decided {said}, the recorded facts lead to {found}"


def compare_anchors(folder: Path, anchors: Iterable[Anchor]) -> list[str]:
    """Return what contradicts the journal: every anchored head must be in its chain."""
    wanted: dict[int, list[Anchor]] = {}
    for anchor in anchors:
        wanted.setdefault(anchor.seq, []).append(anchor)
    problems: list[str] = []

    def see(line: Line) -> None:
        problems.extend(
            f"line {line.seq}: its hash is not the one anchored ({anchor.reason})"
            for anchor in wanted.pop(line.seq, [])
            if anchor.h != line.raw["h"]
        )

    journal.read(folder, see)
    problems.extend(f"line {seq}: anchored, but the journal has no such line" for seq in wanted)
    return problems


def read_anchors(dsn: str) -> list[Anchor]:
    """Return every anchor that PostgreSQL holds, oldest first; the role needs SELECT on them."""
    with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        return [Anchor(*row) for row in connection.execute(SELECT_ANCHORS)]
