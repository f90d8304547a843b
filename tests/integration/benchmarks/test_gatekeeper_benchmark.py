"""The gatekeeper's benchmark runs whole, on tiny counts: the shape is asserted, never a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
TINY = {"intents": 100, "settled": "10,20", "samples": 10, "orders": 8, "rate": 10, "drills": 2}
TITLES = [
    "Decision in process",
    "Growth of one approval",
    "Order round trip over the socket",
    "Kill: from the call to",
]


def bench(*options):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gatekeeper", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_measures_everything_and_writes_what_was_asked_for(tmp_path):
    """Four tables with their reference rows; JSON and document hold the same."""
    figures, document = tmp_path / "figures.json", tmp_path / "BENCHMARKS.md"
    ran = bench(
        *(f"--{name}={value}" for name, value in TINY.items()),
        "--json",
        str(figures),
        "--write",
        str(document),
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(figures.read_text("utf-8"))
    assert [section["title"] for section in found["sections"]] == TITLES
    assert "journal on" in found["facts"]
    counts = {
        row["what"]: row["spread"]["count"]
        for section in found["sections"]
        for row in section["rows"]
        if row["spread"]
    }
    assert counts["- approved"] == 100
    assert counts["echo of the same stack, one durable line"] == 8
    assert counts["perpetual order, without the venue's time"] == 4
    assert counts["first denied intent"] == counts["durable acknowledgement"] == 2
    assert ran.stdout in document.read_text("utf-8")
    assert "kill: 0 of 2 drills" in ran.stderr
    assert not list((ROOT / "var" / "bench").glob("run-*"))


def test_help_names_the_exit_codes():
    """What --strict does is said where one looks for it."""
    ran = bench("--help")
    assert ran.returncode == 0
    assert "--strict" in ran.stdout
    assert "exit codes: 0 measured, 1 a goal was missed" in ran.stdout
