"""What the view needs of the engine's `/state`, whatever else it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EngineView:
    """The engine as people see it; None and empty where it did not say."""

    state: str
    reason: str | None
    source: str | None
    regime: str | None
    fallback_reason: str | None
    duration_s: float
    messages: int
    kpis: Mapping[str, Any]
    positions: tuple[Mapping[str, Any], ...]
    trips: tuple[Mapping[str, Any], ...]


def parse(state: Mapping[str, Any] | None) -> EngineView | None:
    """Return the view's part of the engine's state; None where the engine did not answer."""
    if state is None:
        return None
    market = _mapping(state.get("market"))
    return EngineView(
        state=str(state.get("state", "unknown")),
        reason=state.get("reason"),
        source=market.get("source"),
        regime=market.get("regime"),
        fallback_reason=market.get("fallback_reason"),
        duration_s=float(state.get("duration_s") or 0.0),
        messages=sum(_mapping(market.get("messages")).values()),
        kpis=_mapping(state.get("kpis")),
        positions=_mappings(state.get("positions")),
        trips=_mappings(state.get("last_round_trips")),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> tuple[Mapping[str, Any], ...]:
    return tuple(filter(None, map(_mapping, value))) if isinstance(value, list) else ()
