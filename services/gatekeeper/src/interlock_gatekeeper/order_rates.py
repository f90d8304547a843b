"""Token buckets over the order times that the journal holds: how fast a session may send."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import parse_key
from interlock_core.wire.gate import OrderIntent
from interlock_gatekeeper import limits
from interlock_gatekeeper.limits import Caps
from interlock_gatekeeper.state import Bucket


@dataclass(frozen=True, slots=True)
class Rate:
    """One bucket's name, its orders a second, and how many may come at once."""

    name: str
    per_s: int
    burst: int


def venue_rate(intent: OrderIntent, caps: Caps, *, reducing: bool) -> Rate:
    """Return the bucket of the order's venue; reducing orders never wait behind new ones."""
    venue, _ = parse_key(intent.instrument)
    if reducing:
        return Rate(f"{venue}/reducing", limits.REDUCING_RATE_PER_S, limits.REDUCING_BURST)
    return Rate(venue, caps.rate_per_s, caps.burst)


def symbol_rate(intent: OrderIntent) -> Rate:
    """Return the bucket of the order's instrument."""
    return Rate(intent.instrument, limits.SYMBOL_RATE_PER_S, limits.SYMBOL_BURST)


def tokens_left(bucket: Bucket | None, rate: Rate, now_ns: int) -> Decimal:
    """Return how many orders the bucket lets through now."""
    if bucket is None:
        return Decimal(rate.burst)
    gained = Decimal(max(now_ns - bucket.at_ns, 0) * rate.per_s) / NS_PER_S
    return min(bucket.tokens + gained, Decimal(rate.burst))


def take(buckets: dict[str, Bucket], rate: Rate, now_ns: int) -> None:
    """Take one token for an order that is sent."""
    left = tokens_left(buckets.get(rate.name), rate, now_ns)
    buckets[rate.name] = Bucket(left - 1, now_ns)
