"""Prometheus and Alertmanager: what can be checked of their files without running them."""

import re
from pathlib import Path

import promql_parser
import pytest
import yaml

from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.state import PHASE_NAMES

ROOT = Path(__file__).resolve().parents[3]
PROMETHEUS, ALERTMANAGER = ROOT / "dashboards/prometheus", ROOT / "dashboards/alertmanager"
CONFIG = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
GROUPS = yaml.safe_load((PROMETHEUS / "rules.yml").read_text("utf-8"))["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
JOBS = {
    "engine": "engine:8083",
    "gatekeeper": "gatekeeper:8081",
    "simvenues": "simvenues:8090",
    "prometheus": "127.0.0.1:9090",
    "alertmanager": "alertmanager:9093",
}


def test_each_job_has_its_target():
    """The names that rules and dashboards select by."""
    found = {
        job["job_name"]: target
        for job in CONFIG["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    assert found == JOBS
    assert CONFIG["global"]["scrape_interval"] == "5s"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_each_rule_parses(rule):
    """Valid PromQL; an alert has a severity and says what is the matter."""
    promql_parser.parse(rule["expr"])
    if "alert" in rule:
        assert rule["labels"]["severity"] in {"P0", "P1", "P2", "P3"}
        assert rule["annotations"]["summary"]


URGENT = [n for n, a in ALERTS.items() if a["labels"]["severity"] in {"P0", "P1"}]


@pytest.mark.parametrize("name", URGENT)
def test_each_urgent_alert_says_what_to_do(name):
    """Whoever is called gets the next step."""
    assert ALERTS[name]["annotations"]["action"]


def exported():
    """Return every name that a scrape of the gatekeeper may hold."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    families = Metrics("paper", "paper").registry.collect()
    return {f.name + end for f in families for end in suffixes.get(f.type, ("",))}


@pytest.mark.parametrize("name", ["prometheus/rules.yml", "build_dashboards.py"])
def test_each_gatekeeper_series_is_exported(name):
    """A metric that changes its name takes no alert with it."""
    text = (ROOT / "dashboards" / name).read_text("utf-8")
    used = set(re.findall(r"interlock_gatekeeper_\w+", text))
    assert used
    assert used <= exported()


def test_each_state_asked_for_exists():
    """A state that changes its name takes no alert with it."""
    text = (PROMETHEUS / "rules.yml").read_text("utf-8")
    asked = re.findall(r'interlock_gatekeeper_state\{state=~?"([A-Z|]+)"\}', text)
    assert len(asked) == text.count("interlock_gatekeeper_state{")
    assert {state for each in asked for state in each.split("|")} <= set(PHASE_NAMES.values())


def test_an_announced_arm_hides_nothing():
    """A silenced P0 would still inhibit: whoever silences an arm keeps every other alert."""
    assert ALERTS["GatekeeperArmed"]["labels"]["severity"] == "P1"


def test_each_alert_is_tried_out():
    """Promtool's test file fires every alert there is."""
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text("utf-8"))["tests"]
    fired = {
        case["alertname"]
        for test in tests
        for case in test.get("alert_rule_test", [])
        if case["exp_alerts"]
    }
    assert fired == set(ALERTS)


def test_p0_alerts_wait_for_nothing():
    """A P0 is sent at once and by itself."""
    route = yaml.safe_load((ALERTMANAGER / "alertmanager.yml").read_text("utf-8"))["route"]
    (p0,) = [r for r in route["routes"] if r["matchers"] == ['severity="P0"']]
    assert (p0["group_wait"], p0["group_by"]) == ("0s", ["..."])
