"""What a benchmark says: percentiles, verdicts, tables, and the section it keeps in a document."""

import json
from pathlib import Path

import pytest
from benchmarks import report
from benchmarks.report import BenchmarkError, Report, Row, Section, Verdict, spread

MOUNTS = """22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:25 / /mnt/memory\\040disk rw - tmpfs tmpfs rw
"""


def found(*verdicts):
    rows = tuple(Row(f"row {n}", None, None, "goal", v) for n, v in enumerate(verdicts))
    return Report("name", {"on": "a machine"}, [Section("Title", "ratio", rows, "Words.")])


def test_percentiles_are_samples_of_the_nearest_rank():
    """Nothing is interpolated: a percentile is a time that was measured."""
    times = spread([n * 1_000 for n in range(200, 0, -1)])
    assert (times.count, times.p50_us, times.p99_us, times.max_us) == (200, 100, 198, 200)


def test_no_samples_are_an_invalid_run():
    """An empty row is never a fast one."""
    with pytest.raises(BenchmarkError):
        spread([])


def test_a_goal_that_was_not_seen_is_missed_too():
    """What --strict refuses: missed, and not there to be measured."""
    rows = found(Verdict.MET, Verdict.MISSED, Verdict.NOT_SEEN, Verdict.NONE)
    assert rows.missed == ["row 1", "row 2"]
    assert json.loads(rows.as_json())["missed"] == rows.missed


def test_a_table_shows_only_columns_that_say_something():
    """Columns without a figure are left out; the rows' cells line up with the header."""
    lines = found(Verdict.MET).as_markdown().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {4}
    assert table[-1] == "| row 0 | goal | met |"


def test_a_section_is_replaced_between_its_markers_only(tmp_path):
    """The second write replaces the first; what others wrote around it stays."""
    document = tmp_path / "BENCHMARKS.md"
    document.write_text("# Title\n\nBefore.\n", "utf-8")
    report.write_between_markers(document, "mine", "one\n")
    document.write_text(document.read_text("utf-8") + "\nAfter.\n", "utf-8")
    report.write_between_markers(document, "mine", "two\n")
    text = document.read_text("utf-8")
    assert text.count("mine:begin") == text.count("mine:end") == 1
    assert "one" not in text
    assert text.startswith("# Title\n\nBefore.\n")
    assert text.endswith("two\n<!-- mine:end -->\n\nAfter.\n")


def test_a_section_without_an_end_is_not_guessed(tmp_path):
    """A broken document is refused, not cut off."""
    document = tmp_path / "BENCHMARKS.md"
    document.write_text("<!-- mine:begin -->\nwords\n", "utf-8")
    with pytest.raises(BenchmarkError):
        report.write_between_markers(document, "mine", "two\n")


def test_a_journal_in_memory_is_refused(tmp_path):
    """A free fdatasync would make every figure a lie."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS, "utf-8")
    assert report.file_system(tmp_path, mounts) == "ext4 (/dev/vda)"
    memory = Path("/mnt/memory disk/state")
    with pytest.raises(BenchmarkError, match="tmpfs"):
        report.file_system(memory, mounts)
