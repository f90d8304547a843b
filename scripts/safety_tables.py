#!/usr/bin/env python3
"""Write docs/reference/safety-tables.md from the gatekeeper's code. With --check, only compare."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from interlock_core.reasons import ARM_MEANING, DENY_MEANING, ArmRefusal
from interlock_gatekeeper import guards, limits
from interlock_gatekeeper.records import DURABLE, Kind

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference" / "safety-tables.md"
CONDITION = {
    ArmRefusal.ARM_BAD_STATE: "A1",
    ArmRefusal.ARM_ACK: "A2",
    ArmRefusal.ARM_AT_FORMAT: "A3",
    ArmRefusal.ARM_FUTURE: "A4",
    ArmRefusal.ARM_STALE: "A4",
    ArmRefusal.ARM_REPLAY: "A5",
    ArmRefusal.ARM_NOTIONAL: "A6",
    ArmRefusal.ARM_CLOCK: "A7",
    ArmRefusal.ARM_PREFLIGHT: "A8",
    ArmRefusal.ARM_AUDIT: "A9",
    ArmRefusal.ARM_SELFTEST: "A10",
    ArmRefusal.ARM_LADDER: "A11",
    ArmRefusal.ARM_APPROVAL: "A12",
}
HEAD = """\
# Safety tables

Written by `scripts/safety_tables.py` from the gatekeeper's code: do not edit by hand. What they
mean is in [SAFETY.md](../SAFETY.md).
"""
SHARES = """\
`continuous` takes shares of N: one order and the gap N/4, turnover 20 N, loss 1 %, drawdown 0.8 %
and gain 5 % of N, together for all its sessions of a UTC day. Every stage: one order and the gap at
most N."""
HOLDS = f"""\
More than {guards.HOLDS_MAX} holds in a session, or one of more than
{guards.HOLD_MAX_NS // limits.NS_PER_S} s, kill. A hold ends
{guards.HOLD_CLEAN_NS // limits.NS_PER_S} s after its cause is gone. In paper they never do."""


def table(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table under a heading."""
    lines = [f"## {title}", "", _row(head), _row(("---",) * len(head)), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def caps() -> Iterable[tuple[str, ...]]:
    """Return each cap of a session with its value in every stage."""
    for field in fields(limits.Caps):
        values = (getattr(stage, field.name) for stage in limits.STAGE_CAPS.values())
        yield (f"`{field.name}`", *(_shown(field.name, value) for value in values))


def _shown(name: str, value: object) -> str:
    if value is None:
        return "none"
    if name.endswith("_ns"):
        return f"{int(str(value)) // limits.NS_PER_S} s"
    return f"{value}"


def constants() -> Iterable[tuple[str, ...]]:
    """Return the limits that hold in every stage."""
    for name, value in vars(limits).items():
        if name.isupper() and not isinstance(value, limits.Caps) and name != "STAGE_CAPS":
            if name.endswith("_NS") and name != "DAY_NS":
                yield f"`{name}`", f"{value / limits.NS_PER_S:g} s"
            elif not name.startswith("NS_") and name not in ("DAY_NS", "CENT", "ZERO"):
                yield f"`{name}`", _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if hasattr(value, "items"):
        return "; ".join(f"{k}: {', '.join(map(str, v))}" for k, v in value.items())
    return str(value)


def document() -> str:
    """Return the whole document."""
    paper = {True: "kill", False: "hold"}
    parts = [
        HEAD.rstrip(),
        table(
            "Why arming is refused",
            ("code", "condition", "how to mend it"),
            (
                (f"`{code}`", CONDITION.get(code, "before all"), ARM_MEANING[code])
                for code in ArmRefusal
            ),
        ),
        table(
            "Why an order is refused, in the order of the checks",
            ("code", "meaning"),
            ((f"`{code}`", meaning) for code, meaning in DENY_MEANING.items()),
        ),
        table(
            "What a session may do (USD, counts, seconds)",
            ("cap", *limits.STAGE_CAPS),
            caps(),
        ),
        SHARES,
        table("Limits of every stage", ("limit", "value"), constants()),
        table(
            "What stops trading by itself",
            ("cause", "HOLD", "KILL", "in paper at most"),
            ((f"`{r.cause}`", r.hold, r.kill, paper[r.kills_paper]) for r in guards.RULES),
        ),
        HOLDS,
        table(
            "What the journal records",
            ("kind", "on the disk before its effect"),
            ((f"`{kind}`", "yes" if kind in DURABLE else "no") for kind in Kind),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Write the document, or say that it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    if parser.parse_args().check:
        current = TARGET.read_text("utf-8") if TARGET.exists() else ""
        if current != document():
            print("docs/reference/safety-tables.md is out of date: run scripts/safety_tables.py")
            return 1
        return 0
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(document(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
