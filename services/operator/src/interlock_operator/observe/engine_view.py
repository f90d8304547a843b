"""What the view needs of the engine's `/state`, whatever else it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EngineView:
    """The engine as people see it; None and empty where it did not say."""

    state: str
    reason: str
    source: str | None
    regime: str | None
    fallback_reason: str | None
    uptime_s: float
    has_market_data: bool
    guards: Mapping[str, Any]
    kpis: Mapping[str, Any]
    positions: tuple[Mapping[str, Any], ...]
    trips: tuple[Mapping[str, Any], ...]
    residuals: int


def parse(state: Mapping[str, Any] | None) -> EngineView | None:
    """Return the view's part of the engine's state; None where the engine did not answer."""
    if state is None:
        return None
    market = _mapping(state.get("market"))
    ages = _mapping(market.get("age_ms"))
    residuals = state.get("residuals")
    return EngineView(
        state=str(state.get("state", "unknown")),
        reason=str(state.get("reason") or ""),
        source=market.get("source"),
        regime=market.get("regime"),
        fallback_reason=market.get("fallback_reason"),
        uptime_s=float(state.get("uptime_s") or 0.0),
        has_market_data=any(age is not None for age in ages.values()),
        guards=_mapping(state.get("guards")),
        kpis=_mapping(state.get("kpis")),
        positions=_mappings(state.get("open_positions")),
        trips=_mappings(state.get("last_round_trips")),
        residuals=len(residuals) if isinstance(residuals, list) else 0,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> tuple[Mapping[str, Any], ...]:
    return tuple(filter(None, map(_mapping, value))) if isinstance(value, list) else ()
