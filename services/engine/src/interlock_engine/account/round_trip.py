"""A finished round trip: what was earned, why it ended."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from interlock_core.money import to_wire
from interlock_core.reasons import ExitReason
from interlock_engine.account.pnl import Fx, Touch
from interlock_engine.account.position import Position


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One entry and its exit; USD, bps, wall-clock nanoseconds.

    `leftover` is what neither venue's minimum let go of, valued at the touch within `pnl_usd`.
    """

    number: int
    asset: str
    direction: str
    opened_wall_ns: int
    closed_wall_ns: int
    notional_usd: Decimal
    pnl_usd: Decimal
    exit_reason: ExitReason
    entry_edge_bps: float
    entry_premium_bps: float | None
    exit_premium_bps: float | None
    leftover: dict[str, str]

    @property
    def won(self) -> bool:
        """Say whether it earned more than nothing."""
        return self.pnl_usd > 0

    @property
    def pnl_bps(self) -> float:
        """Return the result in bps of the notional."""
        return float(self.pnl_usd / self.notional_usd * 10_000) if self.notional_usd else 0.0


def leftover(position: Position) -> dict[str, str]:
    """Return what a closed position still holds by instrument, signed: dust of both venues."""
    return {
        position.instrument(leg).key: signed_text(held)
        for leg, held in position.held.items()
        if held
    }


def signed_text(quantity: Decimal) -> str:
    """Return a signed quantity as plain text."""
    return ("-" if quantity < 0 else "") + to_wire(abs(quantity))


def finish(
    position: Position,
    reason: ExitReason,
    *,
    touches: dict[str, Touch],
    fx: Fx,
    closed_wall_ns: int,
) -> RoundTrip:
    """Return the round trip that a closed position was."""
    return RoundTrip(
        number=position.number,
        asset=position.route.asset,
        direction=position.direction,
        opened_wall_ns=position.opened_wall_ns,
        closed_wall_ns=closed_wall_ns,
        notional_usd=position.notional_usd,
        pnl_usd=position.value_usd(touches, fx, with_fee=False),
        exit_reason=reason,
        entry_edge_bps=position.edge_bps,
        entry_premium_bps=position.entry_premium_bps(),
        exit_premium_bps=position.exit_premium_bps(),
        leftover=leftover(position),
    )
