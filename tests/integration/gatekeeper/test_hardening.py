"""The process protects itself, or does not run: seen from outside, in a process of its own."""

import os
import subprocess
import sys

import pytest
from tests.integration.gatekeeper.conftest import live_environment

pytestmark = pytest.mark.integration

NOBODY = 65534
SECRET = "0123456789abcdefUPBIT_SECRET_KEY"
STATE = """
import ctypes, os, resource
from interlock_gatekeeper.hardening import harden
from interlock_gatekeeper.metrics import Metrics
from prometheus_client import generate_latest
if os.getuid() == 0:
    os.setgroups([]); os.setgid({nobody}); os.setuid({nobody})
harden()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
print(oct(os.umask(0)), os.getuid() != 0)
print(generate_latest(Metrics("live", "smoke").registry).decode())
"""


def python(*arguments, **environ):
    """Run the interpreter with this process's paths and return what it said."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_can_be_read_out_of_the_process():
    """No core, not dumpable, private files; and the metrics of an ordinary user still work."""
    said = python("-c", STATE.format(nobody=NOBODY))
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("(0, 0) 0\n0o77 True\n")
    for series in ("open_fds", "max_fds", "resident_memory_bytes", "cpu_seconds_total"):
        assert f"\nprocess_{series} " in said.stdout


@pytest.mark.parametrize(
    ("option", "environ"), [("-O", {}), ("-OO", {}), ("-B", {"PYTHONOPTIMIZE": "1"})]
)
def test_an_optimizing_interpreter_is_refused(option, environ):
    """Before anything else, even before --help."""
    said = python(option, "-m", "interlock_gatekeeper", "--help", **environ)
    assert (said.returncode, said.stdout) == (2, "")
    assert "python -O" in said.stderr


def test_the_process_refuses_a_key_in_its_environment(tmp_path):
    """Exit code 2 with the variable's name, before anything is served."""
    said = python("-m", "interlock_gatekeeper", **live_environment(tmp_path), SOME_TOKEN=SECRET)
    assert (said.returncode, said.stdout) == (2, "")
    assert "SOME_TOKEN" in said.stderr
    assert SECRET not in said.stderr


@pytest.mark.parametrize("option", ["-X", "-m"])
def test_the_process_refuses_a_key_on_its_command_line(tmp_path, option):
    """An interpreter's option or an argument of ours: refused, and not repeated."""
    arguments = {"-X": ("-X", SECRET, "-m", "interlock_gatekeeper")}
    given = arguments.get(option, ("-m", "interlock_gatekeeper", SECRET))
    said = python(*given, **live_environment(tmp_path))
    assert (said.returncode, said.stdout) == (2, "")
    assert SECRET not in said.stderr


def test_what_is_wrong_is_one_line_each(tmp_path):
    """Settings and key files are refused by name."""
    said = python("-m", "interlock_gatekeeper", GATE_HEALTH_PORT="x", STAGE="y")
    assert said.returncode == 2
    assert said.stderr.count("\n") == 2
    environ = live_environment(tmp_path)
    (tmp_path / "UPBIT_SECRET_KEY").chmod(0o644)
    said = python("-m", "interlock_gatekeeper", **environ)
    assert (said.returncode, "chmod" in said.stderr) == (2, True)
