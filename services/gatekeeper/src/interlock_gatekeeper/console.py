"""The console: everything to see, and one thing to do, KILL. It can never arm or reset."""

from __future__ import annotations

import hmac
import html
import secrets
from collections.abc import Callable
from string import Template
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from interlock_gatekeeper.gateway import Gateway
from interlock_gatekeeper.health import Health
from interlock_gatekeeper.server import read_body, refuse

FORBIDDEN, SEE_OTHER = 403, 303
LAMPS = {"PAPER": "#2f6fdb", "LIVE": "#c0392b", "ARMED": "#d68910", "KILLED": "#111111"}
IDLE_LAMP = "#566573"

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Interlock: $state</title>
<meta http-equiv="refresh" content="2">
<style>
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:46rem;color:#1c2833}
.lamp{background:$lamp;color:#fff;padding:1rem 1.5rem;border-radius:.5rem;font-size:1.6rem}
table{border-collapse:collapse;margin:1.5rem 0;width:100%}
td{border-bottom:1px solid #d5d8dc;padding:.35rem .5rem;vertical-align:top}
td:first-child{color:#566573;width:14rem}
button{background:#c0392b;color:#fff;border:0;border-radius:.5rem;padding:.8rem 2.5rem}
</style></head><body>
<div class="lamp">$state</div>
<table>$rows</table>
<form method="post" action="/kill"><input type="hidden" name="token" value="$token">
<button>KILL</button></form>
<p>KILL stops every new order at once and stays until <code>interlock reset</code>.
Nothing on this page can arm.</p>
</body></html>""")


class Console:
    """Handlers of the console port."""

    def __init__(self, gateway: Gateway, health: Callable[[], Health]) -> None:
        self._gateway = gateway
        self._health = health
        # Low value: it keeps other web pages from pressing the button, no more.
        self._token = secrets.token_urlsafe(16)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self.page, methods=["GET"]),
                Route("/kill", self.kill, methods=["POST"]),
            ]
        )

    async def page(self, _request: Request) -> Response:
        """Return the page."""
        report = self._health().report()
        state = str(report["state"])
        rows = "".join(
            f"<tr><td>{html.escape(key)}</td><td>{html.escape(_shown(value))}</td></tr>"
            for key, value in report.items()
            if key not in ("nonce", "state")
        )
        page = PAGE.substitute(
            state=html.escape(state),
            lamp=LAMPS.get(state, IDLE_LAMP),
            rows=rows,
            token=self._token,
        )
        headers = {"Cache-Control": "no-store", "X-Frame-Options": "DENY"}
        return Response(page, media_type="text/html", headers=headers)

    async def kill(self, request: Request) -> Response:
        """Set the latch where the form carries this page's token."""
        fields = parse_qs((await read_body(request)).decode("ascii", "replace"))
        token = fields.get("token", [""])[0]
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return refuse(FORBIDDEN, "CONSOLE_TOKEN", "open the console page and press KILL there")
        await self._gateway.kill("CONSOLE", "console")
        return RedirectResponse("/", SEE_OTHER)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
