"""The benchmark's orders are approved where they should be, and any surprise ends the run."""

from dataclasses import replace

import pytest
from benchmarks.gatekeeper import decide
from benchmarks.gatekeeper.desk import APPROVED, Desk
from benchmarks.report import BenchmarkError


def test_a_denial_by_accident_ends_the_run():
    """A decision other than the expected one is never counted as a time."""
    desk = Desk("bench-test", positions_at_once=1)
    wrong = replace(desk.next_intent(), type="market")
    with pytest.raises(BenchmarkError, match="expected approved, was TYPE_TIF"):
        desk.decide(wrong, APPROVED)


def test_every_wrong_order_is_found_by_its_own_check():
    """The mix meets each kind of denial it names."""
    section = decide.mix(200)
    assert all(f"{reason} " in section.text for reason, _ in decide.WRONG)


def test_round_trips_close_what_they_open():
    """After whole waves no position is left."""
    desk = Desk("bench-test", positions_at_once=3)
    for _ in range(2 * 3 * 4):
        intent = desk.next_intent()
        desk.decide(intent, APPROVED)
        desk.settle(intent)
    assert not desk.state.positions
    assert not desk.state.open_orders


def test_a_state_keeps_its_size_while_it_is_measured():
    """Growth is measured at the size the row names."""
    section = decide.growth(20, lambda _: None, settled=(10, 20))
    assert [row.spread.count for row in section.rows] == [20] * (2 + len(decide.OPEN))
