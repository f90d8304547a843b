"""The terminal view: one screen that says whether it may trade, on what market, and how it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from interlock_operator.observe.engine_view import EngineView, parse
from interlock_operator.observe.feed import Sight
from interlock_operator.observe.kpis import rows
from interlock_operator.observe.market_label import market_label
from interlock_operator.observe.summary import kpi_table

LAMPS = {
    "PAPER": "bold white on blue",
    "ARMED": "bold black on yellow",
    "LIVE": "bold white on red",
    "DISARMED": "bold white on grey37",
    "EXPIRED": "bold white on grey37",
    "BOOT": "bold white on grey37",
    "KILLED": "bold red on black",
}
UNKNOWN_LAMP = "bold black on bright_yellow"
SHOWN_TRIPS = 6
SHOWN_POSITIONS = 8


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the view shows beside the services' own words."""

    title: str
    left: str
    notes: Sequence[str]
    restarts: Mapping[str, int]


def render(sight: Sight, around: Surroundings) -> RenderableType:
    """Return the whole screen."""
    engine = parse(sight.engine)
    parts: list[RenderableType] = [_lamp(sight.gatekeeper, engine), _market(sight, engine)]
    if engine is not None:
        parts.append(
            Columns([kpi_table(rows(engine.kpis), "ten KPIs"), _trips(engine), _positions(engine)])
        )
    parts.append(_foot(around))
    return Panel(Group(*parts), title=f"Interlock  {around.title}", title_align="left")


def _lamp(gate: Mapping[str, Any] | None, engine: EngineView | None) -> Text:
    state = "NO ANSWER" if gate is None else str(gate.get("state", "UNKNOWN"))
    text = Text(f" {state} ", style=LAMPS.get(state, UNKNOWN_LAMP))
    reasons = [] if gate is None else list(map(str, gate.get("reasons") or ()))
    if gate is None:
        reasons = ["the gatekeeper does not answer: nothing can be ordered"]
    if gate is not None and not gate.get("armed"):
        text.append("  not armed", style="yellow")
    text.append(f"  {'; '.join(reasons)}" if reasons else "")
    if gate is not None:
        text.append(f"  epoch {gate.get('epoch')}, limit {gate.get('n_usd')} USD", style="dim")
    return text.append_text(_engine_line(engine))


def _engine_line(engine: EngineView | None) -> Text:
    if engine is None:
        return Text("\nengine: no answer", style="yellow")
    style = "green" if engine.state == "trading" else "yellow"
    line = Text("\nengine: ").append(engine.state.replace("_", " "), style=style)
    line.append(f"  {engine.reason}" if engine.reason else "")
    if engine.guards:
        held = ", ".join(f"{where} {guard}" for where, guard in engine.guards.items())
        line.append(f"\nguards that hold: {held}", style="dim")
    if engine.residuals:
        line.append(f"\nRESIDUALS: {engine.residuals}, unhedged", style="bold red")
    return line


def _market(sight: Sight, engine: EngineView | None) -> Text:
    said = sight.market or {}
    source = engine.source if engine and engine.source else said.get("source")
    regime = engine.regime if engine and engine.source else said.get("regime")
    style = "bold yellow" if regime == "lively" else ""
    text = Text("market: ").append(market_label(source, regime), style=style)
    why = engine.fallback_reason if engine else said.get("fallback_reason")
    return text.append(f"\nwhy this market: {why}", style="dim") if why else text


def _positions(engine: EngineView) -> Table:
    table = Table(title=f"open positions: {len(engine.positions)}", title_justify="left")
    return _fill(
        table,
        engine.positions[:SHOWN_POSITIONS],
        (("asset", "asset"), ("USD", "notional_usd"), ("net bps", "net_bps"), ("s", "age_s")),
    )


def _trips(engine: EngineView) -> Table:
    table = Table(title="last round trips", title_justify="left")
    newest_first = tuple(reversed(engine.trips))[:SHOWN_TRIPS]
    return _fill(
        table,
        newest_first,
        (("asset", "asset"), ("PnL USD", "pnl_usd"), ("why", "exit_reason"), ("s", "seconds")),
    )


def _fill(
    table: Table, lines: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, str]]
) -> Table:
    for heading, _ in columns:
        table.add_column(heading, no_wrap=True)
    for line in lines:
        table.add_row(*(_cell(line.get(key)) for _, key in columns))
    return table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return "-" if value is None else str(value)


def _foot(around: Surroundings) -> Text:
    restarted = ", ".join(f"{name} {count}" for name, count in around.restarts.items())
    text = Text(around.left)
    text.append(f"  restarts: {restarted}" if restarted else "", style="yellow")
    for note in around.notes:
        text.append(f"\n{note}", style="dim")
    return text
