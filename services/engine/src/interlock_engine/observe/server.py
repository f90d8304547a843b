"""The engine's HTTP port: health, metrics, and the state that the terminal view shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

OK, UNAVAILABLE = 200, 503
STOP_TIMEOUT_S = 0.1


class Server:
    """Serves GET requests only; nothing here changes anything."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        registry: CollectorRegistry,
        state: Callable[[], dict[str, Any]],
        not_ready: Callable[[], list[str]],
    ) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        self._state = state
        self._not_ready = not_ready
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen, or raise OSError."""
        app = web.Application()
        app.router.add_get("/health/live", self.live)
        app.router.add_get("/health/ready", self.ready)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/state", self.state)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_TIMEOUT_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def live(self, _request: web.Request) -> web.Response:
        """Answer 200 while the loop turns."""
        return _json({"live": True}, OK)

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 200 while market data flows from both venues, else 503 with the reasons."""
        reasons = self._not_ready()
        return _json({"ready": not reasons, "reasons": reasons}, UNAVAILABLE if reasons else OK)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Return the metrics in Prometheus' text format."""
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def state(self, _request: web.Request) -> web.Response:
        """Return the state document (`observe.view.state_document` says what is in it)."""
        return _json(self._state(), OK)


def _json(content: dict[str, Any], status: int) -> web.Response:
    body = json.dumps(content, allow_nan=False).encode()
    return web.Response(body=body, status=status, content_type="application/json")
