"""`interlock preflight`: run the checks against the stack that runs here, or the settings here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from interlock_operator import gate_commands, stack_file
from interlock_operator.errors import StackNotFoundError
from interlock_operator.native.stores import StoreFiles
from interlock_operator.settings import inherited_environment, secrets_environment


def run(native_dir: Path, *, real: bool) -> int:
    """Run the preflight on this terminal; return its exit code."""
    arguments = ("--real",) if real else ()
    try:
        stack = stack_file.running(native_dir)
    except StackNotFoundError:
        if gate_commands.compose_runs("gatekeeper"):
            command = [*gate_commands.COMPOSE, "run", "--rm", "--no-deps", "preflight"]
            return _call([*command, *arguments], inherited_environment())
        # Nothing runs: what can be checked from the settings alone still is.
        return _call(_module(arguments), {**inherited_environment(), **secrets_environment()})
    env = {
        **inherited_environment(),
        "UNIVERSE": stack.universe,
        "SIMVENUES_URL": stack.simvenues_url,
        "GATEKEEPER_URL": stack.gatekeeper_url,
        "POSTGRES_DSN_FILE": str(StoreFiles(native_dir / "secrets").role_dsn("preflight")),
        "REDIS_URL_FILE": stack.redis_url_file,
        "RUNS_DIR": str(Path(stack.session_dir).parent),
    }
    return _call(_module(arguments), env)


def _module(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-P", "-m", "interlock_preflight", *arguments]


def _call(command: list[str], env: dict[str, str]) -> int:
    return subprocess.run(command, env=env, check=False).returncode  # noqa: S603 - fixed list
