"""The embedded PostgreSQL and Valkey, as real processes."""

import asyncio
import os
import signal

import psycopg
import pytest
import redis
from tests.ports import free_port

from interlock_operator.errors import OperatorError
from interlock_operator.native import postgres
from interlock_operator.native.stores import ROLES, StoreFiles, postgres_services, redis_services
from interlock_operator.native.supervisor import Supervisor

pytestmark = pytest.mark.integration

FOLDERS = {str(folder.parent.name or folder): folder for folder in postgres.candidates()}


async def round_trip(services, tmp_path, check):
    """Start services, run check, stop them; return the exit codes."""
    supervisor = Supervisor(services, log_dir=tmp_path, say=lambda _line: None)
    try:
        await supervisor.start()
        await asyncio.to_thread(check)
    finally:
        codes = await supervisor.stop()
    return codes


@pytest.fixture
def prefixes():
    """Return every way in which this user may run PostgreSQL."""
    return [postgres.NAMESPACE, postgres.OTHER_UID] if os.geteuid() == 0 else [()]


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS.keys())
async def test_every_server_that_is_found_keeps_its_data(folder, tmp_path):
    """Data written in one run is there in the next, behind a password that stays."""
    files, server = StoreFiles(tmp_path / "secrets"), postgres.find_server(iter([folder]))
    for expected in (0, 1):
        port = free_port()
        cluster = postgres.prepare(server, tmp_path / "pg")
        stranger = cluster.dsn(port).replace(":" + cluster.password, ":wrong")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(postgres, "find_server", lambda: server)
            services = postgres_services(files, tmp_path / "native", port, None)

        def check(stranger=stranger, expected=expected, files=files):
            with psycopg.connect(files.owner_dsn.read_text("ascii").strip()) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS t (x int)")
                assert connection.execute("SELECT count(*) FROM t").fetchone() == (expected,)
                connection.execute("INSERT INTO t VALUES (1)")
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(stranger, connect_timeout=2)

        codes = await round_trip(services, tmp_path, check)
        assert codes == {"postgres": 0}


async def test_postgres_runs_in_every_way_this_user_may(prefixes, tmp_path, monkeypatch):
    """As root both the namespace and the other uid start, answer, and stop in order."""
    for number, prefix in enumerate(prefixes):
        monkeypatch.setattr(postgres, "run_prefix", lambda prefix=prefix: prefix)
        services = postgres_services(
            StoreFiles(tmp_path / f"s{number}"), tmp_path / f"n{number}", free_port(), None
        )
        assert await round_trip(services, tmp_path, lambda: None) == {"postgres": 0}


async def test_a_killed_server_recovers_although_its_pid_file_is_left(tmp_path):
    """A pid file whose pid is now another program's does not stop the next start."""
    files, native = StoreFiles(tmp_path / "secrets"), tmp_path / "native"
    supervisor = Supervisor(
        postgres_services(files, native, free_port(), None),
        log_dir=tmp_path,
        say=lambda _line: None,
    )
    await supervisor.start()
    os.kill(supervisor.pids()["postgres"], signal.SIGKILL)
    await supervisor.stop()
    pid_file = next(native.glob("postgres/*/data/postmaster.pid"))
    lines = pid_file.read_text("ascii").splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n", "ascii")
    services = postgres_services(files, native, free_port(), None)
    assert await round_trip(services, tmp_path, lambda: None) == {"postgres": 0}


async def test_valkey_keeps_its_data_and_asks_for_its_password(tmp_path):
    """A value outlives a restart; without the password nothing is answered."""
    files = StoreFiles(tmp_path / "secrets")
    files.folder.mkdir()
    for expected in (None, b"1"):
        port = free_port()
        services = redis_services(files, tmp_path / "native", port, None)

        def check(expected=expected, port=port):
            with redis.Redis.from_url(files.redis_url.read_text("ascii").strip()) as client:
                assert client.get("k") == expected
                client.set("k", "1")
            with (
                redis.Redis(port=port) as stranger,
                pytest.raises(redis.exceptions.AuthenticationError),
            ):
                stranger.get("k")

        assert await round_trip(services, tmp_path, check) == {"redis": 0}


def test_a_server_of_the_operators_own_is_used_as_it_is(tmp_path):
    """With POSTGRES_DSN and REDIS_URL nothing is started, and each role gets its own string."""
    files = StoreFiles(tmp_path / "secrets")
    dsn = "postgresql://owner:pw@db.internal:5433/trades"
    assert postgres_services(files, tmp_path, 1, dsn) == ()
    assert redis_services(files, tmp_path, 1, "redis://cache:6379/0") == ()
    assert files.owner_dsn.read_text("ascii").strip() == dsn
    for role in ROLES:
        parts = psycopg.conninfo.conninfo_to_dict(files.role_dsn(role).read_text("ascii"))
        assert (parts["user"], parts["host"], parts["dbname"]) == (role, "db.internal", "trades")
        assert parts["password"] == files.role_password(role).read_text("ascii").strip()
        assert files.role_dsn(role).stat().st_mode & 0o777 == 0o600


def test_a_connection_string_that_cannot_be_read_is_a_usage_error(tmp_path):
    """The setting is named, and nothing is started."""
    with pytest.raises(OperatorError, match="POSTGRES_DSN") as caught:
        postgres_services(StoreFiles(tmp_path / "secrets"), tmp_path, 1, "nonsense=1")
    assert caught.value.exit_code == 2


def test_a_machine_without_a_server_is_told_what_to_do(tmp_path):
    """No usable binary: one line with the way out."""
    with pytest.raises(OperatorError, match="make setup"):
        postgres.find_server(iter([tmp_path]))


def test_a_data_folder_without_its_password_is_not_guessed_at(tmp_path):
    """A lost password is said, with the folder to delete."""
    server = postgres.Server(tmp_path, 18)
    (tmp_path / "pg" / "18" / "data").mkdir(parents=True)
    with pytest.raises(OperatorError, match="delete"):
        postgres.prepare(server, tmp_path / "pg")
