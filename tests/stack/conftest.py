"""The whole native stack, started as an operator starts it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

START_DEADLINE_S = 90
END_DEADLINE_S = 5
INTERLOCK = (sys.executable, "-P", "-m", "interlock_operator")


def wait_for(check, *, within_s, what):
    """Return check's first true value, or fail after within_s seconds."""
    until = time.monotonic() + within_s
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < until, f"not within {within_s} s: {what}"
        time.sleep(0.05)


def fetch(url):
    """Return the JSON at url, or None where nobody answers."""
    try:
        answer = httpx.get(url, timeout=2, trust_env=False)
        return answer.json() if answer.status_code == httpx.codes.OK else None
    except (httpx.HTTPError, ValueError):
        return None


def processes():
    """Return the command line of every living process, by pid."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text("utf-8").rsplit(")", 1)[1].split()[0]
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if state not in "ZX":
            found[int(folder.name)] = line
    return found


class RunningStack:
    """One `interlock up --no-view` in folders of its own."""

    def __init__(self, folder, *options, **settings):
        self.folder = folder
        self.native_dir = folder / "native"
        self.output = folder / "output"
        folder.mkdir(parents=True, exist_ok=True)
        self.env = os.environ | {
            "NATIVE_DIR": str(self.native_dir),
            "RUNS_DIR": str(folder / "runs"),
            # The tests have no business with the real venues, reachable or not.
            "MARKET_SOURCE": "synthetic",
            **settings,
        }
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*INTERLOCK, "up", "--no-view", *options],
                env=self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self):
        """Return everything it printed."""
        return self.output.read_text("utf-8")

    def facts(self):
        """Return stack.json."""
        return json.loads((self.native_dir / "stack.json").read_text("utf-8"))

    def engine(self):
        """Return the engine's state, or an empty document."""
        return fetch(self.facts()["engine_url"] + "/state") or {}

    def orders(self):
        """Return how many orders the simulated venues have seen."""
        return fetch(self.facts()["simvenues_url"] + "/admin/orders")["count"]

    def children(self):
        """Return the pids of the supervisor's living children by service."""
        found = {}
        for pid, line in processes().items():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(stat[1]) == self.process.pid:
                name = re.search(r"interlock_(\w+)|(postgres) |(valkey)", line)
                if name is not None:
                    # Between fork and exec a child has no name of its own.
                    found[next(filter(None, name.groups()))] = pid
        return found

    def family(self):
        """Return the pids of the children and of all that they started."""
        parents = {}
        for pid in processes():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[pid] = int(stat[1])
        found = {pid for pid, parent in parents.items() if parent == self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def wait_until_trading(self):
        """Wait until the engine trades."""
        wait_for(self._trades_or_ended, within_s=START_DEADLINE_S, what="trading")
        assert self.process.poll() is None, self.said()

    def _trades_or_ended(self):
        if self.process.poll() is not None:
            return True
        ready = (self.native_dir / "stack.json").exists()
        return ready and self.engine().get("state") == "trading"

    def wait_for_end(self, within_s):
        """Return the exit code."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {within_s} s:\n{self.said()}")

    def kpi(self):
        """Return the session's KPI JSON."""
        (path,) = (self.folder / "runs").glob("*-paper-*/kpi.json")
        return json.loads(path.read_text("utf-8"))

    def interlock(self, *arguments):
        """Run another command against this stack."""
        return subprocess.run(
            [*INTERLOCK, *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def close(self):
        """End it if it still runs; show what it said where a test failed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(END_DEADLINE_S * 2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if (self.native_dir / "stack.json").exists():
            # A killed supervisor cannot tidy up, and nothing starts here again to do it.
            shutil.rmtree(Path(self.facts()["gate_socket"]).parent, ignore_errors=True)
        sys.stdout.write(self.said())


@pytest.fixture
def eventually():
    """Return the function that polls with a deadline."""
    return wait_for


@pytest.fixture
def living():
    """Return a function that says which of some pids still run."""
    return lambda pids: [pid for pid in pids if pid in processes()]


@pytest.fixture
def up(tmp_path):
    """Return a function that starts a stack; all are ended with the test."""
    started = []

    def start(*options, folder="stack", **settings):
        stack = RunningStack(tmp_path / folder, *options, **settings)
        started.append(stack)
        return stack

    yield start
    for stack in started:
        stack.close()
