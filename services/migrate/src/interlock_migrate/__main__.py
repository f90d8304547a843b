"""Run the migration: settings in, database at head, exit code out."""

from __future__ import annotations

import argparse
import logging
import sys

import psycopg

from interlock_core import logs
from interlock_core.settings import ConfigError, describe, environment
from interlock_migrate.files import MigrationError, packaged
from interlock_migrate.runner import migrate
from interlock_migrate.settings import SPEC, read_settings

EXIT_FAILED, EXIT_USAGE = 1, 2

log = logging.getLogger("interlock_migrate")


def main() -> None:
    """Parse, migrate; every failure is one line and an exit code."""
    parser = argparse.ArgumentParser(
        prog="interlock-migrate",
        description="Creates the database roles and brings the schema to head, then exits. "
        "Running it again changes nothing. It is set up by environment variables only.",
        epilog="settings:\n" + describe(SPEC),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    sys.exit(_run())


def _run() -> int:
    try:
        settings = read_settings(environment())
    except ConfigError as error:
        print("\n".join(error.problems), file=sys.stderr)  # noqa: T201 - the user's own terminal
        return EXIT_USAGE
    logs.configure("migrate", settings.log_level, settings.secrets())
    try:
        applied = migrate(settings, packaged())
    except MigrationError as error:
        log.critical("cannot migrate", extra={"why": str(error)})
        return EXIT_FAILED
    except psycopg.Error as error:
        log.critical("the database refused", extra={"why": " ".join(str(error).split())})
        return EXIT_FAILED
    log.info("schema is at head", extra={"applied": list(applied)})
    return 0


if __name__ == "__main__":
    main()
