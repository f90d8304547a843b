"""What a benchmark found: figures against goals, as Markdown, as JSON, and in a document."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from interlock_core.clock import rfc3339, wall_ns

NS_PER_US = 1_000
# What lives in memory makes nothing durable: its fdatasync is free and measures nothing.
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")


class BenchmarkError(Exception):
    """The run measured something else than it says: its figures must not be read."""


class Verdict(StrEnum):
    """How a figure stands to its goal; empty where it has none."""

    NONE = ""
    MET = "met"
    MISSED = "missed"
    NOT_SEEN = "not seen"


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution of durations in microseconds."""

    count: int
    p50_us: float
    p99_us: float
    max_us: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. `goal` says the goal in words; `note` what a reader must know."""

    what: str
    spread: Spread | None = None
    ratio: float | None = None
    goal: str = ""
    verdict: Verdict = Verdict.NONE
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One table with what has to be said about it; `ratio_of` names the column of ratios."""

    title: str
    ratio_of: str
    rows: tuple[Row, ...]
    text: str = ""


@dataclass(slots=True)
class Report:
    """Everything of one run."""

    name: str
    facts: dict[str, str]
    sections: list[Section] = field(default_factory=list)

    @property
    def missed(self) -> list[str]:
        """Return the rows whose goal was not met, or could not be seen."""
        wrong = (Verdict.MISSED, Verdict.NOT_SEEN)
        return [row.what for s in self.sections for row in s.rows if row.verdict in wrong]

    def as_json(self) -> str:
        """Return the report as an indented JSON document."""
        return json.dumps({**asdict(self), "missed": self.missed}, indent=2) + "\n"

    def as_markdown(self) -> str:
        """Return the report as Markdown."""
        facts = "; ".join(f"{key} {value}" for key, value in self.facts.items())
        parts = [f"Measured: {facts}."]
        parts.extend(_section(section) for section in self.sections)
        return "\n\n".join(parts) + "\n"


def spread(samples_ns: Sequence[int]) -> Spread:
    """Return the distribution of durations; percentiles are samples, by the nearest rank."""
    if not samples_ns:
        raise BenchmarkError("expected samples, there were none")
    ordered = sorted(samples_ns)

    def rank(percent: int) -> float:
        return ordered[-(-len(ordered) * percent // 100) - 1] / NS_PER_US

    return Spread(len(ordered), rank(50), rank(99), ordered[-1] / NS_PER_US)


def judge(*, met: bool) -> Verdict:
    """Return whether a goal was met."""
    return Verdict.MET if met else Verdict.MISSED


def machine_facts() -> dict[str, str]:
    """Return when and on what this was measured."""
    return {
        "at": rfc3339(wall_ns()),
        "on": f"{os.cpu_count()} cores, {platform.machine()}",
        "with": f"Python {platform.python_version()}, Linux {platform.release()}",
    }


def file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Return type and source of the file system that holds folder; refuse one in memory."""
    found = ("unknown", "unknown")
    longest = -1
    for line in mounts.read_text("utf-8").splitlines():
        before, _, after = line.partition(" - ")
        mount = Path(before.split(" ")[4].replace("\\040", " "))
        depth = len(mount.parts)
        # Of two mounts on one point the later one is in force.
        if folder.resolve().is_relative_to(mount) and depth >= longest:
            longest = depth
            kind, source = after.split(" ")[:2]
            found = (kind, source)
    if found[0] in MEMORY_FILE_SYSTEMS:
        raise BenchmarkError(f"{folder} is on {found[0]}: choose a folder on a real disk")
    return f"{found[0]} ({found[1]})"


def write_between_markers(document: Path, name: str, content: str) -> None:
    """Put content between the markers of name in a document, at its end where there are none."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    block = f"{begin}\n{content}{end}\n"
    old = document.read_text("utf-8") if document.exists() else "# Benchmarks\n"
    head, found, rest = old.partition(begin + "\n")
    if not found:
        document.write_text(f"{old.rstrip()}\n\n{block}", "utf-8")
        return
    _, closed, tail = rest.partition(end + "\n")
    if not closed:
        raise BenchmarkError(f"{document}: expected {end} after {begin}")
    document.write_text(head + block + tail, "utf-8")


def _section(section: Section) -> str:
    header = ["", "n", "p50", "p99", "max", section.ratio_of, "goal", "", "note"]
    lines = [header, ["---", *["---:"] * 5, "---", "---", "---"]]
    lines.extend(_cells(row) for row in section.rows)
    used = [i for i in range(len(header)) if any(line[i] for line in lines[2:])]
    table = ["| " + " | ".join(line[i] for i in used) + " |" for line in lines]
    return "\n".join([f"### {section.title}", "", *table, "", section.text])


def _cells(row: Row) -> list[str]:
    figures = ["", "", "", ""]
    if row.spread is not None:
        found = row.spread
        times = (found.p50_us, found.p99_us, found.max_us)
        figures = [f"{found.count:,}", *(_time(value) for value in times)]
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return [row.what, *figures, ratio, row.goal, str(row.verdict), row.note]


def _time(microseconds: float) -> str:
    if microseconds < 1_000:  # noqa: PLR2004 - a thousand to the next unit
        return f"{microseconds:.1f} us"
    return f"{microseconds / 1_000:.2f} ms"


def counts(numbers: Mapping[str, int]) -> str:
    """Return counts as words: `approved 10, denied 2`."""
    return ", ".join(f"{name} {number:,}" for name, number in sorted(numbers.items()))
