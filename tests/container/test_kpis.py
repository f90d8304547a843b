"""The ten KPIs, from a real engine through a real Prometheus."""

import json
import math

import pytest
from tests.container.stack import ROOT, eventually

BOARD = ROOT / "dashboards" / "grafana" / "dashboards" / "ten-kpis.json"
PANELS = {panel["id"]: panel for panel in json.loads(BOARD.read_text("utf-8"))["panels"]}
FILL = {"$__rate_interval": "20s", "$env": "paper", "$stage": "paper", "$universe": "top10"}
DATA_S = 120


def question(panel_id):
    expression = PANELS[panel_id]["targets"][0]["expr"]
    for name in sorted(FILL, key=len, reverse=True):
        expression = expression.replace(name, FILL[name])
    return expression


@pytest.mark.parametrize("number", range(1, 11), ids=lambda n: PANELS[n]["title"])
def test_each_kpi_has_data(trading, number):
    """The panel's own query returns a number within two minutes."""
    expression = question(number)
    eventually(
        lambda: [v for _, v in trading.query(expression) if math.isfinite(v)],
        within_s=DATA_S,
        what=f"data for {expression}",
    )


@pytest.mark.parametrize("number", [11, 12, 13], ids=lambda n: PANELS[n]["title"])
def test_the_context_has_data(trading, number):
    """Market source, engine and gatekeeper show exactly one state."""
    expression = question(number)
    found = eventually(lambda: trading.query(expression), within_s=30, what=expression)
    assert len(found) == 1


def test_the_market_source_is_named_with_its_regime(trading):
    """Whoever reads a number can see which market it comes from."""
    ((labels, _),) = trading.query("interlock_market_source_info == 1")
    assert labels["source"] in {"synthetic", "recording", "mirror"}
    assert labels["regime"]
