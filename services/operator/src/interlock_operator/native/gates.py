"""Health gates: is a service of the stack ready? A gate answers; it never raises."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from interlock_operator.native.supervisor import Gate

TIMEOUT_S = 1.0


def http_ok(client: httpx.AsyncClient, url: str) -> Gate:
    """Return a gate that is open while a GET of url answers 200."""

    async def gate() -> bool:
        try:
            answer = await client.get(url, timeout=TIMEOUT_S)
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    return gate


def postgres_ok(check: Callable[[], None]) -> Gate:
    """Return a gate that is open when check raises no psycopg.Error."""

    async def gate() -> bool:
        try:
            check()
        except psycopg.Error:
            return False
        return True

    return gate


def redis_ok(url: str) -> Gate:
    """Return a gate that is open while a Redis or Valkey server answers a ping."""

    async def gate() -> bool:
        # By default it asks three times with pauses; the supervisor asks again by itself.
        client = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), retries=0)
        )
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    return gate
