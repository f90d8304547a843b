"""What every store shares: a bounded queue, one task, and a count of what was not kept."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

CAPACITY = 2_000
RETRY_S = 2.0

Item = TypeVar("Item")


class StoreError(Exception):
    """The store does not answer: the record is tried again on a new connection."""


class Outbox(ABC, Generic[Item]):
    """Writes items in order; while the store is away the newest are dropped when it is full."""

    name: str

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Item] = asyncio.Queue(CAPACITY)
        self._away = False
        self.dropped = 0

    def put(self, item: Item) -> None:
        """Keep an item for writing, or count it as dropped; never waits."""
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            self.dropped += 1

    @abstractmethod
    async def write(self, item: Item) -> None:
        """Write one item, connecting where needed; raise StoreError where that fails."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connection."""

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            item = await self._queue.get()
            while True:
                if await self._written(item):
                    break
                await asyncio.sleep(RETRY_S)
            self._queue.task_done()

    async def _written(self, item: Item) -> bool:
        try:
            await self.write(item)
        except StoreError as error:
            if not self._away:
                log.warning("store is away", extra={"store": self.name, "why": str(error)})
            self._away = True
            await self.close()
            return False
        if self._away:
            log.info("store is back", extra={"store": self.name, "dropped": self.dropped})
        self._away = False
        return True

    async def drain(self, timeout_s: float) -> None:
        """Wait until everything is written, at most timeout_s; count what is left as dropped."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._queue.join()
        except TimeoutError:
            self.dropped += self._queue.qsize()
            log.warning("records were not kept", extra={"store": self.name, "count": self.dropped})
