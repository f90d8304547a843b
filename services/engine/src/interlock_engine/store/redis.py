"""Hot state in Redis: open positions, for a person after a crash, and a capped event stream."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from interlock_core.clock import rfc3339
from interlock_core.wire.gate import OrderResult
from interlock_engine.account.leg import LEGS
from interlock_engine.account.position import Position
from interlock_engine.account.round_trip import RoundTrip
from interlock_engine.execute.order import Order
from interlock_engine.store.outbox import Outbox, StoreError

EVENTS = "interlock:events"
MAX_EVENTS = 10_000
TIMEOUT_S = 0.5

Command = Callable[["Redis"], Awaitable[Any]]


class HotState(Outbox[Command]):
    """Keeps open positions and events; implements the scoreboard's Sink."""

    name = "redis"

    def __init__(self, url: str, session_id: str) -> None:
        super().__init__()
        self._positions = f"interlock:positions:{session_id}"
        self._session_id = session_id
        self._client = Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )

    async def write(self, item: Command) -> None:
        """Run one command."""
        try:
            await item(self._client)
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreError(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Close every connection; the next command opens one."""
        await self._client.aclose()

    def event(self, name: str, fields: dict[str, object]) -> None:
        """Append one event to the capped stream."""
        entry = {
            "event": name,
            "session_id": self._session_id,
            "data": json.dumps(fields, default=str),
        }
        self.put(lambda client: _append(client, entry))

    def position(self, position: Position) -> None:
        """Put an open position into the hash of this session."""
        field, value = str(position.number), json.dumps(_plain(position))
        key = self._positions
        self.put(lambda client: cast("Awaitable[Any]", client.hset(key, field, value)))

    def gone(self, position: Position) -> None:
        """Remove a position."""
        self._remove(position.number)

    def trip(self, trip: RoundTrip) -> None:
        """Remove the position that a finished round trip was."""
        self._remove(trip.number)

    def _remove(self, number: int) -> None:
        key = self._positions
        self.put(lambda client: cast("Awaitable[Any]", client.hdel(key, str(number))))

    def order(self, order: Order, result: OrderResult) -> None:
        """Append the outcome to the event stream."""
        fields: dict[str, object] = {
            "intent_id": result.intent_id,
            "instrument": order.instrument.key,
            "outcome": result.outcome.value,
            "filled": str(result.filled_quantity),
        }
        self.event("order", fields)


async def _append(client: Redis, entry: Mapping[str, str]) -> None:
    await client.xadd(EVENTS, cast("Any", dict(entry)), maxlen=MAX_EVENTS, approximate=True)


def _plain(position: Position) -> dict[str, Any]:
    return {
        "asset": position.route.asset,
        "direction": position.direction.value,
        "opened_at": rfc3339(position.opened_wall_ns),
        "held": {position.instrument(leg).key: str(position.held[leg]) for leg in LEGS},
    }
