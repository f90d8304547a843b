"""The KPI JSON of a session: 32 fields that keep their names, and what follows them."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

SCHEMA_VERSION = 1

FIELDS = (
    "session_id",
    "start_time",
    "end_time",
    "start_timestamp",
    "end_timestamp",
    "duration_seconds",
    "exit_code",
    "universe_mode",
    "environment",
    "config_digest",
    "round_trips_completed",
    "entry_trades",
    "exit_trades",
    "wins",
    "losses",
    "win_rate",
    "win_rate_pct",
    "total_pnl_usd",
    "total_pnl_krw",
    "initial_equity_usd",
    "final_equity_usd",
    "roi_pct",
    "exit_reasons",
    "avg_loop_latency_ms",
    "loop_latency_p99_ms",
    "avg_cpu_percent",
    "avg_memory_mb",
    "avg_buy_slippage_bps",
    "avg_sell_slippage_bps",
    "avg_buy_fill_ratio",
    "avg_sell_fill_ratio",
    "guard_triggers",
)

MORE_FIELDS = (
    "schema_version",
    "final",
    "stage",
    "market_source",
    "market_regime",
    "market_fallback_reason",
    "alerts",
    "vetoes",
    "per_asset",
    "residuals",
    "dust",
    "resumed",
)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the KPI JSON."""
    text = resources.files("interlock_core.wire").joinpath("kpi.schema.json").read_text("utf-8")
    result: dict[str, Any] = json.loads(text)
    return result
