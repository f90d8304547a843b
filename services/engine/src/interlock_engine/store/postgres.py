"""The record to query, in PostgreSQL. Tables are the migration's; the engine only inserts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from interlock_core.clock import rfc3339
from interlock_core.wire.gate import OrderResult
from interlock_engine.account.position import Position
from interlock_engine.account.round_trip import RoundTrip
from interlock_engine.execute.order import Order
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
ORDER = """
INSERT INTO order_results (intent_id, session_id, group_id, leg, purpose, instrument, side,
    quantity, price, outcome, code, filled_quantity, average_price, fee, fee_currency, latency_ms)
VALUES (%(intent_id)s, %(session_id)s, %(group_id)s, %(leg)s, %(purpose)s, %(instrument)s,
    %(side)s, %(quantity)s, %(price)s, %(outcome)s, %(code)s, %(filled_quantity)s,
    %(average_price)s, %(fee)s, %(fee_currency)s, %(latency_ms)s)
ON CONFLICT (intent_id) DO NOTHING
"""
TRIP = """
INSERT INTO round_trips (session_id, round_trip_id, asset, direction, opened_at, closed_at,
    notional_usd, pnl_usd, exit_reason, entry_edge_bps, exit_premium_bps, detail)
VALUES (%(session_id)s, %(round_trip_id)s, %(asset)s, %(direction)s, %(opened_at)s, %(closed_at)s,
    %(notional_usd)s, %(pnl_usd)s, %(exit_reason)s, %(entry_edge_bps)s, %(exit_premium_bps)s,
    %(detail)s)
ON CONFLICT (session_id, round_trip_id) DO NOTHING
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
    """Keeps sessions, orders, round trips and KPI snapshots; implements the scoreboard's Sink."""

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

    def order(self, order: Order, result: OrderResult) -> None:
        """Keep one order's outcome."""
        intent = order.intent
        values = {
            "intent_id": intent.intent_id,
            "session_id": self._session_id,
            "group_id": intent.group_id,
            "leg": intent.leg,
            "purpose": intent.purpose.value,
            "instrument": intent.instrument,
            "side": intent.side.value,
            "quantity": intent.quantity,
            "price": intent.price,
            "outcome": result.outcome.value,
            "code": result.code,
            "filled_quantity": result.filled_quantity,
            "average_price": result.average_price,
            "fee": result.fee,
            "fee_currency": result.fee_currency,
            "latency_ms": result.latency_ms,
        }
        self.put(Row(ORDER, values))

    def trip(self, trip: RoundTrip) -> None:
        """Keep one finished round trip."""
        values = {
            "session_id": self._session_id,
            "round_trip_id": f"rt{trip.number:06d}",
            "asset": trip.asset,
            "direction": trip.direction,
            "opened_at": rfc3339(trip.opened_wall_ns),
            "closed_at": rfc3339(trip.closed_wall_ns),
            "notional_usd": trip.notional_usd,
            "pnl_usd": trip.pnl_usd,
            "exit_reason": trip.exit_reason.value,
            "entry_edge_bps": trip.entry_edge_bps,
            "exit_premium_bps": trip.exit_premium_bps,
            "detail": Jsonb(
                {"entry_premium_bps": trip.entry_premium_bps, "leftover": trip.leftover}
            ),
        }
        self.put(Row(TRIP, values))

    def position(self, position: Position) -> None:
        """Keep nothing: PostgreSQL is for what has ended."""

    def gone(self, position: Position) -> None:
        """Keep nothing."""

    def event(self, name: str, fields: dict[str, object]) -> None:
        """Keep nothing: events go to the stream."""
