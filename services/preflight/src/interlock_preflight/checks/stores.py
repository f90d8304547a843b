"""Do PostgreSQL and Redis answer, and is the schema there?"""

from __future__ import annotations

import secrets

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from interlock_core.wire.preflight import CheckReport
from interlock_preflight.context import TIMEOUT_S, Context, Findings

# The newest migration that this release's services rely on.
SCHEMA_NUMBER = 3
KEY_LIFE_S = 10
FIND = Findings("stores")


def run(context: Context) -> list[CheckReport]:
    """Check one round trip to each store, and that the migrations are at head."""
    return [_postgres(context.settings.postgres_dsn), _redis(context.settings.redis_url)]


def _postgres(dsn: str | None) -> CheckReport:
    if dsn is None:
        return FIND.doubt(
            "postgres", "POSTGRES_DSN is not set: not looked at", "set it to keep a record"
        )
    try:
        with psycopg.connect(dsn, connect_timeout=int(TIMEOUT_S), autocommit=True) as connection:
            row = connection.execute("SELECT max(number) FROM schema_migrations").fetchone()
    except psycopg.errors.UndefinedTable:
        return FIND.bad("postgres", "no table schema_migrations", "run interlock-migrate")
    except psycopg.Error as error:
        first = (str(error).strip().splitlines() or ["no message"])[0]
        return FIND.bad("postgres", first, "start PostgreSQL, or mend POSTGRES_DSN")
    number = row[0] if row and row[0] is not None else 0
    if number < SCHEMA_NUMBER:
        return FIND.bad(
            "postgres", f"schema at {number}, expected {SCHEMA_NUMBER}", "run interlock-migrate"
        )
    return FIND.good("postgres", f"answers, schema at {number}")


def _redis(url: str | None) -> CheckReport:
    if url is None:
        return FIND.doubt("redis", "REDIS_URL is not set: not looked at", "set it for a warm start")
    key, value = f"interlock:preflight:{secrets.token_hex(4)}", secrets.token_hex(8)
    try:
        client = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), retries=0)
        )
        client.set(key, value, ex=KEY_LIFE_S)
        returned = client.getdel(key)
        client.close()
    except (redis.RedisError, ValueError) as error:
        return FIND.bad("redis", f"{type(error).__name__}: {error}", "start it, or mend REDIS_URL")
    if returned != value.encode("ascii"):
        return FIND.bad("redis", "a value came back changed", "look for another writer")
    return FIND.good("redis", "a value went in and came back")
