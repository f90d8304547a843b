"""The compose stack as the tests meet it: from outside, through the container engine."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "interlock-test"
FILES = ("compose.yaml", "compose.test.yaml")
ANY_PORT = {"CONSOLE_PORT": "0", "GRAFANA_PORT": "0", "PROMETHEUS_PORT": "0"}
ONE_SHOT = ("migrate", "preflight")
LONG_RUNNING = (
    "alertmanager",
    "engine",
    "gatekeeper",
    "postgres",
    "prometheus",
    "redis",
    "simvenues",
)
COMMAND_S, UP_S = 60, 900
POLL_S = 0.5
# Loopback must not be asked of a proxy, whatever the environment says.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
READ_URL = """
import sys, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=5) as answer:
        sys.stdout.write(answer.read().decode())
except OSError as error:
    sys.stdout.write(f"no answer: {error}")
"""


def eventually(question, *, within_s, what):
    """Return the first true answer; fail with `what` and the last answer after the deadline."""
    deadline = time.monotonic() + within_s
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within_s} s: {what} (last: {answer!r})"
        time.sleep(POLL_S)


@dataclass
class Stack:
    """One running project of compose.yaml."""

    project: str = PROJECT
    seconds: dict[str, float] = field(default_factory=dict)
    stuck: bool = False

    def compose(self, *arguments, timeout_s=COMMAND_S, check=True):
        """Run `docker compose ...` for this project."""
        files = [part for name in FILES for part in ("-f", str(ROOT / name))]
        return subprocess.run(
            ["docker", "compose", "-p", self.project, *files, *arguments],
            env={**os.environ, **ANY_PORT},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=check,
        )

    def execute(self, service, *command, check=True, stdin=None, timeout_s=COMMAND_S):
        """Run a command in a service's container."""
        return subprocess.run(
            ["docker", "exec", "-i", self.container(service), *command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=check,
        )

    def python(self, service, code, *arguments, check=True):
        """Run Python code in a service's container and return what it printed."""
        done = self.execute(service, "python", "-I", "-", *arguments, stdin=code, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def container(self, service):
        """Return the id of a service's container, running or not."""
        listed = self.compose("ps", "-a", "-q", service).stdout.split()
        assert len(listed) == 1, f"{service}: expected one container, was {listed}"
        return listed[0]

    def inspect(self, service):
        """Return what the container engine knows of a service's container."""
        return json.loads(self.docker("inspect", self.container(service)))[0]

    @staticmethod
    def docker(*arguments, timeout_s=COMMAND_S):
        """Run `docker ...` and return what it printed."""
        return subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, timeout=timeout_s, check=True
        ).stdout

    def published(self, service, port):
        """Return the address at which a port of a service is published."""
        return "http://" + self.compose("port", service, str(port)).stdout.strip()

    @staticmethod
    def get(url):
        """Return status and text of a published page."""
        try:
            with DIRECT.open(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def inside(self, service, url):
        """Return the text of a page as a service's container sees it, or why there is none."""
        return self.python(service, READ_URL, url)

    def query(self, expression):
        """Return Prometheus' instant answer: a list of (labels, value)."""
        address = self.published("prometheus", 9090)
        asked = urllib.parse.urlencode({"query": expression})
        status, text = self.get(f"{address}/api/v1/query?{asked}")
        assert status == 200, f"{expression}: {text}"
        return [
            (row["metric"], float(row["value"][1])) for row in json.loads(text)["data"]["result"]
        ]

    def metric(self, service, port, name, **labels):
        """Return a metric straight from the service, or None where it is not exported."""
        for line in self.inside(service, f"http://127.0.0.1:{port}/metrics").splitlines():
            series, _, value = line.rpartition(" ")
            found = series.partition("{")[0] == name
            if found and all(f'{key}="{wanted}"' in series for key, wanted in labels.items()):
                return float(value)
        return None

    def engine_is(self, state):
        """Say whether the engine is in a state, by its own metrics."""
        return self.metric("engine", 8083, "interlock_engine_state", state=state) == 1.0

    def epoch(self):
        """Return the gatekeeper's fencing epoch."""
        return self.metric("gatekeeper", 8081, "interlock_gatekeeper_epoch")

    def healthy(self, service):
        """Say whether a service's health check passes."""
        return self.inspect(service)["State"].get("Health", {}).get("Status") == "healthy"

    def orders(self):
        """Return how many orders the simulated venues have accepted."""
        document = json.loads(self.inside("simvenues", "http://127.0.0.1:8090/admin/orders"))
        return document["count"]

    def up(self):
        """Build and start everything; return only when all of it is healthy."""
        for name, arguments in (
            ("build", ["build", "--quiet"]),
            ("up", ["up", "-d", "--wait"]),
        ):
            start = time.monotonic()
            done = self.compose(*arguments, timeout_s=UP_S, check=False)
            self.seconds[name] = time.monotonic() - start
            assert done.returncode == 0, f"docker compose {name}: {done.stderr}\n{self.story()}"

    def down(self):
        """Remove everything of this project, its volumes too."""
        self.compose("down", "-v", "--remove-orphans", "--timeout", "5", timeout_s=UP_S)

    def story(self):
        """Return the state and the last lines of every container."""
        state = self.compose("ps", "-a", check=False).stdout
        return state + self.compose("logs", "--no-color", "--tail", "15", check=False).stdout
