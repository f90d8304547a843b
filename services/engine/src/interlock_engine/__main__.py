"""Run the engine: settings in, one process, exit code out."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

import uvloop

from interlock_core import logs
from interlock_core.clock import Clock, SystemClock
from interlock_core.settings import ConfigError, describe, environment
from interlock_engine.app import EXIT_FAILED, App
from interlock_engine.ledger.file import LedgerError
from interlock_engine.ledger.sessions import Run, choose
from interlock_engine.settings import SPEC, EngineSettings, read_settings

EXIT_USAGE = 2

log = logging.getLogger("interlock_engine")


def main() -> None:
    """Parse, build, run; every failure is one line and an exit code."""
    parser = argparse.ArgumentParser(
        prog="interlock-engine",
        description="Market data to decisions to orders through the gatekeeper. "
        "It holds no trading key and is set up by environment variables only.",
        epilog="settings:\n" + describe(SPEC) + "\n\nexit codes: 0 done, 1 failed or something "
        "left open, 2 bad settings, 4 ended while killed",
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
    logs.configure("engine", settings.log_level, settings.secrets())
    clock = SystemClock()
    try:
        run = choose(settings, clock)
    except ConfigError as error:
        print("\n".join(error.problems), file=sys.stderr)  # noqa: T201 - the user's own terminal
        return EXIT_USAGE
    except LedgerError as error:
        log.critical("cannot start", extra={"why": str(error)})
        return EXIT_FAILED
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_engine(settings, run, clock))
    except (LedgerError, OSError) as error:
        log.critical("cannot go on", extra={"why": str(error)})
        return EXIT_FAILED
    except Exception:  # the process edge: positions were reported, nothing more is sent
        log.exception("ended by an unexpected error")
        return EXIT_FAILED


async def _engine(settings: EngineSettings, run: Run, clock: Clock) -> int:
    return await App(settings, run, clock).run()


if __name__ == "__main__":
    main()
