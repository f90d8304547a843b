"""The dashboards: generated, whole, and asking only for what exists."""

import json
import re
import subprocess
import sys
from pathlib import Path

import promql_parser
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
GRAFANA = ROOT / "dashboards" / "grafana"
BOARD = json.loads((GRAFANA / "dashboards" / "ten-kpis.json").read_text("utf-8"))
PANELS = {panel["id"]: panel for panel in BOARD["panels"]}
VARIABLES = {"$__rate_interval": "20s", "$env": ".*", "$stage": ".*", "$universe": ".*"}

# The table of ARCHITECTURE.md: metric, unit, and the value its target begins or ends at.
KPIS = {
    1: ("interlock_pnl_usd", "currencyUSD", 0.01),
    2: ("interlock_round_trips_total", "percentunit", 0.5),
    3: ("interlock_round_trips_total", "short", 1),
    4: ("interlock_trades_total", "short", 10),
    5: ("interlock_loop_latency_seconds_sum", "s", 0.010),
    6: ("interlock_loop_latency_seconds_bucket", "s", 0.025),
    7: ("process_resident_memory_bytes", "decbytes", 200e6),
    8: ("process_cpu_seconds_total", "percentunit", 0.5),
    9: ("interlock_guard_triggers_total", "short", 50),
    10: ("interlock_alerts_total", "short", 1),
}
QUERIES = [
    pytest.param(panel, target, id=f"{panel['title']}-{target['refId']}")
    for panel in BOARD["panels"]
    for target in panel["targets"]
]


def filled(expression):
    for name in sorted(VARIABLES, key=len, reverse=True):
        expression = expression.replace(name, VARIABLES[name])
    return expression


def test_the_committed_json_is_what_the_code_writes(tmp_path):
    """Writing it again changes no byte."""
    script = ROOT / "dashboards" / "build_dashboards.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    written = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert written == {f.name: f.read_bytes() for f in (GRAFANA / "dashboards").iterdir()}


def test_identity():
    """The uid is what links point to; a provisioned file has no database id."""
    assert BOARD["uid"] == "interlock-ten-kpis"
    assert BOARD.get("id") is None
    assert BOARD["editable"] is False
    assert [v["name"] for v in BOARD["templating"]["list"]] == ["env", "stage", "universe"]


@pytest.mark.parametrize("number", KPIS)
def test_each_kpi_is_shown_as_designed(number):
    """Number, metric, unit, target and a description that names the target."""
    metric, unit, target = KPIS[number]
    panel = PANELS[number]
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"].startswith(f"{number}. ")
    assert metric in panel["targets"][0]["expr"]
    assert defaults["unit"] == unit
    assert target in [step["value"] for step in defaults["thresholds"]["steps"]]
    assert "Target: " in panel["description"]


def test_the_market_source_and_regime_are_in_sight():
    """Nobody reads a simulated PnL as a real one."""
    assert any(
        "interlock_market_source_info" in target["expr"] and "{{regime}}" in target["legendFormat"]
        for panel in BOARD["panels"]
        for target in panel["targets"]
    )


def test_panels_do_not_overlap():
    """Every cell of the 24 columns belongs to one panel at most."""
    taken = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_thresholds_rise():
    """The base step has no value, the others go up."""
    for panel in BOARD["panels"]:
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        values = [step["value"] for step in steps]
        assert not values or (values[0] is None and values[1:] == sorted(values[1:]))


@pytest.mark.parametrize(("panel", "target"), QUERIES)
def test_each_query_can_be_asked(panel, target):
    """Known data source, no unknown variable, valid PromQL, one reference a query."""
    sources = yaml.safe_load(
        (GRAFANA / "provisioning" / "datasources" / "interlock.yaml").read_text("utf-8")
    )
    assert target["datasource"]["uid"] in {s["uid"] for s in sources["datasources"]}
    references = [t["refId"] for t in panel["targets"]]
    assert len(references) == len(set(references))
    expression = filled(target["expr"])
    assert not re.findall(r"\$\w+", expression)
    promql_parser.parse(expression)
