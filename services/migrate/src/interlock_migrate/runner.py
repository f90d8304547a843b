"""Bring the database to head: roles, then every missing migration, one transaction each."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import psycopg

from interlock_migrate.files import Applied, Migration, pending
from interlock_migrate.roles import CONNECT_TIMEOUT_S, Connection, ensure_role
from interlock_migrate.settings import MigrateSettings

log = logging.getLogger(__name__)

# Any number will do, as long as every copy of this program takes the same one.
LOCK_KEY = 7_203_114_905

CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


def migrate(settings: MigrateSettings, known: Sequence[Migration]) -> tuple[str, ...]:
    """Apply what is missing and return the applied names; one program at a time.

    Raises MigrationError where the history does not match, psycopg.Error where the database fails;
    the failing file then left nothing behind.
    """
    with psycopg.connect(
        settings.dsn, connect_timeout=CONNECT_TIMEOUT_S, autocommit=True
    ) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
        if not _history_exists(connection):
            connection.execute(CREATE_HISTORY)
        todo = pending(known, _history(connection))
        for role, password in settings.passwords.items():
            if ensure_role(connection, role, password):
                log.info("role set", extra={"role": role})
        for migration in todo:
            _apply(connection, migration)
            log.info("applied", extra={"migration": migration.name})
    return tuple(migration.name for migration in todo)


def _history_exists(connection: Connection) -> bool:
    row = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    return bool(row and row[0])


def _history(connection: Connection) -> list[Applied]:
    rows = connection.execute("SELECT number, name, sha256 FROM schema_migrations ORDER BY number")
    return [Applied(*row) for row in rows]


def _apply(connection: Connection, migration: Migration) -> None:
    with connection.transaction():
        connection.execute(migration.sql.encode("utf-8"))
        connection.execute(
            "INSERT INTO schema_migrations (number, name, sha256) VALUES (%s, %s, %s)",
            [migration.number, migration.name, migration.sha256],
        )
