"""The ledger's file: what was written is read again, whole, by one process at a time."""

import asyncio
import errno
import os
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.world import World

from interlock_core.clock import NS_PER_S, ManualClock
from interlock_core.instrument import Side
from interlock_core.reasons import Severity
from interlock_core.settings import ConfigError
from interlock_core.wire.gate import Holding, OwnFill
from interlock_core.wire.strict import SchemaError
from interlock_engine.ledger import file, records
from interlock_engine.ledger.file import FILE_NAME, Ledger, LedgerError, decode, encode
from interlock_engine.ledger.records import KINDS, TYPES, Alerted, Begun, Ended, Resumed
from interlock_engine.ledger.sessions import choose
from interlock_engine.settings import read_settings


def _a_life():
    async def run():
        world = World()
        world.warm_up()
        for premium in (0.0, 100.0):
            world.step(premium)
            await world.settle()
        return world.ledger.records

    return asyncio.run(run())


LIFE = _a_life()


def test_every_kind_of_record_has_one_word():
    assert set(TYPES.values()) == set(KINDS) == set(records.Record.__args__)


def test_what_is_written_is_what_is_read():
    assert list(decode(b"".join(encode(record) for record in LIFE))) == LIFE
    own = OwnFill("flat-1-x", "UPBIT:KRW-ETH", Side.BUY, Decimal(1), Decimal(2), Decimal(0), None)
    for record in (
        records.Baseline((Holding("UPBIT:KRW-ETH", Side.SELL, Decimal(3)),), ("flat-1-a",)),
        records.Repaired(1, own, Decimal(1400), Decimal(1401)),
        records.Released(1, "ETH", "-1.5", {"UPBIT:KRW-ETH": "-0.1"}),
        Ended(4),
    ):
        assert next(decode(encode(record))) == record


def test_a_torn_last_line_is_cut_off_and_the_next_record_is_whole(tmp_path):
    ledger = Ledger(tmp_path)
    for record in LIFE:
        assert ledger.append(record)
    ledger.close()
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-7])
    ledger = Ledger(tmp_path)
    assert ledger.read() == LIFE[:-1]
    assert ledger.append(LIFE[-1])
    ledger.close()
    assert Ledger(tmp_path).read() == LIFE


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_is_noticed_and_its_line_named(position, change):
    raw = bytearray(b"".join(encode(record) for record in LIFE))
    raw[position % len(raw)] ^= change
    with pytest.raises(SchemaError, match="line"):
        _ = list(decode(bytes(raw)))


def test_only_one_process_has_the_ledger(tmp_path):
    first = Ledger(tmp_path)
    with pytest.raises(LedgerError, match="another engine runs this session"):
        Ledger(tmp_path)
    first.close()
    Ledger(tmp_path).close()


async def test_a_full_disk_fails_every_later_record_and_is_told_once(tmp_path, monkeypatch, caplog):
    ledger = Ledger(tmp_path)
    assert ledger.append(LIFE[0])

    def full(_descriptor, _data):
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert not ledger.append(LIFE[1])
    assert not ledger.append(LIFE[2])
    assert not await ledger.sync()
    assert "no space left" in ledger.failed
    assert [r.message for r in caplog.records] == ["ledger failed"]
    ledger.close()
    assert Ledger(tmp_path).read() == LIFE[:1]


async def test_a_disk_that_cannot_make_it_durable_fails_the_ledger(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path)
    ledger.append(LIFE[0])
    assert await ledger.sync()

    def broken(_descriptor):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    # Nothing new: nothing to be made durable.
    assert await ledger.sync()
    ledger.append(LIFE[1])
    assert not await ledger.sync()
    assert not ledger.append(LIFE[2])


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path / "file")


# Which session a starting engine runs.


def _settings(tmp_path, **more):
    return read_settings({"RUNS_DIR": str(tmp_path), **more})


def _left(tmp_path, clock, *kept, **more):
    """Leave a session behind with records, as a process that was killed does."""
    run = choose(_settings(tmp_path, **more), clock)
    for record in kept:
        run.ledger.append(record)
    run.ledger.close()
    return run.facts


@pytest.fixture
def clock():
    # The age of a file is told by the system's clock.
    return ManualClock(wall_ns=time.time_ns())


def test_a_session_that_did_not_end_is_gone_on_with(tmp_path, clock):
    facts = _left(tmp_path, clock, Alerted(Severity.P1))
    clock.advance(60 * NS_PER_S)
    run = choose(_settings(tmp_path), clock)
    assert run.facts == facts
    assert [type(record) for record in run.records] == [Begun, Alerted, Resumed]
    # The next one after it is asked for while this one runs: it begins anew.
    assert choose(_settings(tmp_path), clock).facts.session_id != facts.session_id


def test_the_time_passed_is_told_by_the_wall_clock_where_the_host_began_anew(tmp_path, clock):
    facts = _left(tmp_path, clock)
    later = ManualClock(wall_ns=clock.wall_ns() + 90 * NS_PER_S, boot_ns=5 * NS_PER_S)
    run = choose(_settings(tmp_path), later)
    assert run.facts.started_wall_ns == facts.started_wall_ns
    assert later.boot_ns() - run.facts.started_boot_ns == 90 * NS_PER_S


def test_a_session_that_ended_is_not_gone_on_with(tmp_path, clock):
    facts = _left(tmp_path, clock, Ended(0))
    assert choose(_settings(tmp_path), clock).facts.session_id != facts.session_id
    with pytest.raises(ConfigError, match="was run before"):
        choose(_settings(tmp_path, SESSION_ID=facts.session_id), clock)


def test_other_settings_do_not_go_on_with_a_session(tmp_path, clock):
    facts = _left(tmp_path, clock)
    other = {"COLLAR_BPS": "20", "UNIVERSE": "top20"}
    assert choose(_settings(tmp_path, **other), clock).records == []
    with pytest.raises(ConfigError, match="began under other settings"):
        choose(_settings(tmp_path, SESSION_ID=facts.session_id, **other), clock)


def test_a_session_that_stood_still_for_long_is_gone_on_with_only_for_what_is_open(tmp_path, clock):
    opened = next(record for record in LIFE if isinstance(record, records.Opened))
    idle = _left(tmp_path / "idle", clock)
    open_one = _left(tmp_path / "open", clock, opened)
    clock.advance(2 * 3600 * NS_PER_S)
    assert choose(_settings(tmp_path / "idle"), clock).records == []
    assert choose(_settings(tmp_path / "open"), clock).facts.session_id == open_one.session_id
    named = choose(_settings(tmp_path / "idle", SESSION_ID=idle.session_id), clock)
    assert named.facts.session_id == idle.session_id


def test_a_broken_ledger_is_named_and_stops_only_who_asked_for_it(tmp_path, clock, caplog):
    facts = _left(tmp_path, clock, Alerted(Severity.P1))
    path = tmp_path / facts.session_id / FILE_NAME
    path.write_bytes(path.read_bytes().replace(b"P1", b"P0"))
    assert choose(_settings(tmp_path), clock).records == []
    assert "an earlier session cannot be read" in caplog.text
    with pytest.raises(LedgerError, match="line 2 is broken"):
        choose(_settings(tmp_path, SESSION_ID=facts.session_id), clock)


def test_a_name_that_a_session_without_ledger_had_is_refused(tmp_path, clock):
    (tmp_path / "session-0001").mkdir()
    (tmp_path / "session-0001" / "kpi.json").touch()
    with pytest.raises(ConfigError, match="was run before"):
        choose(_settings(tmp_path, SESSION_ID="session-0001"), clock)


def test_a_line_is_bounded():
    assert max(len(encode(record)) for record in LIFE) < file.MAX_LINE_BYTES
