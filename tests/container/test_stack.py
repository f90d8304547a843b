"""The stack comes up whole, and its tools agree with its files."""

import pytest
from tests.container.stack import LONG_RUNNING, ONE_SHOT, eventually

HEALTHY_S = 30  # the start period of x-service-check, after which a failing check counts


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_each_service_is_healthy(trading, service):
    """Its own health check says so, and it never had to be restarted.

    Another test may just have started it again: the engine of containers asks only every few
    seconds, so a service that already trades may still be "starting" for it.
    """
    eventually(lambda: trading.healthy(service), within_s=HEALTHY_S, what=f"{service} healthy")
    assert trading.inspect(service)["RestartCount"] == 0


@pytest.mark.parametrize("service", ONE_SHOT)
def test_each_one_shot_ended_well(stack, service):
    """Migration and preflight ran to their end with exit code 0."""
    state = stack.inspect(service)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)


def test_migrating_again_changes_nothing(stack):
    """A second run finds the schema at head."""
    done = stack.compose("run", "--rm", "--no-deps", "-T", "migrate")
    assert '"schema is at head"' in done.stdout
    assert '"applied": []' in done.stdout


def test_a_failing_preflight_says_so_by_its_exit_code(trading):
    """Without venues the checks fail, and with them whatever waits for the preflight."""
    nowhere = "SIMVENUES_URL=http://nowhere.invalid:1"
    done = trading.compose(
        "run", "--rm", "--no-deps", "-T", "-e", nowhere, "preflight", check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr


def test_prometheus_reaches_every_target(trading):
    """Five jobs, all up."""
    up = eventually(
        lambda: (
            (found := {m["job"]: v for m, v in trading.query("up")})
            and set(found.values()) == {1.0}
            and found
        ),
        within_s=30,
        what="every target is up",
    )
    assert set(up) == {"engine", "gatekeeper", "simvenues", "prometheus", "alertmanager"}


def test_prometheus_accepts_its_files(stack):
    """The tool checks configuration and rules, and runs the rules' tests."""
    for command in (
        ["check", "config", "/etc/prometheus/prometheus.yml"],
        ["check", "rules", "/etc/prometheus/rules.yml"],
        ["test", "rules", "/etc/prometheus/rules_test.yml"],
    ):
        done = stack.execute("prometheus", "promtool", *command, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_alertmanager_accepts_its_files_and_gets_alerts(stack):
    """The heartbeat that always fires has arrived."""
    stack.execute("alertmanager", "amtool", "check-config", "/etc/alertmanager/alertmanager.yml")
    eventually(
        lambda: (
            "Heartbeat"
            in stack.execute(
                "alertmanager", "wget", "-q", "-O", "-", "http://127.0.0.1:9093/api/v2/alerts"
            ).stdout
        ),
        within_s=60,
        what="the heartbeat alert",
    )


def test_the_console_is_published_on_loopback(trading):
    """The page shows the gatekeeper's state."""
    address = trading.published("gatekeeper", 8082)
    assert address.startswith("http://127.0.0.1:")
    status, text = trading.get(address)
    assert status == 200
    assert "PAPER" in text
