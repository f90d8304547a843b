"""The end of a session in one table, from its KPI JSON."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlock_operator.observe.kpis import Row, from_kpi_json, rows
from interlock_operator.observe.market_label import market_label

LOG_WIDTH = 120


def make_console() -> Console:
    """Return the console that everything is printed on; wide where it is not a terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=LOG_WIDTH, highlight=False)


def kpi_table(made: list[Row], title: str) -> Table:
    """Return KPI rows as a table, each value in the color of its grade."""
    table = Table(title=title, title_justify="left")
    for heading in ("KPI", "value", "target"):
        table.add_column(heading, justify="left" if heading == "KPI" else "right", no_wrap=True)
    for row in made:
        table.add_row(row.label, Text(row.value, style=row.grade.value), row.target)
    return table


def print_summary(kpi_path: Path, console: Console) -> None:
    """Print the session's KPIs and where they lie; say so where there are none."""
    try:
        kpi = json.loads(kpi_path.read_text("utf-8"))
    except FileNotFoundError:
        console.print(f"no KPI JSON: the engine had not started ({kpi_path.parent})")
        return
    label = market_label(kpi["market_source"], kpi["market_regime"])
    title = f"session {kpi['session_id']}, {kpi['duration_seconds']:.0f} s, {kpi['environment']}"
    console.print(kpi_table(rows(from_kpi_json(kpi)), title))
    console.print(f"market: {label}", markup=False)
    if kpi["market_fallback_reason"]:
        console.print(f"why this market: {kpi['market_fallback_reason']}", markup=False)
    if kpi["residuals"]:
        console.print(f"residuals: {len(kpi['residuals'])}, see the file", style="bold red")
    if not kpi["final"]:
        console.print("the engine was cut short: this is its last checkpoint", style="bold red")
    console.print(str(kpi_path), markup=False, soft_wrap=True)
