"""Run the gatekeeper: settings in, one process, exit code out."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

from interlock_core import logs
from interlock_core.settings import ConfigError, describe, environment
from interlock_gatekeeper.app import App
from interlock_gatekeeper.hardening import HardeningError, harden, refusals
from interlock_gatekeeper.journal import AnotherGatekeeperError, JournalError
from interlock_gatekeeper.settings import SPEC, read_settings
from interlock_gatekeeper.vault import VaultError, open_vault

EXIT_FAILED, EXIT_USAGE, EXIT_ANOTHER = 1, 2, 75

log = logging.getLogger("interlock_gatekeeper")


def main() -> None:
    """Harden, parse, build, run; every failure is one line and an exit code."""
    try:
        harden()
    except HardeningError as error:
        sys.exit(_refuse([str(error)]))
    parser = argparse.ArgumentParser(
        prog="interlock-gatekeeper",
        description="The safety gatekeeper: checks, journals, signs and sends every order. "
        "It is set up by environment variables only.",
        epilog="settings:\n" + describe(SPEC),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # What was typed is never shown again: it could be a key.
    _, surplus = parser.parse_known_args()
    sys.exit(_refuse(["expected no arguments"]) if surplus else _run())


def _refuse(problems: Sequence[str]) -> int:
    print("\n".join(problems), file=sys.stderr)  # noqa: T201 - the user's own terminal
    return EXIT_USAGE


def _run() -> int:
    environ = environment()
    try:
        settings = read_settings(environ)
        vault = open_vault(settings)
    except ConfigError as error:
        return _refuse(error.problems)
    except VaultError as error:
        return _refuse([str(error)])
    secrets = vault.secrets() if vault else ()
    reasons = refusals(
        real_venues=settings.venues == "real",
        secrets=secrets,
        environ=environ,
        argv=sys.orig_argv,
    )
    if reasons:
        return _refuse(reasons)
    dsn = (settings.postgres_dsn,) if settings.postgres_dsn else ()
    logs.configure("gatekeeper", settings.log_level, (*secrets, *dsn))
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    try:
        asyncio.run(App(settings, vault, settings.stage).run())
    except AnotherGatekeeperError as error:
        log.critical("cannot start", extra={"why": str(error)})
        return EXIT_ANOTHER
    except (JournalError, OSError) as error:
        log.critical("cannot go on", extra={"why": str(error)})
        return EXIT_FAILED
    except Exception:  # the process edge: a gatekeeper that doubts itself ends, disarmed
        log.exception("ended by an unexpected error")
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    main()
