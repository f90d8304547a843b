"""What the running services say of themselves, asked over their read-only ports."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from interlock_operator.stack_file import Stack

TIMEOUT_S = 0.8


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at the stack; None where a service did not answer."""

    engine: dict[str, Any] | None
    gatekeeper: dict[str, Any] | None
    market: dict[str, Any] | None


async def look(client: httpx.AsyncClient, stack: Stack) -> Sight:
    """Ask engine, gatekeeper and simulated venues at once."""
    engine, gatekeeper, market = await asyncio.gather(
        _document(client, f"{stack.engine_url}/state"),
        _document(client, f"{stack.gatekeeper_url}/health"),
        _document(client, f"{stack.simvenues_url}/admin/market"),
    )
    return Sight(engine, gatekeeper, market)


async def _document(client: httpx.AsyncClient, url: str) -> dict[str, Any] | None:
    try:
        answer = await client.get(url, timeout=TIMEOUT_S)
        body = answer.json()
    except (httpx.HTTPError, ValueError):
        return None
    return body if answer.status_code == httpx.codes.OK and isinstance(body, dict) else None
