"""The console: everything to see, and one thing to do, KILL. It can never arm or reset."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import cached_property
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interlock_core.wire.strict import SchemaError
from interlock_gatekeeper.console_page import render_fragment, render_page
from interlock_gatekeeper.server import read_body, refuse
from interlock_gatekeeper.view import View

OK, SEE_OTHER, FORBIDDEN, TOO_LARGE, UNAVAILABLE = 200, 303, 403, 413, 503
MAX_STREAMS = 8
DRAW_EVERY_S = 0.1
EVENT_EVERY_S = 1.0
RECONNECT_MS = 1_000

TOO_OLD = "That page was too old, so nothing was killed. Press KILL again, here."

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Picture:
    """One view, and its fragment, drawn once and only where someone looks."""

    def __init__(self, view: View) -> None:
        self.view = view

    @cached_property
    def fragment(self) -> str:
        """Return the main section."""
        return render_fragment(self.view)

    @property
    def mark(self) -> tuple[object, ...]:
        """Return what must be shown at once when it changes."""
        view = self.view
        return view.state, view.cause, view.hold, view.armed, view.halt_phase


class Easel:
    """Draws at most ten pictures a second in all, however many people look."""

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view
        self._drawn_at_s = -DRAW_EVERY_S
        self._next: asyncio.Task[Picture] | None = None

    async def fresh(self) -> Picture:
        """Return a picture that is not older than this call; those who wait share one."""
        if self._next is None:
            self._next = asyncio.create_task(self._draw())
        return await asyncio.shield(self._next)

    async def _draw(self) -> Picture:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._drawn_at_s + DRAW_EVERY_S - loop.time())
        self._drawn_at_s, self._next = loop.time(), None
        return Picture(self._view())


class Events:
    """GET /events: the fragment every second, and at once when the state changes."""

    def __init__(self, easel: Easel) -> None:
        self._easel = easel
        self._open = 0
        self._closed = False

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closed = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream, or refuse the ninth."""
        if self._open >= MAX_STREAMS:
            refusal = refuse(UNAVAILABLE, "CONSOLE_STREAMS", f"{MAX_STREAMS} streams are open")
            await refusal(scope, receive, send)
            return
        self._open += 1
        try:
            async with aclosing(self._events()) as events:
                stream = StreamingResponse(events, media_type="text/event-stream")
                await stream(scope, receive, send)
        finally:
            self._open -= 1

    async def _events(self) -> AsyncGenerator[str, None]:
        loop = asyncio.get_running_loop()
        shown: tuple[object, ...] | None = None
        due_s = loop.time()
        yield f"retry: {RECONNECT_MS}\n\n"
        while not self._closed:
            picture = await self._easel.fresh()
            if picture.mark == shown and loop.time() < due_s:
                continue
            shown, due_s = picture.mark, loop.time() + EVENT_EVERY_S
            yield "".join(f"data: {line}\n" for line in picture.fragment.split("\n")) + "\n"


class Console:
    """The console port: GET /, GET /events, POST /kill, and nothing else."""

    def __init__(
        self, kill: Callable[[str, str], Awaitable[None]], view: Callable[[], View]
    ) -> None:
        self._kill = kill
        self._easel = Easel(view)
        self._events = Events(self._easel)
        # Low value: it keeps other web pages from pressing the button, no more.
        self._token = secrets.token_urlsafe(16)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        app = Starlette(
            routes=[
                _only("GET", "/", self.page),
                _only("GET", "/events", self._events),
                _only("POST", "/kill", self.kill),
            ],
            middleware=[Middleware(Sealed)],
            exception_handlers={SchemaError: _too_large},
        )
        app.router.redirect_slashes = False
        return app

    def close(self) -> None:
        """End every event stream."""
        self._events.close()

    async def page(self, _request: Request) -> Response:
        """Return the page."""
        return await self._page()

    async def kill(self, request: Request) -> Response:
        """Set the latch where the form carries this page's token."""
        fields = parse_qs((await read_body(request)).decode("ascii", "replace"))
        token = fields.get("token", [""])[0]
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            # A page from before a restart must not be the end of it: this one kills with one click.
            return await self._page(FORBIDDEN, TOO_OLD)
        await self._kill("CONSOLE", "console")
        return RedirectResponse("/", SEE_OTHER)

    async def _page(self, status: int = OK, notice: str | None = None) -> Response:
        nonce = secrets.token_urlsafe(16)
        picture = await self._easel.fresh()
        page = render_page(
            picture.view, picture.fragment, nonce=nonce, token=self._token, notice=notice
        )
        return HTMLResponse(page, status, headers={"Content-Security-Policy": _policy(nonce)})


class Sealed:
    """Puts the protective headers on every answer, refusals included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sealed)


def _policy(nonce: str) -> str:
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


def _only(method: str, path: str, endpoint: Callable[..., object]) -> Route:
    """Return a route for exactly one method: Starlette would add HEAD to GET."""
    route = Route(path, endpoint, methods=[method])
    route.methods = {method}
    return route


async def _too_large(_request: Request, error: Exception) -> Response:
    return refuse(TOO_LARGE, "BAD_SCHEMA", str(error))
