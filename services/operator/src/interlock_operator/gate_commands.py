"""Find the running stack and run the gatekeeper's own command line in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock_operator import stack_file
from interlock_operator.errors import OperatorError, StackNotFoundError
from interlock_operator.settings import inherited_environment
from interlock_operator.stack_file import Stack

COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yml")
COMPOSE = ("docker", "compose")
COMPOSE_TIMEOUT_S = 15
CTL_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class NativeGate:
    """The gatekeeper of the native stack: its command line runs here, on its socket."""

    operator_socket: Path
    state_dir: Path
    stack: Stack | None

    def command(self, arguments: Sequence[str], _facts: Mapping[str, str]) -> list[str]:
        """Return the command that runs `gatekeeperctl` with arguments."""
        return [sys.executable, "-P", "-m", "interlock_gatekeeper.ctl", *arguments]

    def environment(self, facts: Mapping[str, str]) -> dict[str, str]:
        """Return the environment that the command needs."""
        return {
            **inherited_environment(),
            **facts,
            "OPERATOR_SOCKET": str(self.operator_socket),
            "GATE_STATE_DIR": str(self.state_dir),
            "ARBITRAGE_ENV": "paper",
            **self._stores(),
        }

    def _stores(self) -> dict[str, str]:
        """Return where the running stack's venues and database are, for drills and the audit."""
        if self.stack is None:
            return {}
        return {
            "SIMVENUES_URL": self.stack.simvenues_url,
            "POSTGRES_DSN_FILE": self.stack.postgres_dsn_file,
        }


@dataclass(frozen=True, slots=True)
class ComposeGate:
    """The gatekeeper of the compose stack: its command line runs in its container."""

    stack: None = None

    def command(self, arguments: Sequence[str], facts: Mapping[str, str]) -> list[str]:
        """Return the command that runs `gatekeeperctl` with arguments."""
        passed = [part for name, value in facts.items() for part in ("-e", f"{name}={value}")]
        # A terminal is passed on where there is one, for what the command may ask.
        terminal = () if sys.stdin.isatty() else ("-T",)
        return [*COMPOSE, "exec", *terminal, *passed, "gatekeeper", "gatekeeperctl", *arguments]

    def environment(self, _facts: Mapping[str, str]) -> dict[str, str]:
        """Return the environment that the command needs."""
        return inherited_environment()


Gate = NativeGate | ComposeGate


def find(native_dir: Path) -> Gate:
    """Return the gatekeeper of the stack that runs here, native first; else StackNotFoundError."""
    try:
        stack = stack_file.running(native_dir)
    except StackNotFoundError:
        if compose_runs("gatekeeper"):
            return ComposeGate()
        raise
    return NativeGate(Path(stack.operator_socket), native_dir / "gatekeeper", stack)


def find_journal(native_dir: Path) -> Gate:
    """Return where the journal can be verified: a running stack, or the native one's folder."""
    try:
        return find(native_dir)
    except StackNotFoundError:
        state_dir = native_dir / "gatekeeper"
        if not state_dir.is_dir():
            raise
        return NativeGate(state_dir / "none.sock", state_dir, None)


def compose_runs(service: str) -> bool:
    """Say whether a compose project of this folder runs a service."""
    if shutil.which("docker") is None or not any(Path(name).exists() for name in COMPOSE_FILES):
        return False
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed argument list, no shell
            [*COMPOSE, "ps", "--services", "--status", "running"],
            capture_output=True,
            text=True,
            timeout=COMPOSE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return service in answer.stdout.split()


def run(
    gate: Gate,
    arguments: Sequence[str],
    facts: Mapping[str, str] | None = None,
    *,
    timeout_s: int = CTL_TIMEOUT_S,
) -> int:
    """Run `gatekeeperctl` on the terminal; return its exit code."""
    return _run(gate, arguments, facts or {}, capture=False, timeout_s=timeout_s).returncode


def ask_state(gate: Gate) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the report of `gatekeeperctl state --json`.

    Raises OperatorError where the gatekeeper does not answer.
    """
    done = _run(gate, ("state", "--json"), {}, capture=True)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        raise OperatorError(f"the gatekeeper does not answer: {said}") from None
    return done.returncode, report


def _run(
    gate: Gate,
    arguments: Sequence[str],
    facts: Mapping[str, str],
    *,
    capture: bool,
    timeout_s: int = CTL_TIMEOUT_S,
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - a fixed argument list, no shell
            gate.command(arguments, facts),
            env=gate.environment(facts),
            capture_output=capture,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OperatorError(
            f"gatekeeperctl did not answer within {timeout_s} s: use the console's KILL, "
            "or end the stack"
        ) from error
