"""Run the gatekeeper: settings in, one process, exit code out."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from interlock_core import logs
from interlock_core.settings import ConfigError, describe, environment
from interlock_gatekeeper.app import App
from interlock_gatekeeper.journal import AnotherGatekeeperError, JournalError
from interlock_gatekeeper.settings import SPEC, read_settings
from interlock_gatekeeper.vault import VaultError, open_vault

EXIT_FAILED, EXIT_USAGE, EXIT_ANOTHER = 1, 2, 75

log = logging.getLogger("interlock_gatekeeper")


def main() -> None:
    """Parse, build, run; every failure is one line and an exit code."""
    parser = argparse.ArgumentParser(
        prog="interlock-gatekeeper",
        description="The safety gatekeeper: checks, journals, signs and sends every order. "
        "It is set up by environment variables only.",
        epilog="settings:\n" + describe(SPEC),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    sys.exit(_run())


def _run() -> int:
    try:
        settings = read_settings(environment())
        vault = open_vault(settings)
    except (ConfigError, VaultError) as error:
        problems = error.problems if isinstance(error, ConfigError) else (str(error),)
        print("\n".join(problems), file=sys.stderr)  # noqa: T201 - the user's own terminal
        return EXIT_USAGE
    logs.configure("gatekeeper", settings.log_level, vault.secrets() if vault else ())
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
