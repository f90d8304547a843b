"""What happened in the session, as it happens: kept in the ledger, counted, shown, stored.

It is told by the loop, the legs and the trader. The ledger comes first: what is not kept there did
not happen for the process that may have to go on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from interlock_core.clock import Clock, rfc3339
from interlock_core.reasons import GuardTrigger, Severity
from interlock_core.wire.gate import OrderResult, OwnFill, SessionBooks
from interlock_engine.account.pnl import Fill, Fx
from interlock_engine.account.position import Position
from interlock_engine.account.round_trip import RoundTrip, leftover
from interlock_engine.execute.order import Order
from interlock_engine.execute.residual import Residual, held_now
from interlock_engine.ledger import records
from interlock_engine.ledger.records import Record
from interlock_engine.observe.histogram import LOOP_BUCKETS_S, ORDER_BUCKETS_S, Histogram
from interlock_engine.observe.tally import Tally

log = logging.getLogger(__name__)

_LEVEL = {
    Severity.P0: logging.CRITICAL,
    Severity.P1: logging.ERROR,
    Severity.P2: logging.WARNING,
    Severity.P3: logging.INFO,
}


class Keeper(Protocol):
    """The ledger."""

    def append(self, record: Record) -> bool:
        """Write one record; return whether it was kept. Never raises."""
        ...

    async def sync(self) -> bool:
        """Wait until every record is on the disk; return whether it is."""
        ...


class Sink(Protocol):
    """Where records go to be shown; may be away, never delays or fails the caller."""

    def order(self, order: Order, result: OrderResult) -> None:
        """Take one order's outcome."""
        ...

    def trip(self, trip: RoundTrip) -> None:
        """Take one finished round trip."""
        ...

    def position(self, position: Position) -> None:
        """Take an open position as it is now."""
        ...

    def gone(self, position: Position) -> None:
        """Forget a position that is not open any more."""
        ...

    def event(self, name: str, fields: dict[str, object]) -> None:
        """Take one event for people."""
        ...


class Scoreboard(Tally):
    """The session's record in memory."""

    def __init__(self, clock: Clock, keeper: Keeper, sinks: Sequence[Sink]) -> None:
        super().__init__()
        self._clock = clock
        self._keeper = keeper
        self._sinks = sinks
        self.loop_latency = Histogram(LOOP_BUCKETS_S)
        self.order_time = Histogram(ORDER_BUCKETS_S)
        self.in_doubt: dict[str, Order] = {}

    def alert(self, severity: Severity, event: str, **details: object) -> None:
        """Count and log an alert."""
        self._keeper.append(records.Alerted(severity))
        self.count_alert(severity)
        log.log(_LEVEL[severity], event, extra={"severity": severity.value, **details})
        for sink in self._sinks:
            sink.event(event, {"severity": severity.value, **details})

    def guard_triggered(self, trigger: GuardTrigger, where: str) -> None:
        """Count a guard that began to hold."""
        self._keeper.append(records.Guarded(trigger))
        self.count_guard(trigger)
        self.alert(Severity.P3, "guard triggered", guard=trigger.value, where=where)

    def baseline(self, books: SessionBooks) -> None:
        """Keep what the gatekeeper's books held before this session's first order."""
        own = tuple(fill.intent_id for fill in books.own_fills)
        self._keeper.append(records.Baseline(books.holdings, own))

    async def opened(self, position: Position) -> bool:
        """Keep a round trip that is about to begin, on the disk; return whether that worked."""
        budget = position.budget
        kept = self._keeper.append(
            records.Opened(
                number=position.number,
                asset=position.route.asset,
                direction=position.direction,
                quantity=position.quantity,
                edge_bps=position.edge_bps,
                cost_bps=position.cost_bps,
                opened_wall_ns=position.opened_wall_ns,
                entry=dict(budget.entry),
                unwind=dict(budget.unwind),
                legging_ns=budget.legging_ns,
                worst_usd=budget.worst_usd,
                carried=tuple(_carried(fill) for fill in position.carried),
            )
        )
        if kept:
            self.count_carried(fill.instrument.key for fill in position.carried)
        return kept and await self._keeper.sync()

    def moved(self, position: Position) -> None:
        """Keep the phase that a round trip has come to."""
        record = records.Moved(position.number, position.phase, position.exit_reason)
        self._keeper.append(record)

    def sending(self, position: Position, order: Order) -> bool:
        """Keep an order that is about to be sent; return whether that was possible."""
        fx = order.fx
        return self._keeper.append(records.Sent(position.number, order.intent, fx.bid, fx.ask))

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

    def settled(self, position: Position, order: Order, result: OrderResult) -> None:
        """Keep and count a proven outcome."""
        self._keeper.append(records.Settled(position.number, result))
        self.order_time.add(self._clock.boot_ns() - order.intent.created_boot_ns)
        self.count_order(order.intent, result)
        log.info("order", extra=_order_line(order, result))
        for sink in self._sinks:
            sink.order(order, result)

    def repaired(self, position: Position, fill: OwnFill, fx: Fx) -> None:
        """Keep a fill of the gatekeeper's own order, which reduced one of our positions."""
        self._keeper.append(records.Repaired(position.number, fill, fx.bid, fx.ask))
        self.alert(
            Severity.P1,
            "the gatekeeper reduced a position itself",
            intent_id=fill.intent_id,
            instrument=fill.instrument,
            quantity=str(fill.filled_quantity),
        )

    def over_budget(self, position: Position, order: Order) -> None:
        """Note that undoing a leg costs more than was priced before the round trip began."""
        self.alert(
            Severity.P1,
            "undoing a leg costs more than its budget",
            asset=position.route.asset,
            instrument=order.instrument.key,
            quoted=str(order.intent.quoted_price),
            bound=str(position.budget.unwind[order.leg]),
        )

    def finished(self, trip: RoundTrip) -> None:
        """Keep and count a finished round trip."""
        self._keeper.append(_finished(trip))
        self.count_trip(trip)
        log.info("round trip", extra=trip_line(trip))
        for sink in self._sinks:
            sink.trip(trip)
            sink.event("round trip", dict(trip_line(trip)))

    def aborted(self, position: Position, pnl_usd: Decimal) -> None:
        """Keep an entry that came to nothing; where something filled, count its cost."""
        asset, left = position.route.asset, leftover(position)
        self._keeper.append(records.Undone(position.number, asset, str(pnl_usd), left))
        self.count_end(asset, pnl_usd, left)
        for sink in self._sinks:
            sink.gone(position)
        if position.fills:
            self.alert(Severity.P2, "entry undone", asset=asset, pnl_usd=round(float(pnl_usd), 4))

    def released(self, position: Position, pnl_usd: Decimal) -> None:
        """Keep that a position is not ours any more; its result so far is counted."""
        asset, held = position.route.asset, held_now(position)
        self._keeper.append(records.Released(position.number, asset, str(pnl_usd), held))
        self.count_end(asset, pnl_usd, {})
        for sink in self._sinks:
            sink.gone(position)
        self.alert(
            Severity.P0, "a position is not in the gatekeeper's books", asset=asset, held=held
        )

    def changed(self, position: Position) -> None:
        """Show an open position as it is now."""
        for sink in self._sinks:
            sink.position(position)

    def unhedged(self, residual: Residual) -> None:
        """Keep a residual that began or was resolved."""
        self._keeper.append(
            records.Unhedged(
                number=residual.number,
                asset=residual.asset,
                since=residual.since,
                value_usd=str(residual.value_usd),
                why=residual.why,
                held=residual.held,
                resolved=residual.resolved,
            )
        )


def _carried(fill: Fill) -> records.Carried:
    return records.Carried(
        leg=fill.leg,
        instrument=fill.instrument.key,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        fx_bid=fill.fx.bid,
        fx_ask=fill.fx.ask,
    )


def _finished(trip: RoundTrip) -> records.Finished:
    return records.Finished(
        number=trip.number,
        asset=trip.asset,
        direction=trip.direction,
        opened_wall_ns=trip.opened_wall_ns,
        closed_wall_ns=trip.closed_wall_ns,
        notional_usd=str(trip.notional_usd),
        pnl_usd=str(trip.pnl_usd),
        exit_reason=trip.exit_reason,
        entry_edge_bps=trip.entry_edge_bps,
        entry_premium_bps=trip.entry_premium_bps,
        exit_premium_bps=trip.exit_premium_bps,
        leftover=trip.leftover,
    )


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
