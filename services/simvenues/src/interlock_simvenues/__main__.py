"""`interlock-simvenues`: run the simulated venues until a signal ends them."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys

from interlock_core.logs import configure
from interlock_core.settings import ConfigError, describe, environment
from interlock_simvenues.app import running
from interlock_simvenues.market.mirror import MirrorError
from interlock_simvenues.settings import SPEC, Settings, read

USAGE = 2
_ABOUT = """\
Simulated Upbit, Binance spot and Binance USD-M futures behind their real wire protocols.
One port serves REST and WebSocket of all venues; unmodified clients need other base URLs only:

  Upbit REST    http://HOST:PORT/upbit/v1/...
  Upbit WS      ws://HOST:PORT/upbit/websocket/v1[/private]
  Spot REST     http://HOST:PORT/api/v3, /sapi/v1
  Spot WS       ws://HOST:PORT/stream/ws, /stream/stream
  USD-M REST    http://HOST:PORT/fapi/v1|v2|v3
  USD-M WS      ws://HOST:PORT/fstream/{public,market,private}/ws
  WS API        ws://HOST:PORT/ws-api/v3 (spot), /ws-api/v1 (USD-M)

  /health  200 while the market moves        /metrics        Prometheus
  /admin/market  source, regime, assets      /admin/orders   every accepted order
  /admin/accounts  balances and positions    /admin/faults   GET, POST, DELETE: misbehave

No money is real here. Keys are checked all the same: wrong ones are refused as the venues do.
"""


def main() -> None:
    """Parse the command line, read the settings, run; exit code 2 for unusable settings."""
    parser = argparse.ArgumentParser(
        prog="interlock-simvenues",
        description=_ABOUT,
        epilog="Settings (environment variables):\n" + describe(SPEC),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    try:
        settings = read(environment())
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"interlock-simvenues: {problem}\n")
        sys.exit(USAGE)
    configure("simvenues", settings.log_level)
    try:
        asyncio.run(_run(settings))
    except (ConfigError, MirrorError) as error:
        sys.stderr.write(f"interlock-simvenues: {error}\n")
        sys.exit(1)
    except OSError as error:
        sys.stderr.write(f"interlock-simvenues: {error.strerror or error}\n")
        sys.exit(1)


async def _run(settings: Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with running(settings):
        await stopped.wait()
        logging.getLogger(__name__).info("stopping")


if __name__ == "__main__":
    main()
