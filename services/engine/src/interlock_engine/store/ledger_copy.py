"""Copies orders and round trips from the ledger to PostgreSQL: nothing is lost while it is away.

The ledger is the record, the tables are for queries. Every row goes in once however often it is
copied, so a process begins from the ledger's first line. Cost: linear in the session's records.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from interlock_core.clock import rfc3339
from interlock_core.wire.gate import OrderIntent
from interlock_engine.ledger.file import decode
from interlock_engine.ledger.records import Finished, Record, Sent, Settled
from interlock_engine.store.postgres import CONNECT_TIMEOUT_S, Row

log = logging.getLogger(__name__)

EVERY_S = 0.5
RETRY_S = 2.0
CHUNK_BYTES = 1 << 20

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


class LedgerCopy:
    """Reads what the ledger has gained and inserts it, in order."""

    name = "postgres"

    def __init__(self, dsn: str, session_id: str, path: Path) -> None:
        self._dsn = dsn
        self._session_id = session_id
        self._path = path
        self._offset = 0
        self._intents: dict[str, OrderIntent] = {}
        self._rows: list[Row] = []
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._away = False
        self._busy = asyncio.Lock()
        self.refused = 0

    async def run(self) -> None:
        """Copy until cancelled; while the database is away, wait."""
        while True:
            taken = await self.copy()
            await asyncio.sleep(EVERY_S if taken else RETRY_S)

    async def drain(self, timeout_s: float) -> None:
        """Copy what is left, at most timeout_s; the ledger keeps what was not."""
        try:
            async with asyncio.timeout(timeout_s):
                taken = await self.copy()
                while not taken:
                    await asyncio.sleep(EVERY_S)
                    taken = await self.copy()
        except TimeoutError:
            log.warning("not all of the ledger is in PostgreSQL", extra={"path": str(self._path)})

    async def copy(self) -> bool:
        """Insert everything that the ledger holds by now; return whether the database took it."""
        try:
            async with self._busy:
                while self._rows or self._read():
                    while self._rows:
                        await self._insert(self._rows[0])
                        self._rows.pop(0)
        except (psycopg.Error, OSError) as error:
            if not self._away:
                log.warning("store is away", extra={"store": self.name, "why": str(error)})
            self._away = True
            await self.close()
            return False
        if self._away:
            log.info("store is back", extra={"store": self.name})
        self._away = False
        return True

    def _read(self) -> bool:
        """Take the next whole lines; return whether there were any."""
        with self._path.open("rb") as handle:
            handle.seek(self._offset)
            raw = handle.read(CHUNK_BYTES)
        whole = raw.rfind(b"\n") + 1
        self._offset += whole
        for record in decode(raw[:whole]):
            self._rows += self._rows_of(record)
        return whole > 0

    def _rows_of(self, record: Record) -> Iterator[Row]:
        match record:
            case Sent():
                self._intents[record.intent.intent_id] = record.intent
            case Settled():
                intent = self._intents.pop(record.result.intent_id)
                yield Row(ORDER, self._order(intent, record))
            case Finished():
                yield Row(TRIP, self._trip(record))

    async def _insert(self, row: Row) -> None:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
            )
        try:
            await self._connection.execute(row.statement, row.values)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            self.refused += 1
            log.error("row refused", extra={"store": self.name, "why": str(error)})  # noqa: TRY400

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    def _order(self, intent: OrderIntent, settled: Settled) -> Mapping[str, Any]:
        result = settled.result
        return {
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

    def _trip(self, trip: Finished) -> Mapping[str, Any]:
        return {
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
