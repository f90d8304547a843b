"""The ten KPIs with their targets: from the running engine's state or from the KPI JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

S_PER_HOUR = 3600


class Grade(StrEnum):
    """How a KPI stands against its target; the value is its color."""

    MET = "green"
    NEAR = "yellow"
    MISSED = "red"
    NO_DATA = "dim"


@dataclass(frozen=True, slots=True)
class Row:
    """One KPI as people read it."""

    label: str
    value: str
    target: str
    grade: Grade


def from_kpi_json(kpi: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ten KPIs of a KPI JSON under the names of the engine's state."""
    hours = max(kpi["duration_seconds"], 1e-9) / S_PER_HOUR
    return {
        "total_pnl_usd": kpi["total_pnl_usd"],
        "win_rate_pct": kpi["win_rate_pct"],
        "round_trips": kpi["round_trips_completed"],
        "trades_per_hour": (kpi["entry_trades"] + kpi["exit_trades"]) / hours,
        "loop_latency_mean_ms": kpi["avg_loop_latency_ms"],
        "loop_latency_p99_ms": kpi["loop_latency_p99_ms"],
        "memory_mb": kpi["avg_memory_mb"],
        "cpu_percent": kpi["avg_cpu_percent"],
        "guard_triggers_per_hour": kpi["guard_triggers"] / hours,
        "alerts": kpi["alerts"],
    }


def rows(kpis: Mapping[str, Any]) -> list[Row]:
    """Return the ten rows in their fixed order; what is missing shows as `-`."""
    trips = kpis.get("round_trips") or 0
    alerts = kpis.get("alerts") or {}
    said = " ".join(f"{name} {count}" for name, count in sorted(alerts.items())) or "-"
    pnl, win_rate = kpis.get("total_pnl_usd"), kpis.get("win_rate_pct")
    trades, guards = kpis.get("trades_per_hour"), kpis.get("guard_triggers_per_hour")
    return [
        Row("total PnL", _show(pnl, "+,.2f", "USD"), "> 0", _above(pnl, 0, trips)),
        Row("win rate", _show(win_rate, ".1f", "%"), "> 50 %", _above(win_rate, 50, trips)),
        Row("round trips", str(trips), "rising", Grade.MET if trips else Grade.NO_DATA),
        Row("trades per hour", _show(trades, ",.0f", ""), ">= 10", _at_least(trades, 10)),
        _below("loop latency, mean", kpis.get("loop_latency_mean_ms"), "ms", 10, 25),
        _below("loop latency, p99", kpis.get("loop_latency_p99_ms"), "ms", 25, 100),
        _below("memory", kpis.get("memory_mb"), "MB", 200, 256),
        _below("CPU", kpis.get("cpu_percent"), "%", 50, 80),
        Row("guards per hour", _show(guards, ",.0f", ""), "< 50", _under(guards, 50)),
        Row("alerts", said, "P0: 0", Grade.MISSED if alerts.get("P0") else _met(bool(alerts))),
    ]


def _show(value: float | None, form: str, unit: str) -> str:
    return "-" if value is None else f"{value:{form}} {unit}".rstrip()


def _met(known: bool) -> Grade:  # noqa: FBT001 - one fact, named by the function
    return Grade.MET if known else Grade.NO_DATA


def _above(value: float | None, low: float, trips: int) -> Grade:
    if value is None or not trips:
        return Grade.NO_DATA
    return Grade.MET if value > low else Grade.MISSED


def _at_least(value: float | None, low: float) -> Grade:
    if value is None:
        return Grade.NO_DATA
    return Grade.MET if value >= low else Grade.NEAR


def _under(value: float | None, high: float) -> Grade:
    if value is None:
        return Grade.NO_DATA
    return Grade.MET if value < high else Grade.MISSED


def _below(label: str, value: float | None, unit: str, target: float, limit: float) -> Row:
    """Return a row whose value should stay below target and must stay below limit."""
    grade = Grade.NO_DATA
    if value is not None:
        over = Grade.NEAR if value < limit else Grade.MISSED
        grade = Grade.MET if value < target else over
    # Milliseconds are often below one; the others are not.
    form = ",.2f" if unit == "ms" else ",.0f"
    return Row(label, _show(value, form, unit), f"< {target:g} {unit}", grade)
