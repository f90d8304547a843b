"""The stores of one session, each of them optional."""

from __future__ import annotations

import asyncio
from pathlib import Path

from interlock_core.clock import rfc3339
from interlock_engine.observe.kpi import SessionFacts
from interlock_engine.observe.scoreboard import Sink
from interlock_engine.store.ledger_copy import LedgerCopy
from interlock_engine.store.postgres import Postgres
from interlock_engine.store.redis import HotState


class Stores:
    """Starts, feeds and stops what is configured."""

    def __init__(
        self,
        facts: SessionFacts,
        *,
        ledger_path: Path,
        postgres_dsn: str | None,
        redis_url: str | None,
    ) -> None:
        self._facts = facts
        self.postgres = Postgres(postgres_dsn, facts.session_id) if postgres_dsn else None
        self._copy = (
            LedgerCopy(postgres_dsn, facts.session_id, ledger_path) if postgres_dsn else None
        )
        self.redis = HotState(redis_url, facts.session_id) if redis_url else None
        every = (self.postgres, self._copy, self.redis)
        self._all = [store for store in every if store is not None]

    def sinks(self) -> tuple[Sink, ...]:
        """Return the stores that the scoreboard tells."""
        return () if self.redis is None else (self.redis,)

    def start(self) -> list[asyncio.Task[None]]:
        """Start one writer a store."""
        return [asyncio.create_task(store.run()) for store in self._all]

    def begin(self, market_source: str) -> None:
        """Keep the session's row, or what changed in it."""
        if self.postgres is not None:
            facts = self._facts
            self.postgres.session(
                env=facts.environment,
                stage=facts.stage,
                universe=facts.universe,
                config_sha256=facts.config_sha256,
                market_source=market_source,
                started_at=rfc3339(facts.started_wall_ns),
            )

    def end(self, *, ended_wall_ns: int, exit_code: int, market_source: str) -> None:
        """Complete the session's row."""
        if self.postgres is not None:
            self.postgres.session_end(
                ended_at=rfc3339(ended_wall_ns), exit_code=exit_code, market_source=market_source
            )

    async def drain(self, timeout_s: float) -> None:
        """Write what is queued, at most timeout_s."""
        await asyncio.gather(*(store.drain(timeout_s) for store in self._all))

    async def close(self) -> None:
        """Close every connection."""
        for store in self._all:
            await store.close()

    def dropped(self) -> dict[str, int]:
        """Return how many records were not kept, by store."""
        queues = (self.postgres, self.redis)
        return {store.name: store.dropped for store in queues if store is not None}
