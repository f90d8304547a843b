"""Picks the market source that a setting asks for."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import aiohttp

from interlock_core.clock import Clock
from interlock_simvenues.market import assets as asset_list
from interlock_simvenues.market import mirror, recording_files
from interlock_simvenues.market.calibration import REGIMES
from interlock_simvenues.market.instruments import Instruments, build
from interlock_simvenues.market.mirror import MirrorError
from interlock_simvenues.market.recording import Recording
from interlock_simvenues.market.source import Source
from interlock_simvenues.market.synthetic import Synthetic
from interlock_simvenues.settings import Settings
from interlock_simvenues.world import FIRST_UPDATE_ID

log = logging.getLogger(__name__)

# Asked before ccxt is imported: without an answer there is nothing to mirror.
_REAL_PROBES = (
    "https://api.upbit.com/v1/market/all",
    "https://api.binance.com/api/v3/ping",
    "https://fapi.binance.com/fapi/v1/ping",
)
_SIM_PROBES = ("/upbit/v1/market/all", "/api/v3/ping", "/fapi/v1/ping")


@dataclass(frozen=True, slots=True)
class Choice:
    """A running source, what was asked for, and why it is not that."""

    source: Source
    instruments: Instruments
    requested: str
    fallback_reason: str | None


async def choose(settings: Settings, clock: Clock) -> Choice:
    """Return a started source; raise ConfigError or MirrorError where the wanted one fails."""
    match settings.market_source:
        case "synthetic":
            return _synthetic(settings, clock, None)
        case "recording":
            return _recording(settings, clock)
        case "mirror":
            return await _mirror(settings, clock)
        case _:
            try:
                return await _mirror(settings, clock)
            except MirrorError as error:
                log.warning("no mirror, using the synthetic market", extra={"why": str(error)})
                return _synthetic(settings, clock, str(error))


def _synthetic(settings: Settings, clock: Clock, reason: str | None) -> Choice:
    assets = asset_list.universe()
    instruments = build(assets, first_update_id=FIRST_UPDATE_ID)
    source = Synthetic(instruments, assets, seed=settings.seed, regime=REGIMES[settings.regime])
    source.start(clock.wall_ns())
    return Choice(source, instruments, settings.market_source, reason)


def _recording(settings: Settings, clock: Clock) -> Choice:
    assets = [asset for asset in asset_list.universe() if asset.perp_multiple == 1]
    known = frozenset(asset.name for asset in assets)
    tracks = recording_files.load(settings.recording_path, known)
    recorded = {name for _, name in tracks.by_market}
    chosen = tuple(asset for asset in assets if asset.name in recorded)
    instruments = build(chosen, first_update_id=FIRST_UPDATE_ID)
    source = Recording(instruments, tracks, seed=settings.seed, speed=settings.recording_speed)
    source.step(clock.wall_ns())
    return Choice(source, instruments, settings.market_source, None)


async def _mirror(settings: Settings, clock: Clock) -> Choice:
    timeout_s = settings.mirror_timeout_s
    base = settings.mirror_url
    probes = _REAL_PROBES if base is None else tuple(base + path for path in _SIM_PROBES)
    await _probe(probes, timeout_s)
    started = mirror.start(
        asset_list.universe(),
        url=base,
        count=settings.mirror_assets,
        clock=clock,
        first_update_id=FIRST_UPDATE_ID,
    )
    try:
        # Importing ccxt and the first books take longer than a probe.
        source = await asyncio.wait_for(started, timeout_s * 4)
    except TimeoutError as error:
        raise MirrorError("the venues' first books did not come in time") from error
    return Choice(source, source.instruments, settings.market_source, None)


async def _probe(urls: tuple[str, ...], timeout_s: float) -> None:
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for url in urls:
            host = url.split("/")[2]
            try:
                async with session.get(url) as answer:
                    status = answer.status
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                why = type(error).__name__
                raise MirrorError(f"{host} cannot be reached ({why})") from error
            if status != 200:  # noqa: PLR2004
                raise MirrorError(f"{host} answered HTTP {status}")
