"""`interlock status`: one look at a running stack, or the view until Ctrl+C."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx
from rich.live import Live

from interlock_operator import gate_commands
from interlock_operator.errors import OperatorError
from interlock_operator.observe.feed import Sight, look
from interlock_operator.observe.presenter import LOOK_EVERY_S
from interlock_operator.observe.summary import make_console
from interlock_operator.observe.view import Surroundings, render


def look_once(gate: gate_commands.Gate, report: dict[str, Any]) -> Sight:
    """Return one look at the stack; its gatekeeper's report was asked for already."""
    if gate.stack is None:
        # Compose publishes no port of the engine: the console and Grafana show it.
        return Sight(engine=None, gatekeeper=report, market=None)
    sight = asyncio.run(_look(gate))
    return Sight(sight.engine, report, sight.market)


def watch(gate: gate_commands.Gate) -> None:
    """Show the stack until Ctrl+C or until it ends."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_watch(gate))


async def _look(gate: gate_commands.Gate) -> Sight:
    if gate.stack is None:
        _, report = await asyncio.to_thread(gate_commands.ask_state, gate)
        return Sight(engine=None, gatekeeper=report, market=None)
    async with httpx.AsyncClient(trust_env=False) as client:
        return await look(client, gate.stack)


async def _watch(gate: gate_commands.Gate) -> None:
    title = Path(gate.stack.session_dir).name if gate.stack else "compose"
    around = Surroundings(title, "Ctrl+C leaves this view; the stack goes on", (), {})
    with Live(console=make_console(), auto_refresh=False, redirect_stdout=False) as live:
        while True:
            sight = await _look(gate)
            if sight.engine is None and sight.gatekeeper is None:
                raise OperatorError("the stack does not answer any more")
            live.update(render(sight, around), refresh=True)
            await asyncio.sleep(LOOK_EVERY_S)
