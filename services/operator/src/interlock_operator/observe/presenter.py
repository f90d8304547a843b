"""Shows a run while it goes: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import httpx
from rich.console import Console
from rich.live import Live

from interlock_operator.observe.engine_view import EngineView, parse
from interlock_operator.observe.feed import Sight, look
from interlock_operator.observe.market_label import market_label
from interlock_operator.observe.summary import make_console, print_summary
from interlock_operator.observe.view import Surroundings, render
from interlock_operator.stack_file import Stack

LINE_EVERY_S = 10.0
LOOK_EVERY_S = 0.5
FIRST_LOOK_EVERY_S = 0.1
KEPT_NOTES = 5

SinceStart = Callable[[], float]
Restarts = Callable[[], Mapping[str, int]]


class Presenter(Protocol):
    """What `interlock up` tells of its run."""

    def say(self, line: str) -> None:
        """Tell one thing that happened."""
        ...

    async def run(
        self,
        client: httpx.AsyncClient,
        stack: Stack,
        *,
        restarts: Restarts,
        since_start_s: SinceStart,
    ) -> None:
        """Show the running stack until cancelled."""
        ...

    def summary(self, session_dir: Path) -> None:
        """Show how it ended."""
        ...


def make_presenter(*, view: bool, duration_s: int | None) -> Presenter:
    """Return the live view, or plain lines."""
    console = make_console()
    return ViewPresenter(console, duration_s) if view else LinePresenter(console, duration_s)


class LinePresenter:
    """A line for everything that happens, and one every ten seconds."""

    def __init__(self, console: Console, duration_s: int | None) -> None:
        self._console = console
        self._duration_s = duration_s

    def say(self, line: str) -> None:
        """Print one line."""
        self._console.print(line, markup=False, soft_wrap=True)

    async def run(
        self,
        client: httpx.AsyncClient,
        stack: Stack,
        *,
        restarts: Restarts,
        since_start_s: SinceStart,
    ) -> None:
        """Print a line of progress every ten seconds until cancelled."""
        await _say_first_message(client, stack, self.say, since_start_s)
        while True:
            await asyncio.sleep(LINE_EVERY_S)
            sight = await look(client, stack)
            self.say(progress_line(sight, restarts(), left(sight, self._duration_s)))

    def summary(self, session_dir: Path) -> None:
        """Print the KPI table."""
        print_summary(session_dir / "kpi.json", self._console)


class ViewPresenter:
    """One screen, redrawn twice a second."""

    def __init__(self, console: Console, duration_s: int | None) -> None:
        self._console = console
        self._duration_s = duration_s
        self._notes: deque[str] = deque(maxlen=KEPT_NOTES)
        self._shown = False

    def say(self, line: str) -> None:
        """Print one line, or show it at the foot of the screen."""
        self._notes.append(line)
        if not self._shown:
            self._console.print(line, markup=False, soft_wrap=True)

    async def run(
        self,
        client: httpx.AsyncClient,
        stack: Stack,
        *,
        restarts: Restarts,
        since_start_s: SinceStart,
    ) -> None:
        """Draw the screen until cancelled."""
        self._notes.clear()
        title = Path(stack.session_dir).name
        # No thread of rich's: the supervisor must fork without one.
        with Live(console=self._console, auto_refresh=False, redirect_stdout=False) as live:
            self._shown = True
            first = asyncio.create_task(_say_first_message(client, stack, self.say, since_start_s))
            try:
                while True:
                    sight = await look(client, stack)
                    foot = f"{left(sight, self._duration_s)}  console {stack.console_url}"
                    around = Surroundings(title, foot, tuple(self._notes), restarts())
                    live.update(render(sight, around), refresh=True)
                    await asyncio.sleep(LOOK_EVERY_S)
            finally:
                self._shown = False
                first.cancel()

    def summary(self, session_dir: Path) -> None:
        """Print the KPI table."""
        print_summary(session_dir / "kpi.json", self._console)


async def _say_first_message(
    client: httpx.AsyncClient, stack: Stack, say: Callable[[str], None], since_start_s: SinceStart
) -> None:
    while True:
        engine = parse((await look(client, stack)).engine)
        if engine is not None and engine.has_market_data:
            say(f"first market-data message {since_start_s():.1f} s after the start")
            say(f"market: {market_label(engine.source, engine.regime)}")
            return
        await asyncio.sleep(FIRST_LOOK_EVERY_S)


def left(sight: Sight, duration_s: int | None) -> str:
    """Return how long the session still runs, in words."""
    if duration_s is None:
        return "until Ctrl+C"
    engine = parse(sight.engine)
    return f"{max(duration_s - (engine.uptime_s if engine else 0.0), 0):.0f} s left"


def progress_line(sight: Sight, restarts: Mapping[str, int], time_left: str) -> str:
    """Return the state of the stack in one line."""
    engine, gate = parse(sight.engine), sight.gatekeeper
    state = "NO ANSWER" if gate is None else str(gate.get("state"))
    parts = [state, *_engine_parts(engine), time_left]
    parts += [f"{name} restarted {count}x" for name, count in restarts.items()]
    return " | ".join(parts)


def _engine_parts(engine: EngineView | None) -> list[str]:
    if engine is None:
        return ["engine does not answer"]
    kpis = engine.kpis
    reason = f" ({engine.reason})" if engine.reason and engine.state != "trading" else ""
    market = f" on the {engine.regime or engine.source} market" if engine.source else ""
    return [
        f"{engine.state.replace('_', ' ')}{reason}",
        f"PnL {kpis.get('total_pnl_usd', 0.0):+,.2f} USD{market}",
        f"{kpis.get('round_trips', 0)} round trips, {kpis.get('win_rate_pct', 0.0):.0f} % won",
        f"loop p99 {kpis.get('loop_latency_p99_ms', 0.0):.2f} ms",
        f"CPU {kpis.get('cpu_percent', 0.0):.0f} %, {kpis.get('memory_mb', 0.0):.0f} MB",
        f"{len(engine.positions)} open",
    ]
