"""Mean reversion: a route's premium against its own slow baseline."""

from __future__ import annotations

from dataclasses import dataclass

from interlock_engine.decide.spread import Direction, Fees, Premium

NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class SignalSettings:
    """When a route's baseline may be believed, and what a round trip must promise.

    After `pool_s` a route's own history weighs as much as what all routes have in common.
    """

    half_life_s: float
    warm_up_s: float
    pool_s: float
    threshold_bps: float


class Baseline:
    """Exponential moving average of a premium over time, in bps.

    Until one half-life has passed it is the plain average over time, so the first value does not
    outweigh what follows. A silence longer than the half-life starts it anew.
    """

    __slots__ = ("_half_life_ns", "_last_ns", "_warm_up_ns", "since_ns", "value")

    def __init__(self, half_life_s: float, warm_up_s: float) -> None:
        self._half_life_ns = half_life_s * NS_PER_S
        self._warm_up_ns = warm_up_s * NS_PER_S
        self.since_ns = self._last_ns = 0
        self.value = 0.0

    def update(self, value_bps: float, now_ns: int) -> None:
        """Take a value as of now_ns."""
        delta = now_ns - self._last_ns
        if self.since_ns == 0 or delta > self._half_life_ns:
            self.since_ns = self._last_ns = now_ns
            self.value = value_bps
            return
        if delta <= 0:
            return
        age = now_ns - self.since_ns
        slow = 1.0 - 0.5 ** (delta / self._half_life_ns)
        self.value += max(slow, delta / age if age < self._half_life_ns else 0.0) * (
            value_bps - self.value
        )
        self._last_ns = now_ns

    def pooled(self, common_bps: float, *, pool_s: float, now_ns: int) -> float:
        """Return the baseline shrunk toward the common one, less so the longer its history.

        A short history of a premium that swings slowly is a bad guess of its mean; most of a
        premium is common to all assets, so early on the other routes know more.
        """
        age_ns = now_ns - self.since_ns
        weight = age_ns / (age_ns + pool_s * NS_PER_S) if age_ns > 0 else 0.0
        return weight * self.value + (1.0 - weight) * common_bps

    def is_warm(self, now_ns: int) -> bool:
        """Say whether the baseline has seen enough to trade on."""
        return self.since_ns > 0 and now_ns - self.since_ns >= self._warm_up_ns


@dataclass(frozen=True, slots=True)
class Signal:
    """A wish to enter: the direction, the premium it trades at and the net gain it expects."""

    direction: Direction
    premium_bps: float
    edge_bps: float


def expected_edge_bps(premium: Premium, baseline_bps: float, fees: Fees) -> float:
    """Return the net gain of entering now and leaving when the mid is at the baseline, in bps.

    Entering and leaving each cross half of `premium.cost`.
    """
    return abs(baseline_bps - premium.mid) - premium.cost - fees.round_trip_bps


def signal(
    premium: Premium, baseline_bps: float, *, fees: Fees, threshold_bps: float
) -> Signal | None:
    """Return the entry that the premium asks for, or None."""
    edge = expected_edge_bps(premium, baseline_bps, fees)
    if not edge > threshold_bps:
        return None
    direction = Direction.BUY_UPBIT if premium.mid < baseline_bps else Direction.SELL_UPBIT
    return Signal(direction, premium.executable(direction), edge)
