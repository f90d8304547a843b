"""The journal: chained, locked, torn tails cut, every other defect found."""

import json
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock_gatekeeper import journal
from interlock_gatekeeper.journal import AnotherGatekeeperError, Journal, JournalError
from interlock_gatekeeper.records import Kind, Record, apply
from interlock_gatekeeper.state import Now, State

NOW = Now(1, 2)


def open_journal(path):
    return Journal(path, boot_id="boot", observe_sync_s=lambda _: None)


def write(path, count):
    book = open_journal(path)
    book.recover(lambda _: None)
    for number in range(count):
        book.append(Record(Kind.DENY, {"n": number}), NOW)
    book.close()
    return path / journal.FILE_NAME


def read(file):
    lines = []
    return journal.read(file, lines.append), lines


def test_what_is_appended_is_read_back(tmp_path):
    """In order, chained, and only readable by its owner."""
    file = write(tmp_path, 3)
    found, lines = read(file)
    assert [line.record.data["n"] for line in lines] == [0, 1, 2]
    assert (found.lines, found.defect, found.torn_bytes) == (3, None, 0)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_journal_is_an_empty_one(tmp_path):
    """A first start finds nothing and nothing wrong."""
    found, lines = read(tmp_path / "none")
    assert (found.lines, found.head, lines) == (0, journal.GENESIS, [])


def test_a_torn_last_line_is_cut_and_the_chain_goes_on(tmp_path):
    """A crash in the middle of a write loses that line only."""
    file = write(tmp_path, 2)
    with file.open("ab") as handle:
        handle.write(b'{"half')
    book = open_journal(tmp_path)
    found = book.recover(lambda _: None)
    assert (found.torn_bytes, found.defect) == (6, None)
    book.append(Record(Kind.DENY, {"n": 2}), NOW)
    book.close()
    assert read(file)[0].lines == 3


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_found(tmp_path_factory, data):
    """Editing, removing or reordering anything breaks the chain (or cuts the tail visibly)."""
    file = write(tmp_path_factory.mktemp("j"), 4)
    raw = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda v: v != raw[place]))
    raw[place] = value
    file.write_bytes(raw)
    found, _ = read(file)
    assert found.defect is not None or found.torn_bytes > 0


@pytest.mark.parametrize("change", ["drop", "swap", "double"])
def test_whole_lines_cannot_be_moved(tmp_path, change):
    """Dropping, swapping or doubling intact lines is found."""
    file = write(tmp_path, 4)
    lines = file.read_bytes().splitlines(keepends=True)
    if change == "drop":
        del lines[1]
    elif change == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines.insert(1, lines[1])
    file.write_bytes(b"".join(lines))
    assert read(file)[0].defect is not None


def test_a_line_of_an_unknown_kind_is_a_defect(tmp_path):
    """What cannot be replayed is not skipped."""
    file = write(tmp_path, 1)
    body = json.loads(file.read_bytes())
    del body["h"]
    body["type"] = "GIFT"
    body["h"] = journal.chain(journal.GENESIS, {k: v for k, v in body.items() if k != "h"})
    file.write_text(json.dumps(body) + "\n")
    assert "GIFT" in read(file)[0].defect


def test_a_line_that_cannot_be_replayed_is_a_defect(tmp_path):
    """A valid chain over data that makes no sense is still not a journal."""
    book = open_journal(tmp_path)
    book.recover(lambda _: None)
    book.append(Record(Kind.RESULT, {"result": {"intent_id": "x"}}), NOW)
    book.close()
    state = State(environment="paper")
    found = journal.read(tmp_path / journal.FILE_NAME, lambda line: apply(state, line.record))
    assert found.defect.startswith("line 1:")


def test_exactly_one_gatekeeper(tmp_path):
    """A second process is refused while the first lives."""
    first = open_journal(tmp_path)
    with pytest.raises(AnotherGatekeeperError):
        open_journal(tmp_path)
    first.close()
    open_journal(tmp_path).close()


async def test_one_sync_serves_all_that_wait(tmp_path):
    """Durable means: the disk has it; asking again for an older line costs nothing."""
    syncs = []
    book = Journal(tmp_path, boot_id="boot", observe_sync_s=syncs.append)
    book.recover(lambda _: None)
    first = book.append(Record(Kind.DENY, {}), NOW)
    second = book.append(Record(Kind.DENY, {}), NOW)
    await book.durable(second)
    await book.durable(first)
    assert len(syncs) == 1
    book.close()
    book.close()


async def test_a_full_or_failing_disk_is_an_error(tmp_path, monkeypatch):
    """Neither a failed write nor a failed sync is taken for success."""
    book = open_journal(tmp_path)
    book.recover(lambda _: None)
    seq = book.append(Record(Kind.DENY, {}), NOW)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(JournalError, match="durable"):
            await book.durable(seq)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        with pytest.raises(JournalError, match="append"):
            book.append(Record(Kind.DENY, {}), NOW)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda _fd, data: len(data) - 1)
        with pytest.raises(JournalError, match="short write"):
            book.append(Record(Kind.DENY, {}), NOW)
    book.close()


def fail(*_arguments):
    raise OSError(5, "Input/output error")
