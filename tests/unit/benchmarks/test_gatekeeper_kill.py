"""What a drill says of cancels: all seen, some seen, none seen."""

import pytest
from benchmarks.gatekeeper import kill
from benchmarks.report import Verdict, spread

MS = 1_000_000


@pytest.mark.parametrize(
    ("cancels", "verdict", "note"),
    [
        ([20 * MS, 30 * MS], Verdict.MET, ""),
        ([20 * MS, 150 * MS], Verdict.MISSED, ""),
        ([20 * MS], Verdict.MISSED, "seen in 1 of 2 drills"),
        ([], Verdict.NOT_SEEN, "no cancel seen"),
    ],
)
def test_a_cancel_that_a_drill_did_not_see_is_never_a_met_goal(cancels, verdict, note):
    """The goal holds for every drill, not for those in which it was easy."""
    found = kill._Found(cancels=cancels)
    row = kill._cancel_row(found, spread([MS]), drills=2)
    assert (row.verdict, row.note) == (verdict, note)
