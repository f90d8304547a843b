"""Prometheus and Alertmanager: what can be checked of their files without running them."""

from pathlib import Path

import promql_parser
import pytest
import yaml

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


@pytest.mark.parametrize("name", [n for n, a in ALERTS.items() if a["labels"]["severity"] == "P0"])
def test_each_p0_says_what_to_do(name):
    """Whoever is woken gets the next step."""
    assert ALERTS[name]["annotations"]["action"]


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
