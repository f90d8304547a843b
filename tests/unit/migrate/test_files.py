"""Migration files: order, history, and what must never be in one."""

import re

import pytest

from interlock_migrate.files import Applied, Migration, MigrationError, in_order, packaged, pending

ONE, TWO = Migration(1, "0001_a.sql", "SELECT 1"), Migration(2, "0002_b.sql", "SELECT 2")


def applied(migration):
    return Applied(migration.number, migration.name, migration.sha256)


def test_packaged_files_are_in_order_and_not_empty():
    """The package brings its SQL along, numbered from one without a gap."""
    found = packaged()
    assert [m.number for m in found] == list(range(1, len(found) + 1))
    assert found
    assert all(m.sql.strip() for m in found)


def test_packaged_files_leave_the_transaction_to_the_runner():
    """A file that committed by itself could be applied by half."""
    forbidden = re.compile(r"(?im)^\s*(BEGIN|COMMIT|ROLLBACK|START TRANSACTION)\b")
    assert [m.name for m in packaged() if forbidden.search(m.sql)] == []


@pytest.mark.parametrize("name", ["1_a.sql", "0001-a.sql", "0001_A.sql", "0001_a.sql~", "a.sql"])
def test_a_strange_name_is_refused(name):
    """A file that would silently not be applied is an error instead."""
    with pytest.raises(MigrationError, match="expected a name like"):
        in_order([(name, "")])


@pytest.mark.parametrize("names", [["0002_b.sql"], ["0001_a.sql", "0001_b.sql"]])
def test_numbers_go_up_by_one(names):
    """Gaps and doubles are refused."""
    with pytest.raises(MigrationError, match="expected number"):
        in_order([(name, "") for name in names])


def test_pending_is_what_is_not_applied():
    """Only the missing tail is applied."""
    assert pending([ONE, TWO], []) == (ONE, TWO)
    assert pending([ONE, TWO], [applied(ONE)]) == (TWO,)
    assert pending([ONE, TWO], [applied(ONE), applied(TWO)]) == ()


def test_an_edited_file_is_refused():
    """An applied file is history: a change to it is named, not applied."""
    edited = Migration(1, "0001_a.sql", "SELECT 42")
    with pytest.raises(MigrationError, match=r"0001_a\.sql was edited"):
        pending([edited, TWO], [applied(ONE)])


def test_a_newer_database_is_refused():
    """An old program does not touch a schema it does not know."""
    with pytest.raises(MigrationError, match="newer program"):
        pending([ONE], [applied(ONE), applied(TWO)])


def test_a_gap_in_history_is_refused():
    """A history nobody could have written is not built upon."""
    with pytest.raises(MigrationError, match="gaps"):
        pending([ONE, TWO], [applied(TWO)])
