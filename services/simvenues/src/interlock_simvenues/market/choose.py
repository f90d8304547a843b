"""Picks the market source that a setting asks for."""

from __future__ import annotations

from dataclasses import dataclass

from interlock_simvenues.market import assets as asset_list
from interlock_simvenues.market.calibration import REGIMES
from interlock_simvenues.market.instruments import Instruments, build
from interlock_simvenues.market.source import Source
from interlock_simvenues.market.synthetic import Synthetic
from interlock_simvenues.settings import Settings
from interlock_simvenues.world import FIRST_UPDATE_ID


@dataclass(frozen=True, slots=True)
class Choice:
    """A running source, what was asked for, and why it is not that."""

    source: Source
    instruments: Instruments
    requested: str
    fallback_reason: str | None


async def choose(settings: Settings, now_ns: int) -> Choice:
    """Return a started source."""
    requested, reason = settings.market_source, None
    return _synthetic(settings, now_ns, requested=requested, reason=reason)


def _synthetic(
    settings: Settings, now_ns: int, *, requested: str, reason: str | None
) -> Choice:
    assets = asset_list.universe()
    instruments = build(assets, first_update_id=FIRST_UPDATE_ID)
    regime = REGIMES[settings.regime]
    source = Synthetic(instruments, assets, seed=settings.seed, regime=regime)
    source.start(now_ns)
    return Choice(source, instruments, requested, reason)
