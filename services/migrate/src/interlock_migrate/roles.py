"""The services' database roles: they may log in, and nothing more than what is granted."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

Connection = psycopg.Connection[Any]

CONNECT_TIMEOUT_S = 5
ATTRIBUTES = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"


def ensure_role(connection: Connection, name: str, password: str) -> bool:
    """Make the role and its password be as asked; return whether anything had to change."""
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    if exists and _can_log_in(connection, name, password):
        return False
    statement = sql.SQL("{} ROLE {} {} PASSWORD {}").format(
        sql.SQL("ALTER" if exists else "CREATE"),
        sql.Identifier(name),
        sql.SQL(ATTRIBUTES),
        sql.Literal(_verifier(connection, name, password)),
    )
    connection.execute(statement)
    return True


def _verifier(connection: Connection, name: str, password: str) -> str:
    # Made here, so that the password itself can never stand in the server's statement log.
    made = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    return made.decode("ascii")


def _can_log_in(connection: Connection, name: str, password: str) -> bool:
    dsn = make_conninfo(
        connection.info.dsn, user=name, password=password, connect_timeout=CONNECT_TIMEOUT_S
    )
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True
