"""Measure the gatekeeper: decision, order round trip, kill. `make bench-gatekeeper` runs this."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.gatekeeper import decide, kill, processes, round_trip
from benchmarks.report import BenchmarkError, Report

NAME = "bench-gatekeeper"
EXIT_MISSED, EXIT_INVALID = 1, 2
ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run what was asked for; print the tables, write what was asked for."""
    asked = _parser().parse_args()
    try:
        found = asyncio.run(_measure(asked))
        if asked.write:
            report.write_between_markers(asked.write, NAME, found.as_markdown())
    except BenchmarkError as error:
        print(f"INVALID RUN: {error}", file=sys.stderr)
        return EXIT_INVALID
    if asked.json:
        asked.json.write_text(found.as_json(), "utf-8")
    print(found.as_markdown(), end="")
    for what in found.missed:
        print(f"goal not met: {what}", file=sys.stderr)
    return EXIT_MISSED if asked.strict and found.missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gatekeeper",
        description="Measure the gatekeeper's decision, its order round trip and its kill, each "
        "beside a reference workload in the same run. Tables on standard output, progress on "
        "standard error.",
        epilog="exit codes: 0 measured, 1 a goal was missed (with --strict), 2 the run is invalid: "
        "it measured something else, for instance denials",
    )
    add = parser.add_argument
    add("--intents", type=int, default=20_000, help="decisions on new intents (%(default)s)")
    add(
        "--settled",
        type=lambda text: tuple(int(part) for part in text.split(",")),
        default=decide.SETTLED,
        metavar="N,N",
        help="numbers of settled intents to compare (10,100,1000,10000)",
    )
    add("--samples", type=int, default=2_000, help="approvals timed in each state (%(default)s)")
    add("--orders", type=int, default=400, help="orders through the socket (%(default)s)")
    add(
        "--rate",
        type=float,
        default=6.0,
        help="orders a second over both venues, below the limits; 0: no pause (%(default)s)",
    )
    add("--drills", type=int, default=200, help="kill drills (%(default)s)")
    add(
        "--journals",
        type=Path,
        default=ROOT / "var" / "bench",
        metavar="FOLDER",
        help="where journals are written; on a real disk (var/bench)",
    )
    add("--json", type=Path, metavar="FILE", help="write every figure as JSON")
    add("--write", type=Path, metavar="FILE", help="write the tables between a document's markers")
    add("--strict", action="store_true", help="exit 1 where a goal is missed")
    return parser


async def _measure(asked: argparse.Namespace) -> Report:
    asked.journals.mkdir(parents=True, exist_ok=True)
    disk = report.file_system(asked.journals)
    found = Report(NAME, {**report.machine_facts(), "journal on": disk})
    processes.prepare()
    _progress(f"decision: {asked.intents:,} intents")
    found.sections.append(decide.mix(asked.intents))
    found.sections.append(decide.growth(asked.samples, _progress, settled=asked.settled))
    found.sections.append(
        await round_trip.measure(
            asked.orders, rate=asked.rate, journals=asked.journals, progress=_progress
        )
    )
    found.sections.append(
        await kill.measure(asked.drills, journals=asked.journals, progress=_progress)
    )
    return found


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
