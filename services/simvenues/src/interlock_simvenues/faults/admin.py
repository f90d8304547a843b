"""The door for tests and operators: GET, POST and DELETE /admin/faults."""

from __future__ import annotations

import json

from aiohttp import web

from interlock_core.clock import Clock
from interlock_simvenues.faults.faults import Faults
from interlock_simvenues.faults.rule import RuleError
from interlock_simvenues.faults.scenario import parse_body


class FaultAdmin:
    """Shows, adds and removes rules while the simulator runs."""

    def __init__(self, faults: Faults, clock: Clock) -> None:
        self._faults = faults
        self._clock = clock

    def add_routes(self, app: web.Application) -> None:
        """Add every path."""
        app.router.add_get("/admin/faults", self._show)
        app.router.add_post("/admin/faults", self._add)
        app.router.add_delete("/admin/faults", self._clear)
        app.router.add_delete("/admin/faults/{id}", self._remove)

    async def _show(self, _request: web.Request) -> web.Response:
        faults = self._faults
        return web.json_response(
            {
                "seed": faults.seed,
                "rules": faults.rows(),
                "log": [injected.row() for injected in faults.log],
            }
        )

    async def _add(self, request: web.Request) -> web.Response:
        try:
            rules = parse_body(json.loads(await request.text()))
            ids = self._faults.add(rules, self._clock.wall_ns())
        except json.JSONDecodeError as error:
            return web.json_response({"errors": [f"body: expected JSON: {error}"]}, status=400)
        except RuleError as error:
            return web.json_response({"errors": error.problems}, status=400)
        return web.json_response({"ids": ids}, status=201)

    async def _clear(self, _request: web.Request) -> web.Response:
        return web.json_response({"removed": self._faults.clear()})

    async def _remove(self, request: web.Request) -> web.Response:
        rule_id = request.match_info["id"]
        if not self._faults.remove(rule_id):
            return web.json_response({"errors": [f"id: no rule {rule_id!r}"]}, status=404)
        return web.json_response({"removed": 1})
