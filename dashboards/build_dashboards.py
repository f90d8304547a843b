"""Write grafana/dashboards/*.json. Usage: build_dashboards.py [FOLDER].

The dashboards are code so that units, targets and queries are reviewed as such; the JSON is
generated, committed, and tested to be what this writes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

FOLDER = Path(__file__).parent / "grafana" / "dashboards"
SOURCE = common_models.DataSourceRef(type_val="prometheus", uid="prometheus")

SESSION = 'env=~"$env",stage=~"$stage",universe=~"$universe"'
ENGINE = 'job="engine"'
# Hours that a count over the last hour stands for: less in a young session, never under ten
# minutes, so that one early event does not read as sixty an hour.
HOURS = f"clamp((time() - max(process_start_time_seconds{{{ENGINE}}})) / 3600, 1 / 6, 1)"
GATE_HOURS = HOURS.replace(ENGINE, 'job="gatekeeper"')
# Summed before the increase: most causes and codes first show up at 1, which no rate counts.
GATE_TRIGGERS = (
    "sum(interlock_gatekeeper_hold_total) + sum(interlock_gatekeeper_kill_total) "
    '+ sum(interlock_gatekeeper_decisions_total{code!~"APPROVED|RATE"})'
)
TRIPS = f"sum(interlock_round_trips_total{{{SESSION}}})"
RATE = "$__rate_interval"

GOOD, WARN, BAD = "green", "orange", "red"
Step = tuple[float | None, str]
Panel = stat.Panel | timeseries.Panel


def query(expression: str, legend: str, *, ref: str = "A") -> prometheus.Dataquery:
    """Return one query of a panel."""
    return (
        prometheus.Dataquery()
        .expr(expression)
        .legend_format(legend)
        .ref_id(ref)
        .range()
        .datasource(SOURCE)
    )


def thresholds(*steps: Step) -> builders.ThresholdsConfig:
    """Return absolute thresholds; the first step is the base."""
    made = [models.Threshold(value=value, color=color) for value, color in steps]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(made)


def number(title: str, text: str, *queries: prometheus.Dataquery, unit: str) -> stat.Panel:
    """Return a panel that shows the newest value."""
    panel = (
        stat.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .datasource(SOURCE)
        .height(6)
        .span(6)
        .graph_mode(common_models.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("nothing yet")
    )
    for each in queries:
        panel = panel.with_target(each)
    return panel


def curve(title: str, text: str, *queries: prometheus.Dataquery, unit: str) -> timeseries.Panel:
    """Return a panel that shows the course, with its thresholds as lines."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .datasource(SOURCE)
        .height(8)
        .span(12)
        .min(0)
        .fill_opacity(10)
        .thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED)
        )
    )
    for each in queries:
        panel = panel.with_target(each)
    return panel


def label(title: str, text: str, expression: str, legend: str) -> stat.Panel:
    """Return a panel that shows which label is current."""
    return (
        number(title, text, query(expression, legend), unit="none")
        .height(3)
        .span(8)
        .text_mode(common_models.BigValueTextMode.NAME)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .color_mode(common_models.BigValueColorMode.NONE)
    )


def context() -> list[Panel]:
    """Return what every number below must be read with: source, regime and states."""
    return [
        label(
            "Market source",
            "Where prices come from, and the regime of a synthetic market. A PnL in a simulated "
            "market says nothing about real profit.",
            "interlock_market_source_info == 1",
            "{{source}} / {{regime}}",
        ),
        label(
            "Engine",
            "What the engine is doing.",
            f"interlock_engine_state{{{SESSION}}} == 1",
            "{{state}}",
        ),
        label(
            "Gatekeeper",
            "Whether orders may pass.",
            "interlock_gatekeeper_state == 1",
            "{{state}}",
        ),
    ]


def results() -> list[Panel]:
    """Return KPIs 1 to 4: what trading brought."""
    return [
        number(
            "1. Total PnL",
            "Realised and unrealised profit of the session in USD, after fees. Target: above 0.",
            query(f"sum(interlock_pnl_usd{{{SESSION}}})", "total"),
            query(f"sum by (kind) (interlock_pnl_usd{{{SESSION}}})", "{{kind}}", ref="B"),
            unit="currencyUSD",
        )
        .decimals(2)
        .thresholds(thresholds((None, BAD), (0.01, GOOD))),
        number(
            "2. Win rate",
            "Round trips that won, of all that ended. Target: above 50 %.",
            query(
                f'sum(interlock_round_trips_total{{{SESSION},outcome="win"}}) / ({TRIPS} > 0)',
                "win rate",
            ),
            unit="percentunit",
        )
        .decimals(1)
        .thresholds(thresholds((None, BAD), (0.5, GOOD))),
        number(
            "3. Round trips",
            "Entries that were exited again. Target: rising.",
            query(TRIPS, "round trips"),
            unit="short",
        )
        .decimals(0)
        .thresholds(thresholds((None, WARN), (1, GOOD))),
        number(
            "4. Trades per hour",
            "Entries and exits over the last hour, or over the session where it is younger. "
            "Target: at least 10.",
            query(
                f"sum(increase(interlock_trades_total{{{SESSION}}}[1h])) / {HOURS}",
                "trades per hour",
            ),
            unit="short",
        )
        .decimals(1)
        .thresholds(thresholds((None, BAD), (10, GOOD))),
    ]


def resources() -> list[Panel]:
    """Return KPIs 5 to 8: what trading costs."""
    buckets = f"rate(interlock_loop_latency_seconds_bucket{{{SESSION}}}[{RATE}])"
    total = f"sum(rate(interlock_loop_latency_seconds_sum{{{SESSION}}}[{RATE}]))"
    count = f"sum(rate(interlock_loop_latency_seconds_count{{{SESSION}}}[{RATE}]))"
    memory = f"process_resident_memory_bytes{{{ENGINE}}}"
    return [
        curve(
            "5. Loop latency, average",
            "From the arrival of a market message to the decision on it. Target: under 10 ms.",
            query(f"{total} / ({count} > 0)", "average"),
            unit="s",
        ).thresholds(thresholds((None, GOOD), (0.010, BAD))),
        curve(
            "6. Loop latency, p99",
            "The slowest in a hundred decisions. Target: under 25 ms; over 100 ms trips the guard.",
            query(f"histogram_quantile(0.99, sum by (le) ({buckets}))", "p99"),
            unit="s",
        ).thresholds(thresholds((None, GOOD), (0.025, WARN), (0.1, BAD))),
        curve(
            "7. Memory",
            "Resident memory of the engine, and its drift over half an hour (from then on). "
            "Target: under 200 MB, drift under 5 %.",
            query(memory, "resident"),
            query(
                f"avg_over_time({memory}[5m]) / avg_over_time({memory}[5m] offset 30m) - 1",
                "drift",
                ref="B",
            ),
            unit="decbytes",
        )
        .thresholds(thresholds((None, GOOD), (200e6, BAD)))
        .override_by_name(
            "drift",
            [
                models.DynamicConfigValue(id_val="unit", value="percentunit"),
                models.DynamicConfigValue(id_val="custom.axisPlacement", value="right"),
            ],
        ),
        curve(
            "8. CPU",
            "Processor time of the engine as a share of one core. "
            "Target: under 50 %; over 80 % trips the guard.",
            query(f"rate(process_cpu_seconds_total{{{ENGINE}}}[{RATE}])", "engine"),
            unit="percentunit",
        ).thresholds(thresholds((None, GOOD), (0.5, WARN), (0.8, BAD))),
    ]


def safety() -> list[Panel]:
    """Return KPIs 9 and 10: what stood in the way."""
    return [
        number(
            "9. Guard triggers per hour",
            "Times a guard kept the engine from trading, over the last hour, or over the session "
            "where it is younger. Beside it the gatekeeper's own: holds, kills, and denials that "
            "are not RATE; a repeated request is answered again and no denial. Target: under 50.",
            query(
                f"sum(increase(interlock_guard_triggers_total{{{SESSION}}}[1h])) / {HOURS}",
                "guard triggers per hour",
            ),
            query(
                f"increase(({GATE_TRIGGERS})[1h:]) / {GATE_HOURS}",
                "gatekeeper's holds, kills and denials per hour",
                ref="B",
            ),
            unit="short",
        )
        .decimals(1)
        .thresholds(thresholds((None, GOOD), (50, BAD))),
        number(
            "10. Alerts by severity",
            "Alerts that the engine raised in this session. Target: no P0.",
            query(
                f"sum by (severity) (interlock_alerts_total{{{SESSION}}})",
                "{{severity}}",
            ),
            unit="short",
        )
        .decimals(0)
        .span(18)
        .thresholds(thresholds((None, GOOD), (1, WARN)))
        .override_by_name(
            "P0",
            [
                models.DynamicConfigValue(
                    id_val="thresholds", value=thresholds((None, GOOD), (1, BAD)).build()
                )
            ],
        ),
    ]


def variable(name: str, text: str) -> builders.QueryVariable:
    """Return a choice among the values of a label; All also takes series without it."""
    return (
        builders.QueryVariable(name)
        .label(text)
        .datasource(SOURCE)
        .query(f"label_values(interlock_pnl_usd, {name})")
        .include_all(include_all=True)
        .all_value(".*")
        .multi(multi=True)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


def ten_kpis() -> models.Dashboard:
    """Return the dashboard of the ten KPIs; their panels have the ids 1 to 10."""
    board = (
        builders.Dashboard("Interlock: ten KPIs")
        .uid("interlock-ten-kpis")
        .tags(["interlock", "generated"])
        .readonly()
        .refresh("5s")
        .time("now-30m", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(variable("env", "Environment"))
        .with_variable(variable("stage", "Stage"))
        .with_variable(variable("universe", "Universe"))
    )
    for number_of, panel in enumerate(context(), start=11):
        board = board.with_panel(panel.id(number_of))
    for number_of, panel in enumerate([*results(), *resources(), *safety()], start=1):
        board = board.with_panel(panel.id(number_of))
    return board.build()


def main() -> None:
    """Write every dashboard."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    text = JSONEncoder(sort_keys=True, indent=2).encode(ten_kpis())
    (folder / "ten-kpis.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
