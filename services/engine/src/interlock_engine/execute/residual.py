"""What repair could not hedge: kept until it is resolved, never forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from interlock_engine.account.leg import LEGS
from interlock_engine.account.position import Position
from interlock_engine.account.round_trip import signed_text


@dataclass(slots=True)
class Residual:
    """An unhedged quantity; `held` is by instrument, signed."""

    number: int
    asset: str
    since: str
    value_usd: Decimal
    why: str
    held: dict[str, str]
    resolved: bool = False

    def plain(self) -> dict[str, Any]:
        """Return the KPI JSON's entry."""
        return {
            "asset": self.asset,
            "held": self.held,
            "value_usd": float(self.value_usd) if self.value_usd.is_finite() else None,
            "since": self.since,
            "why": self.why,
            "resolved": self.resolved,
        }


def held_now(position: Position) -> dict[str, str]:
    """Return what a position holds, by instrument."""
    return {position.instrument(leg).key: signed_text(position.held[leg]) for leg in LEGS}
