"""One stack for all container tests; each test leaves it trading, and demands that first."""

import shutil
import subprocess

import pytest
from tests.container.stack import Stack, eventually

TRADING_S = 90


def _engine_problem():
    if shutil.which("docker") is None:
        return "there is no docker command"
    asked = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    return asked.stderr.strip() if asked.returncode else None


@pytest.fixture(scope="session")
def stack(request):
    """Run the stack of compose.yaml; a machine without an engine fails, it does not skip."""
    problem = _engine_problem()
    if problem:
        pytest.fail(f"no container engine answers ({problem}): run .ci/ensure-engine")
    running = Stack()
    running.down()
    request.config.stack_seconds = running.seconds
    try:
        running.up()
        yield running
    finally:
        running.down()


@pytest.fixture
def trading(stack):
    """Return the stack once the engine trades: a check of "no" proves nothing on a dead stack."""
    if stack.stuck:
        pytest.fail("the engine does not trade: see the first test that found it so")
    try:
        eventually(
            lambda: stack.healthy("gatekeeper") and stack.engine_is("trading"),
            within_s=TRADING_S,
            what="the engine trades",
        )
    except AssertionError:
        stack.stuck = True
        pytest.fail(f"the engine does not trade within {TRADING_S} s\n{stack.story()}")
    return stack


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark every test here, so that none runs without an engine by oversight."""
    for item in items:
        if "tests/container/" in item.path.as_posix():
            item.add_marker(pytest.mark.container)
            item.add_marker(pytest.mark.timeout(1200))


def pytest_terminal_summary(terminalreporter, config):
    """Say how long building and starting took."""
    for name, seconds in getattr(config, "stack_seconds", {}).items():
        terminalreporter.write_line(f"docker compose {name}: {seconds:.1f} s")
