"""Starts the real simulator, gatekeeper and engine as processes on loopback, and stops them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.ports import free_port

DEADLINE_S = 30.0


def eventually(question, *, deadline_s=DEADLINE_S, why="it did not become true"):
    """Return the first true answer, asking at short intervals, or fail at the deadline."""
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        answer = question()
        if answer:
            return answer
        select_nothing(0.05)
    raise AssertionError(f"{why} within {deadline_s} s")


def select_nothing(seconds):
    """Give other processes a moment between two questions."""
    signal.sigtimedwait([], seconds)


def get(url):
    """Return status and body, or None where nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return None


def get_json(url):
    """Return the JSON of a 200 answer, or None."""
    answer = get(url)
    return json.loads(answer[1]) if answer and answer[0] == 200 else None


class Stack:
    """One simulator, one gatekeeper, one engine; each can be started, killed and started again."""

    def __init__(self, folder: Path, **settings):
        self.folder = folder
        self.sockets = tempfile.mkdtemp(prefix="ilk-")
        sim, health, console, engine = (free_port() for _ in range(4))
        self.simvenues_url = f"http://127.0.0.1:{sim}"
        self.gatekeeper_url = f"http://127.0.0.1:{health}"
        self.console_url = f"http://127.0.0.1:{console}"
        self.engine_url = f"http://127.0.0.1:{engine}"
        self.environ = {
            "PATH": os.environ["PATH"],
            "SIM_PORT": str(sim),
            "SIMVENUES_URL": self.simvenues_url,
            "MARKET_SOURCE": "synthetic",
            "GATE_SOCKET": f"{self.sockets}/e/engine.sock",
            "OPERATOR_SOCKET": f"{self.sockets}/o/operator.sock",
            "GATE_STATE_DIR": str(folder / "state"),
            "GATE_HEALTH_PORT": str(health),
            "GATE_CONSOLE_PORT": str(console),
            "GATEKEEPER_URL": self.gatekeeper_url,
            "ENGINE_PORT": str(engine),
            "RUNS_DIR": str(folder / "runs"),
            "SESSION_ID": "session-under-test",
            "WARM_UP_S": "3",
            **settings,
        }
        (folder / "state").mkdir()
        self.processes = {}

    def start(self, service):
        """Start one service; its log is in the folder."""
        with (self.folder / f"{service}.log").open("ab") as log:
            self.processes[service] = subprocess.Popen(
                [sys.executable, "-m", f"interlock_{service}"],
                env=self.environ,
                stdout=log,
                stderr=log,
            )
        return self.processes[service]

    def up(self):
        """Start simulator and gatekeeper and wait until the gatekeeper knows the venues."""
        self.start("simvenues")
        eventually(lambda: get(f"{self.simvenues_url}/admin/market"), why="no simulator")
        self.start("gatekeeper")
        self.gatekeeper_is_ready()

    def gatekeeper_is_ready(self):
        url, process = f"{self.gatekeeper_url}/health/ready", self.processes["gatekeeper"]

        def ready():
            log = (self.folder / "gatekeeper.log").read_text()[-500:]
            assert process.poll() is None, f"the gatekeeper ended: {log}"
            return (get(url) or (0,))[0] == 200

        eventually(ready, why="the gatekeeper is not ready")

    def end(self, service, number=signal.SIGTERM, *, deadline_s=10.0):
        """Send a signal, wait, and return exit code and seconds it took."""
        process, began = self.processes.pop(service), time.monotonic()
        process.send_signal(number)
        try:
            return process.wait(deadline_s), time.monotonic() - began
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def down(self):
        for service in list(self.processes):
            self.end(service, signal.SIGKILL)
        shutil.rmtree(self.sockets, ignore_errors=True)

    def state(self):
        """Return the engine's /state, or None."""
        return get_json(f"{self.engine_url}/state")

    def eventually_state(self, question, **options):
        """Wait until /state answers and question(state) is true; return that state, or tell all."""

        def ask():
            state = self.state()
            return state if state and question(state) else None

        try:
            return eventually(ask, **options)
        except AssertionError as error:
            logs = [(self.folder / f"{name}.log").read_text()[-4000:] for name in self.processes]
            raise AssertionError("\n".join([str(error), str(self.state()), *logs])) from None

    def kpi(self):
        return json.loads((self.folder / "runs" / "session-under-test" / "kpi.json").read_text())

    def log(self, service="engine"):
        """Return the JSON lines a service has logged."""
        lines = (self.folder / f"{service}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def positions(self):
        """Return the gatekeeper's own positions."""
        return get_json(f"{self.gatekeeper_url}/health")["positions"]
