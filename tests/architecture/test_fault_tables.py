"""The table of faults is generated, and says every kind, parameter and scenario."""

import fault_tables
import pytest

from interlock_simvenues.faults.kinds import SHAPES, FaultKind


def test_the_table_is_what_the_simulator_declares():
    """The file is generated, and up to date."""
    written = fault_tables.TARGET.read_text("utf-8")
    assert written == fault_tables.document(), "run `make fault-tables`"


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_has_a_row_with_its_parameters(kind):
    """Nothing that a rule may say is missing."""
    (row,) = [
        line
        for line in fault_tables.TARGET.read_text("utf-8").splitlines()
        if line.startswith(f"| `{kind}` |")
    ]
    assert all(f"`{name}`" in row for name in SHAPES[kind].parameters)


def test_every_scenario_is_named():
    """The shipped files are in the document, each with its title."""
    text = fault_tables.document()
    for path in fault_tables.SCENARIOS.glob("*.toml"):
        assert f"[{path.stem}](../../config/scenarios/{path.name}): " in text
