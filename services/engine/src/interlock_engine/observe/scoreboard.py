"""What happened in the session: counters and lists that only grow. Everything shown comes from it.

It is told by the loop, the legs and the trader, and hands records on to the stores.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from interlock_core.clock import Clock, rfc3339
from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_core.reasons import ExitReason, GuardTrigger, Severity
from interlock_core.wire.gate import OrderResult, Outcome, Purpose
from interlock_engine.account.position import Position
from interlock_engine.account.round_trip import RoundTrip
from interlock_engine.execute.order import Order, slippage_bps
from interlock_engine.observe.histogram import LOOP_BUCKETS_S, ORDER_BUCKETS_S, Histogram

log = logging.getLogger(__name__)

LAST_TRIPS = 10
ENTERING = (Purpose.ENTRY, Purpose.REPAIR)
# These outcomes say how much the venue filled; a veto or a refusal says nothing about fills.
TRADED = (Outcome.FILLED, Outcome.PARTLY_FILLED, Outcome.UNFILLED)
_LEVEL = {
    Severity.P0: logging.CRITICAL,
    Severity.P1: logging.ERROR,
    Severity.P2: logging.WARNING,
    Severity.P3: logging.INFO,
}


class Sink(Protocol):
    """Where records go to be kept; may be away, never delays or fails the caller."""

    def order(self, order: Order, result: OrderResult) -> None:
        """Keep one order's outcome."""
        ...

    def trip(self, trip: RoundTrip) -> None:
        """Keep one finished round trip."""
        ...

    def position(self, position: Position) -> None:
        """Keep an open position as it is now."""
        ...

    def gone(self, position: Position) -> None:
        """Forget a position that is not open any more."""
        ...

    def event(self, name: str, fields: dict[str, object]) -> None:
        """Keep one event for people."""
        ...


@dataclass(slots=True)
class Mean:
    """A running mean; 0 before the first value."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Take one value."""
        self.total += value
        self.count += 1

    @property
    def value(self) -> float:
        """Return the mean."""
        return self.total / self.count if self.count else 0.0


class Scoreboard:
    """The session's record in memory."""

    def __init__(self, clock: Clock, sinks: tuple[Sink, ...]) -> None:
        self._clock = clock
        self._sinks = sinks
        self.loop_latency = Histogram(LOOP_BUCKETS_S)
        self.order_time = Histogram(ORDER_BUCKETS_S)
        self.realised_usd = ZERO
        self.wins = self.losses = 0
        self.trades = {"entry": 0, "exit": 0}
        self.exit_reasons: dict[str, int] = dict.fromkeys((r.value for r in ExitReason), 0)
        self.guards: dict[str, int] = dict.fromkeys((g.value for g in GuardTrigger), 0)
        self.alerts: dict[str, int] = dict.fromkeys((s.value for s in Severity), 0)
        self.vetoes: dict[str, int] = {}
        self.per_asset: dict[str, tuple[int, Decimal]] = {}
        self.slippage = {side: Mean() for side in Side}
        self.fill_ratio = {side: Mean() for side in Side}
        self.in_doubt: dict[str, Order] = {}
        self.last_trips: deque[RoundTrip] = deque(maxlen=LAST_TRIPS)

    def alert(self, severity: Severity, event: str, **details: object) -> None:
        """Count and log an alert."""
        self.alerts[severity] += 1
        log.log(_LEVEL[severity], event, extra={"severity": severity.value, **details})
        for sink in self._sinks:
            sink.event(event, {"severity": severity.value, **details})

    def guard_triggered(self, trigger: GuardTrigger, where: str) -> None:
        """Count a guard that began to hold."""
        self.guards[trigger] += 1
        self.alert(Severity.P3, "guard triggered", guard=trigger.value, where=where)

    def doubt_began(self, order: Order) -> None:
        """Note an order in doubt: somebody should look if it stays so."""
        self.in_doubt[order.intent.intent_id] = order
        self.alert(
            Severity.P1,
            "order in doubt",
            intent_id=order.intent.intent_id,
            instrument=order.instrument.key,
        )

    def doubt_ended(self, order: Order) -> None:
        """Note that an order in doubt is proven."""
        self.in_doubt.pop(order.intent.intent_id, None)

    def settled(self, order: Order, result: OrderResult) -> None:
        """Count a proven outcome."""
        intent = order.intent
        self.order_time.add(self._clock.boot_ns() - intent.created_boot_ns)
        if result.outcome is Outcome.VETOED:
            code = result.code or "UNSAID"
            self.vetoes[code] = self.vetoes.get(code, 0) + 1
        if result.outcome in TRADED:
            ratio = min(float(result.filled_quantity / intent.quantity), 1.0)
            self.fill_ratio[intent.side].add(ratio)
        if result.filled_quantity > ZERO:
            self.slippage[intent.side].add(slippage_bps(order, result))
            self.trades["entry" if intent.purpose in ENTERING else "exit"] += 1
        log.info("order", extra=_order_line(order, result))
        for sink in self._sinks:
            sink.order(order, result)

    def finished(self, trip: RoundTrip) -> None:
        """Count a finished round trip."""
        self.realised_usd += trip.pnl_usd
        self.wins += trip.won
        self.losses += not trip.won
        self.exit_reasons[trip.exit_reason] += 1
        count, pnl = self.per_asset.get(trip.asset, (0, ZERO))
        self.per_asset[trip.asset] = (count + 1, pnl + trip.pnl_usd)
        self.last_trips.append(trip)
        log.info("round trip", extra=trip_line(trip))
        for sink in self._sinks:
            sink.trip(trip)
            sink.event("round trip", dict(trip_line(trip)))

    def aborted(self, position: Position, pnl_usd: Decimal) -> None:
        """Count an entry that was undone: its cost is real, but it was no round trip."""
        self.realised_usd += pnl_usd
        asset = position.route.asset
        count, pnl = self.per_asset.get(asset, (0, ZERO))
        self.per_asset[asset] = (count, pnl + pnl_usd)
        for sink in self._sinks:
            sink.gone(position)
        self.alert(Severity.P2, "entry undone", asset=asset, pnl_usd=round(float(pnl_usd), 4))

    def changed(self, position: Position) -> None:
        """Keep an open position as it is now."""
        for sink in self._sinks:
            sink.position(position)

    @property
    def round_trips(self) -> int:
        """Return how many round trips were finished."""
        return self.wins + self.losses


def _order_line(order: Order, result: OrderResult) -> dict[str, object]:
    intent = order.intent
    return {
        "intent_id": intent.intent_id,
        "purpose": intent.purpose.value,
        "instrument": intent.instrument,
        "side": intent.side.value,
        "quantity": str(intent.quantity),
        "limit": str(intent.price),
        "outcome": result.outcome.value,
        "code": result.code,
        "filled": str(result.filled_quantity),
        "average": str(result.average_price),
        "venue_ms": result.latency_ms,
    }


def trip_line(trip: RoundTrip) -> dict[str, object]:
    """Return a round trip as the log, the event stream and the terminal view show it."""
    return {
        "number": trip.number,
        "asset": trip.asset,
        "direction": trip.direction,
        "opened_at": rfc3339(trip.opened_wall_ns),
        "closed_at": rfc3339(trip.closed_wall_ns),
        "seconds": round((trip.closed_wall_ns - trip.opened_wall_ns) / 1e9, 2),
        "notional_usd": round(float(trip.notional_usd), 2),
        "pnl_usd": round(float(trip.pnl_usd), 4),
        "pnl_bps": round(trip.pnl_bps, 2),
        "exit_reason": trip.exit_reason.value,
        "entry_edge_bps": round(trip.entry_edge_bps, 2),
        "entry_premium_bps": _rounded(trip.entry_premium_bps),
        "exit_premium_bps": _rounded(trip.exit_premium_bps),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
