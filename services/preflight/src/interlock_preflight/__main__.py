"""Run the preflight: settings in, table and report out, exit code 0 only if all is ready."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import httpx
from rich.console import Console

from interlock_core import logs
from interlock_core.clock import SystemClock
from interlock_core.settings import ConfigError, describe, environment
from interlock_preflight import attest, record, runner, show
from interlock_preflight.context import Context
from interlock_preflight.settings import SPEC, PreflightSettings, read_settings

EXIT_FAILED, EXIT_USAGE = 1, 2


def main() -> None:
    """Parse, check, report; every mistake in the settings is one line."""
    parser = argparse.ArgumentParser(
        prog="interlock-preflight",
        description="The seven checks before trading. Exit code 0: ready, 1: not, 2: usage. "
        "Without --real it never connects to a real venue, and says what it did not look at.",
        epilog="settings:\n" + describe(SPEC),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--real", action="store_true", help="look at real venues too")
    arguments = parser.parse_args()
    try:
        settings = read_settings(environment())
    except ConfigError as error:
        print("\n".join(error.problems), file=sys.stderr)  # noqa: T201 - the user's own terminal
        sys.exit(EXIT_USAGE)
    try:
        sys.exit(_run(settings, real=arguments.real))
    except attest.AttestError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the user's own terminal
        sys.exit(EXIT_FAILED)


def _run(settings: PreflightSettings, *, real: bool) -> int:
    hidden = [secret for secret in (settings.postgres_dsn, settings.redis_url) if secret]
    logs.configure("preflight", settings.log_level, hidden)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    console = Console(width=None if sys.stdout.isatty() else show.LOG_WIDTH)
    attest.withdraw(settings)
    clock = SystemClock()
    began_wall_ns = clock.wall_ns()
    with httpx.Client(trust_env=False, follow_redirects=False) as http:
        report = runner.run(Context(settings, real, http, clock, Path.cwd()))
    show.show(report, console)
    path = record.to_file(report, settings.runs_dir)
    if settings.postgres_dsn:
        record.to_postgres(report, settings.postgres_dsn)
    attest.attest(report, settings, began_wall_ns=began_wall_ns)
    if path is not None and console.is_terminal:
        console.print(f"report: {path}")
    return 0 if report.ok else EXIT_FAILED


if __name__ == "__main__":
    main()
