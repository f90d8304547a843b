"""The migration against real servers: schema, rights, and running it again."""

import json
import os
import subprocess
import sys

import psycopg
import pytest
from psycopg.types.json import Jsonb

from interlock_migrate.files import Migration, MigrationError, packaged
from interlock_migrate.runner import migrate
from interlock_migrate.settings import ROLES, read_settings

pytestmark = pytest.mark.integration

TABLES = {
    "anchors",
    "journal",
    "kpi_snapshots",
    "order_results",
    "preflight_reports",
    "round_trips",
    "schema_migrations",
    "sessions",
}


def environ(database, **changes):
    passwords = {f"MIGRATE_PASSWORD_{role.upper()}": f"pw-of-{role}" for role in ROLES}
    return {"POSTGRES_DSN": database.dsn(), **passwords, **changes}


def run(database, *known, **changes):
    return migrate(read_settings(environ(database, **changes)), known or packaged())


def connect(database, role):
    return psycopg.connect(database.dsn(user=role, password=f"pw-of-{role}"), autocommit=True)


def snapshot(database):
    """Return everything a second run could have changed, row versions included."""
    with psycopg.connect(database.dsn()) as connection:
        return [
            connection.execute(query).fetchall()
            for query in (
                "SELECT xmin::text, rolname, rolpassword FROM pg_authid ORDER BY 2",
                "SELECT xmin::text, relname, relacl::text FROM pg_class ORDER BY oid",
                "SELECT xmin::text, * FROM schema_migrations ORDER BY number",
            )
        ]


def test_brings_an_empty_database_to_head(database):
    """Every packaged file is applied, and every table of the design is there."""
    assert run(database) == tuple(migration.name for migration in packaged())
    with connect(database, "reader") as reader:
        rows = reader.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert {name for (name,) in rows} == TABLES


def test_a_second_run_changes_nothing(database):
    """Not a row version differs: roles, rights and history included."""
    run(database)
    before = snapshot(database)
    assert run(database) == ()
    assert snapshot(database) == before


def test_a_changed_password_is_set(database):
    """Rotating a password is: new value, run again."""
    run(database)
    assert run(database, MIGRATE_PASSWORD_ENGINE="rotated") == ()
    psycopg.connect(database.dsn(user="engine", password="rotated")).close()
    with pytest.raises(psycopg.OperationalError):
        connect(database, "engine")


def test_the_journals_mirror_only_grows(database):
    """The gatekeeper may add lines, repeat one harmlessly, and never read, change or remove any."""
    run(database)
    insert = "INSERT INTO journal VALUES (1, 'b', 2, 'ARM', %s, 'h1') ON CONFLICT DO NOTHING"
    with connect(database, "gatekeeper") as gatekeeper:
        gatekeeper.execute(insert, [Jsonb({"a": 1})])
        gatekeeper.execute(insert, [Jsonb({"a": 2})])
        gatekeeper.execute("INSERT INTO anchors (seq, h, wall_ns, reason) VALUES (1, 'h1', 2, 'x')")
        for statement in (
            "SELECT * FROM journal",
            "UPDATE journal SET type = 'x'",
            "DELETE FROM journal",
            "TRUNCATE journal",
            "DELETE FROM anchors",
            "CREATE TABLE mine (n int)",
            "SELECT * FROM sessions",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                gatekeeper.execute(statement)
    with connect(database, "reader") as reader:
        assert reader.execute("SELECT record FROM journal").fetchall() == [({"a": 1},)]


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("engine", "INSERT INTO journal VALUES (1, 'b', 2, 'ARM', '{}', 'h1')"),
        ("engine", "DELETE FROM order_results"),
        ("engine", "TRUNCATE kpi_snapshots"),
        ("engine", "SELECT * FROM preflight_reports"),
        ("preflight", "UPDATE preflight_reports SET ok = true"),
        ("preflight", "INSERT INTO sessions (session_id) VALUES ('s')"),
        ("reader", "INSERT INTO anchors (seq, h, wall_ns, reason) VALUES (1, 'h', 2, 'x')"),
        ("reader", "CREATE ROLE mine SUPERUSER"),
    ],
)
def test_no_role_may_do_more_than_its_work(database, role, statement):
    """The database refuses what a service has no business doing."""
    run(database)
    with (
        connect(database, role) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_the_engine_may_keep_its_record(database):
    """The engine adds its rows and brings them up to date."""
    run(database)
    with connect(database, "engine") as engine:
        engine.execute(
            "INSERT INTO sessions (session_id, env, stage, universe, config_sha256, started_at) "
            "VALUES ('s', 'paper', 'paper', 'top10', 'x', now())"
        )
        engine.execute("UPDATE sessions SET ended_at = now(), exit_code = 0")
        engine.execute(
            "INSERT INTO kpi_snapshots VALUES ('s', now(), false, '{}') "
            "ON CONFLICT (session_id, at) DO UPDATE SET kpi = excluded.kpi"
        )
    with connect(database, "reader") as reader:
        assert reader.execute("SELECT exit_code FROM sessions").fetchall() == [(0,)]


def test_tables_of_later_migrations_can_be_read(database):
    """The reader needs no new grant for a new table."""
    known = packaged()
    extra = Migration(len(known) + 1, f"{len(known) + 1:04}_later.sql", "CREATE TABLE later ()")
    run(database)
    assert run(database, *known, extra) == (extra.name,)
    with connect(database, "reader") as reader:
        reader.execute("SELECT * FROM later")


def test_a_failing_file_leaves_nothing_behind(database):
    """One transaction a file: the next run meets the state before it."""
    known = packaged()
    name = f"{len(known) + 1:04}_bad.sql"
    bad = Migration(len(known) + 1, name, "CREATE TABLE half (n int); SELECT 1/0")
    with pytest.raises(psycopg.errors.DivisionByZero):
        run(database, *known, bad)
    assert run(database) == ()
    with (
        connect(database, "reader") as reader,
        pytest.raises(psycopg.errors.UndefinedTable),
    ):
        reader.execute("SELECT * FROM half")


def test_an_edited_file_changes_nothing(database):
    """The error names the file; roles and tables stay as they were."""
    run(database)
    before = snapshot(database)
    first, *rest = packaged()
    edited = Migration(first.number, first.name, first.sql + "-- edited")
    with pytest.raises(MigrationError, match="was edited after it was applied"):
        run(database, edited, *rest, MIGRATE_PASSWORD_ENGINE="rotated")
    assert snapshot(database) == before


def command(values):
    environment = {"PATH": os.environ["PATH"], **values}
    return subprocess.run(
        [sys.executable, "-I", "-m", "interlock_migrate"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_says_what_it_did(database):
    """Exit 0 and JSON lines; a wrong password exits 1, a missing setting 2, without a traceback."""
    done = command(environ(database))
    assert done.returncode == 0, done.stdout + done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["service"]) == ("schema is at head", "migrate")
    refused = command(environ(database, POSTGRES_DSN=database.dsn(password="wrong")))
    assert refused.returncode == 1
    assert "Traceback" not in refused.stdout + refused.stderr
    usage = command({})
    assert usage.returncode == 2
    assert usage.stderr.startswith("POSTGRES_DSN: expected a value, was missing")
