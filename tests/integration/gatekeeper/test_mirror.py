"""The journal's mirror: complete, idempotent, and behind an outage without loss."""

import asyncio
import contextlib

import psycopg
import pytest
from tests.integration.migrate.conftest import database, server  # noqa: F401 - fixtures

from interlock_core.clock import ManualClock
from interlock_gatekeeper.journal import Journal
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.mirror import ANCHOR_EVERY_NS, BATCH_LINES, CURSOR_NAME, Mirror
from interlock_gatekeeper.records import Kind, Record
from interlock_gatekeeper.state import Now
from interlock_migrate.files import packaged
from interlock_migrate.runner import migrate
from interlock_migrate.settings import ROLES, read_settings

pytestmark = pytest.mark.integration

DAY_NS = 86_400 * 10**9


@pytest.fixture
def migrated(database):  # noqa: F811 - the fixture of that name
    """Return the server with the schema and its roles."""
    passwords = {f"MIGRATE_PASSWORD_{role.upper()}": f"pw-of-{role}" for role in ROLES}
    migrate(read_settings({"POSTGRES_DSN": database.dsn(), **passwords}), packaged())
    return database


@pytest.fixture
def book(tmp_path):
    made = Journal(
        tmp_path, boot_id="boot", config_sha256="c", commit="d", observe_sync_s=lambda _: None
    )
    made.recover(lambda _: None)
    yield made
    made.close()


def fill(book, count, kind=Kind.DENY):
    for number in range(count):
        book.append(Record(kind, {"n": number}), Now(1, 2), before="PAPER", after="PAPER")


def rows(server, query):  # noqa: F811 - a plain parameter
    with psycopg.connect(server.dsn()) as connection:
        return connection.execute(query).fetchall()


@contextlib.asynccontextmanager
async def mirroring(server, book, anchored=lambda _: None, clock=None):  # noqa: F811 - a plain parameter
    dsn = server.dsn(user="gatekeeper", password="pw-of-gatekeeper")
    metrics = Metrics("paper", "paper")
    task = asyncio.create_task(
        Mirror(dsn, book.folder, metrics, anchored=anchored, clock=clock).run()
    )
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(server, count):  # noqa: F811 - a plain parameter
    async with asyncio.timeout(10):
        while len(await asyncio.to_thread(rows, server, "SELECT 1 FROM journal")) < count:
            await asyncio.sleep(0.02)


async def test_every_line_arrives_once_with_anchors(migrated, book):
    """Lines before, during and after an outage of the mirror: all there, in order, once."""
    fill(book, 3)
    async with mirroring(migrated, book):
        await until(migrated, 3)
        fill(book, 2, Kind.KILL)
        await until(migrated, 5)
    fill(book, 1)
    (book.folder / CURSOR_NAME).unlink()
    async with mirroring(migrated, book):
        await until(migrated, 6)
    found = rows(migrated, "SELECT seq, record->>'h' = h FROM journal ORDER BY seq")
    assert found == [(seq, True) for seq in range(1, 7)]
    kills = rows(migrated, "SELECT seq FROM anchors WHERE reason = 'KILL' ORDER BY anchor_id")
    assert [seq for (seq,) in kills][:2] == [4, 5]
    assert rows(migrated, "SELECT count(*) > 0 FROM anchors WHERE reason = 'PERIODIC'")[0][0]


async def test_a_cursor_of_another_journal_is_not_believed(migrated, book):
    """Past the end, or not a number: begin anew; the inserts are idempotent."""
    fill(book, 2)
    for wrong in ("999999", "x"):
        (book.folder / CURSOR_NAME).write_text(wrong)
        async with mirroring(migrated, book):
            await until(migrated, 2)


async def test_files_of_several_days_are_mirrored_as_one_chain(migrated, book):
    """Across the switch, and from a cursor in an older day's file."""
    for number in range(4):
        when = Now(number // 2 * DAY_NS, number)
        book.append(Record(Kind.DENY, {"n": number}), when, before="PAPER", after="PAPER")
        if number == 0:
            async with mirroring(migrated, book):
                await until(migrated, 1)
    async with mirroring(migrated, book):
        await until(migrated, 4)
    found = rows(migrated, "SELECT seq, record->'data'->>'n' FROM journal ORDER BY seq")
    assert found == [(n + 1, str(n)) for n in range(4)]


async def test_an_idle_journal_is_anchored_every_minute(migrated, book):
    """At once, then when a minute has passed, and not before; each is told with its boot time."""
    clock, told = ManualClock(), []
    fill(book, 1)
    async with mirroring(migrated, book, told.append, clock):
        await until_told(told, 1)
        clock.advance(ANCHOR_EVERY_NS - 1)
        fill(book, 1)
        await until(migrated, 2)
        assert len(told) == 1
        clock.advance(1)
        await until_told(told, 2)
    assert told == [told[0], told[0] + ANCHOR_EVERY_NS]
    anchors = rows(migrated, "SELECT seq, reason FROM anchors ORDER BY anchor_id")
    assert anchors == [(1, "PERIODIC"), (2, "PERIODIC")]


async def test_a_mirror_that_is_behind_proves_no_fresh_anchor(migrated, book):
    """A KILL in a full batch is anchored; only at the journal's end does that count as fresh."""
    clock, told = ManualClock(), []
    fill(book, 2 * BATCH_LINES, Kind.KILL)
    fill(book, 1)
    seqs = []
    async with mirroring(
        migrated, book, lambda at: (told.append(at), seqs.append(last(migrated))), clock
    ):
        await until_told(told, 1)
    assert seqs == [2 * BATCH_LINES + 1], "told once, with everything there"


def last(server):  # noqa: F811 - a plain parameter
    return rows(server, "SELECT max(seq) FROM journal")[0][0]


async def until_told(told, count):
    async with asyncio.timeout(10):
        while len(told) < count:
            await asyncio.sleep(0.02)


async def test_an_outage_loses_nothing(migrated, book):
    """PostgreSQL refuses for a while: the lines wait in the journal."""
    fill(book, 2)
    with psycopg.connect(migrated.dsn(), autocommit=True) as owner:
        owner.execute("ALTER ROLE gatekeeper NOLOGIN")
        async with mirroring(migrated, book):
            await asyncio.to_thread(rows, migrated, "SELECT 1")
            fill(book, 2)
            owner.execute("ALTER ROLE gatekeeper LOGIN")
            await until(migrated, 4)
    assert [seq for (seq,) in rows(migrated, "SELECT seq FROM journal ORDER BY seq")] == [
        1,
        2,
        3,
        4,
    ]
