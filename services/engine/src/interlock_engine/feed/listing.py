"""Waits until both venues say what they list, then chooses the session's routes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from decimal import Decimal

import aiohttp

from interlock_core.endpoints import Endpoints
from interlock_engine.decide.universe import Universe, select
from interlock_engine.feed.rest import MarketDataError, fetch_candidates

log = logging.getLogger(__name__)

RETRY_S = 1.0


async def choose_universe(
    http: aiohttp.ClientSession,
    where: Endpoints,
    *,
    perp: bool,
    count: int,
    notional_usd: Decimal,
    keep: AbstractSet[str],
    tell: Callable[[str], None],
) -> Universe:
    """Return the routes to trade, asking once a second until it can; `tell` hears why not.

    The assets in `keep` hold a position and are among them wherever they are listed.
    """
    last = ""
    while True:
        try:
            found = await fetch_candidates(http, where, perp=perp)
            break
        except MarketDataError as error:
            if str(error) != last:
                log.warning("no market data yet", extra={"why": str(error)})
            last = str(error)
            tell(last)
        await asyncio.sleep(RETRY_S)
    universe = select(found, count, notional_usd, keep)
    assets = [route.asset for route in universe.routes]
    log.info("universe", extra={"assets": assets, "left_out": dict(universe.left_out)})
    tell("" if assets else "no asset is listed on both venues and fits the order size")
    return universe
