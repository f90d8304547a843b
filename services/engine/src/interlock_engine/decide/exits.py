"""When to leave: pure rules over one open position and the market as it is."""

from __future__ import annotations

from dataclasses import dataclass

from interlock_core.reasons import ExitReason
from interlock_engine.decide.spread import Direction, Fees, Premium, edge_bps


@dataclass(frozen=True, slots=True)
class ExitSettings:
    """Limits of a position, in bps of its notional and in seconds.

    The stop loss counts from what the position was worth right after its entry: on a coarse price
    grid crossing the spread there and back is a loss by itself, and no news.
    """

    take_profit_bps: float
    stop_loss_bps: float
    time_limit_s: float
    reversal_bps: float


@dataclass(frozen=True, slots=True)
class Held:
    """What the exit rules need to know of a position; `cost_bps` are its spreads and fees."""

    direction: Direction
    entry_premium_bps: float
    opened_ns: int
    cost_bps: float


def net_edge_bps(held: Held, premium: Premium, fees: Fees) -> float:
    """Return what closing now would earn over the whole round trip, net of all fees, in bps."""
    exit_premium = premium.executable(held.direction.opposite)
    return edge_bps(
        held.direction, held.entry_premium_bps, exit_premium_bps=exit_premium, fees=fees
    )


def exit_reason(
    held: Held,
    premium: Premium,
    *,
    baseline_bps: float,
    fees: Fees,
    settings: ExitSettings,
    now_ns: int,
) -> ExitReason | None:
    """Return why the position should be closed now, or None.

    Spread reversal: the premium has passed its baseline by `reversal_bps`, so that nothing is
    left to expect, although the profit target was not met.
    """
    edge = net_edge_bps(held, premium, fees)
    if edge >= settings.take_profit_bps:
        return ExitReason.TAKE_PROFIT
    if edge <= -(settings.stop_loss_bps + held.cost_bps):
        return ExitReason.STOP_LOSS
    if now_ns - held.opened_ns >= settings.time_limit_s * 1e9:
        return ExitReason.TIME_LIMIT
    left = baseline_bps - premium.mid
    if held.direction is Direction.SELL_UPBIT:
        left = -left
    return ExitReason.SPREAD_REVERSAL if left <= -settings.reversal_bps else None
