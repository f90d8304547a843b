"""The journal: chained, locked, torn tails cut, every other defect found."""

import json
import os
import random
import stat
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock_core.wire.strict import canonical
from interlock_gatekeeper import journal
from interlock_gatekeeper.journal import AnotherGatekeeperError, Journal, JournalError
from interlock_gatekeeper.records import Kind, Record, apply
from interlock_gatekeeper.state import Now, State

NOW, DAY = Now(1, 2), 86_400 * 10**9


def open_journal(path):
    return make(path, lambda _: None)


def make(path, observe):
    return Journal(path, boot_id="boot", config_sha256="c", commit="d", observe_sync_s=observe)


def put(book, data, kind=Kind.DENY, now=NOW):
    return book.append(Record(kind, data), now, before="PAPER", after="PAPER")


def write(path, count):
    book = open_journal(path)
    book.recover(lambda _: None)
    for number in range(count):
        put(book, {"n": number}, now=Now(number // 2 * DAY, 2))
    book.close()
    return journal.files(path)


def read(path):
    lines = []
    return journal.read(path, lines.append), lines


def test_what_is_appended_is_read_back(tmp_path):
    """In order, chained over a file a day, and only readable by its owner."""
    files = write(tmp_path, 3)
    found, lines = read(tmp_path)
    assert [line.record.data["n"] for line in lines] == [0, 1, 2]
    assert (found.lines, found.defect, found.torn_bytes) == (3, None, 0)
    assert [file.name for file in files] == ["journal-1970-01-01.jsonl", "journal-1970-01-02.jsonl"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert lines[2].raw["file_before"] == files[0].name


def test_no_journal_is_an_empty_one(tmp_path):
    """A first start finds nothing and nothing wrong."""
    found, lines = read(tmp_path / "none")
    assert (found.lines, found.head, lines) == (0, journal.GENESIS, [])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_torn_last_line_is_cut_and_the_chain_goes_on(tmp_path, count):
    """A crash anywhere in the last write loses that line only, even a day's first."""
    last = write(tmp_path, count)[-1]
    line = last.read_bytes().splitlines(keepends=True)[-1]
    for size in range(1, len(line), 37):
        os.truncate(last, last.stat().st_size - len(line) + size)
        book = open_journal(tmp_path)
        found = book.recover(lambda _: None)
        assert (found.lines, found.torn_bytes, found.defect) == (count - 1, size, None)
        assert book.head == (count - 1, found.head)
        put(book, {"n": count - 1}, now=Now((count - 1) // 2 * DAY, 2))
        book.close()
        assert read(tmp_path)[0].lines == count
        line = last.read_bytes().splitlines(keepends=True)[-1]


def test_a_clock_set_back_keeps_the_newest_file(tmp_path):
    """Lines never go to an older file, in this process or the next."""
    write(tmp_path, 3)
    book = open_journal(tmp_path)
    book.recover(lambda _: None)
    put(book, {"n": 3})
    book.close()
    assert (read(tmp_path)[0].lines, read(tmp_path)[0].defect) == (4, None)
    assert len(journal.files(tmp_path)) == 2


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_found(tmp_path_factory, data):
    """Editing any byte breaks the chain; only the very last byte may pass for a torn line."""
    folder = tmp_path_factory.mktemp("j")
    file = data.draw(st.sampled_from(write(folder, 5)))
    raw = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    file.write_bytes(raw)
    found, _ = read(folder)
    assert found.defect is not None or (found.torn_bytes > 0 and place == len(raw) - 1)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whole_lines_cannot_be_moved(tmp_path_factory, data):
    """Dropping, swapping, doubling or cutting anything but the tail is found."""
    folder = tmp_path_factory.mktemp("j")
    files = write(folder, 6)
    lines = [line for file in files for line in file.read_bytes().splitlines(keepends=True)]
    at = data.draw(st.integers(0, 4))
    change = data.draw(st.sampled_from(["drop", "swap", "double", "cut"]))
    if change == "drop":
        lines[at] = b""
    elif change == "swap":
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    elif change == "double":
        lines[at] *= 2
    else:
        lines[at] = lines[at][: data.draw(st.integers(1, len(lines[at]) - 1))]
    for number, file in enumerate(files):
        file.write_bytes(b"".join(lines[2 * number : 2 * number + 2]))
    assert read(folder)[0].defect is not None


@pytest.mark.parametrize("number", [0, 1])
def test_a_missing_or_emptied_day_is_a_defect(tmp_path, number):
    """Each file names the one before it; a broken journal takes no further line."""
    file = write(tmp_path, 6)[number]
    file.write_bytes(b"")
    assert read(tmp_path)[0].defect is not None
    file.unlink()
    assert read(tmp_path)[0].defect is not None
    book = open_journal(tmp_path)
    book.recover(lambda _: None)
    with pytest.raises(JournalError):
        put(book, {})
    book.close()


def test_a_rewritten_later_file_is_a_defect(tmp_path):
    """A day that is consistent in itself still has to follow the day before."""
    files = write(tmp_path / "a", 4)
    book = open_journal(tmp_path / "b")
    book.recover(lambda _: None)
    put(book, {"other": 1}, now=Now(DAY, 2))
    book.close()
    files[1].write_bytes(journal.files(tmp_path / "b")[0].read_bytes())
    assert read(tmp_path / "a")[0].defect is not None


@pytest.mark.parametrize("line", [b"[]\n", b"1\n", b"\n", b"{}\n"])
def test_a_line_of_another_shape_is_a_defect(tmp_path, line):
    """What is no journal line is reported, never raised."""
    write(tmp_path, 1)[0].write_bytes(line)
    assert read(tmp_path)[0].defect is not None


def test_a_line_of_an_unknown_kind_is_a_defect(tmp_path):
    """What cannot be replayed is not skipped."""
    file = write(tmp_path, 1)[0]
    body = json.loads(file.read_bytes())
    del body["h"]
    body["type"] = "GIFT"
    whole = {**body, "h": journal.chain(journal.GENESIS, body)}
    file.write_bytes(canonical(whole) + b"\n")
    assert "GIFT" in read(tmp_path)[0].defect


def test_a_line_that_cannot_be_replayed_is_a_defect(tmp_path):
    """A valid chain over data that makes no sense is still not a journal."""
    book = open_journal(tmp_path)
    book.recover(lambda _: None)
    put(book, {"result": {"intent_id": "x"}}, Kind.RESULT)
    book.close()
    state = State(environment="paper")
    found = journal.read(tmp_path, lambda line: apply(state, line.record))
    assert "line 1:" in found.defect


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
    book = make(tmp_path, syncs.append)
    book.recover(lambda _: None)
    first = put(book, {})
    second = put(book, {})
    await book.durable(second)
    await book.durable(first)
    assert len(syncs) == 1
    book.close()
    book.close()


@pytest.mark.parametrize(
    ("call", "broken"),
    [("fdatasync", "fail"), ("write", "fail"), ("write", "short")],
)
async def test_a_failing_disk_is_an_error_for_ever(tmp_path, monkeypatch, call, broken):
    """Neither a failed write nor a failed sync is taken for success, nor tried again."""
    book = open_journal(tmp_path)
    book.recover(lambda _: None)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail if broken == "fail" else lambda _fd, data: len(data) - 1)
        with pytest.raises(JournalError, match="cannot"):
            await book.durable(put(book, {}))
    with pytest.raises(JournalError):
        put(book, {})
    with pytest.raises(JournalError):
        await book.durable(book.seq + 1)
    book.close()


async def test_a_new_day_loses_nothing(tmp_path):
    """Lines of both sides of midnight are durable after one wait."""
    book = open_journal(tmp_path)
    book.recover(lambda _: None)
    for number in range(4):
        put(book, {"n": number}, now=Now(number * DAY, 2))
    await book.durable(book.seq)
    put(book, {"n": 4}, now=Now(4 * DAY, 2))
    assert book.free_bytes() > 0
    book.close()
    assert (read(tmp_path)[0].lines, len(journal.files(tmp_path))) == (5, 5)


CHILD = """
import asyncio, sys
from pathlib import Path
from interlock_gatekeeper.journal import Journal
from interlock_gatekeeper.records import Kind, Record
from interlock_gatekeeper.state import Now

async def main():
    book = Journal(Path(sys.argv[1]), boot_id="b", config_sha256="c", commit="d",
                   observe_sync_s=lambda _: None)
    book.recover(lambda _: None)
    while True:
        at = book.seq * 3_600 * 10**9
        seq = book.append(Record(Kind.DENY, {"n": book.seq}), Now(at, 2), before="A", after="A")
        await book.durable(seq)
        print(seq, flush=True)

asyncio.run(main())
"""


@pytest.mark.timeout(120)
def test_a_killed_process_loses_no_acknowledged_line(tmp_path):
    """Killed at 20 random moments, over many days' files: what was acknowledged is there."""
    moments = random.Random(7)
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE
        ) as child:
            for _ in range(moments.randint(1, 60)):
                child.stdout.readline()
            child.kill()
            acknowledged = [int(line) for line in child.stdout if line.endswith(b"\n")]
        found, _ = read(tmp_path)
        assert found.defect is None
        assert found.lines >= max(acknowledged, default=1)


def fail(*_arguments):
    raise OSError(5, "Input/output error")
