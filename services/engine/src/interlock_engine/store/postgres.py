"""Sessions and KPI snapshots in PostgreSQL. Tables are the migration's; the engine only inserts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from interlock_engine.store.outbox import Outbox, StoreError

CONNECT_TIMEOUT_S = 3

SESSION = """
INSERT INTO sessions (session_id, env, stage, universe, config_sha256, market_source, started_at)
VALUES (%(session_id)s, %(env)s, %(stage)s, %(universe)s, %(config_sha256)s, %(market_source)s,
        %(started_at)s)
ON CONFLICT (session_id) DO UPDATE SET market_source = EXCLUDED.market_source
"""
SESSION_END = """
UPDATE sessions SET ended_at = %(ended_at)s, exit_code = %(exit_code)s,
                    market_source = %(market_source)s
WHERE session_id = %(session_id)s
"""
SNAPSHOT = """
INSERT INTO kpi_snapshots (session_id, at, final, kpi)
VALUES (%(session_id)s, %(at)s, %(final)s, %(kpi)s)
ON CONFLICT (session_id, at) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One statement and its values."""

    statement: str
    values: Mapping[str, Any]


class Postgres(Outbox[Row]):
    """Keeps sessions and KPI snapshots."""

    name = "postgres"

    def __init__(self, dsn: str, session_id: str) -> None:
        super().__init__()
        self._dsn = dsn
        self._session_id = session_id
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def write(self, item: Row) -> None:
        """Insert one row; a row the database refuses is dropped, not tried for ever."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
                )
            await self._connection.execute(item.statement, item.values)
        except (psycopg.DataError, psycopg.IntegrityError):
            self.dropped += 1
        except (psycopg.Error, OSError) as error:
            raise StoreError(str(error).splitlines()[0] if str(error) else "no answer") from error

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    def session(self, **values: object) -> None:
        """Keep the session's row."""
        self.put(Row(SESSION, {"session_id": self._session_id, **values}))

    def session_end(self, **values: object) -> None:
        """Complete the session's row."""
        self.put(Row(SESSION_END, {"session_id": self._session_id, **values}))

    def snapshot(self, at: str, document: Mapping[str, Any]) -> None:
        """Keep one KPI document."""
        values = {"at": at, "final": document["final"], "kpi": Jsonb(document)}
        self.put(Row(SNAPSHOT, {"session_id": self._session_id, **values}))
