"""The read-only health port: four questions and the metrics. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from interlock_core.wire import health as paths
from interlock_gatekeeper.health import OK, UNAVAILABLE, Health
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.server import document, message

MAX_NONCE_CHARS = 64


class HealthApi:
    """Handlers of the health port."""

    def __init__(self, health: Callable[[], Health], metrics: Metrics) -> None:
        self._health = health
        self._metrics = metrics

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route(paths.PATH_LIVE, self.live),
                Route(paths.PATH_READY, self.ready),
                Route(paths.PATH_ARMED, self.armed),
                Route(paths.PATH_HEALTH, self.health),
                Route("/metrics", self.metrics),
            ]
        )

    async def live(self, _request: Request) -> Response:
        """Answer 200 while the loop turns and the journal works, in every state."""
        failed = self._health().state.journal_failed
        body = {"live": not failed, "reasons": ["AUDIT: the journal failed"] if failed else []}
        return document(body, UNAVAILABLE if failed else OK)

    async def ready(self, _request: Request) -> Response:
        """Answer 200 where arming (or paper trading) could begin now."""
        status, body = self._health().ready_answer()
        return document(body, status)

    async def armed(self, request: Request) -> Response:
        """Answer 200 only where the engine may trade; echo the nonce that was asked with."""
        nonce = request.query_params.get("nonce", "")[:MAX_NONCE_CHARS]
        status, body = self._health().armed_answer(nonce)
        return message(body, status)

    async def health(self, _request: Request) -> Response:
        """Answer 200 always, with the full report."""
        return document(self._health().report())

    async def metrics(self, _request: Request) -> Response:
        """Return the metrics in Prometheus' text format."""
        self._metrics.armed.set(1 if self._health().armed else 0)
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)
