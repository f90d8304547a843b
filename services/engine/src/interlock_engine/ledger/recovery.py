"""What a session was when its last process ended, from the records of its ledger. Pure.

The counters are told the same things in the same order as they were live. A position is built
again from its fills; an order that was sent and not proven is in doubt. Cost: linear in records.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from interlock_core.clock import Clock
from interlock_core.instrument import Route
from interlock_core.money import ZERO
from interlock_core.reasons import ExitReason
from interlock_core.wire.gate import Holding, Purpose
from interlock_engine.account.leg import LEG_UPBIT
from interlock_engine.account.pnl import Fill, Fx
from interlock_engine.account.position import Phase, Position
from interlock_engine.account.round_trip import RoundTrip
from interlock_engine.decide.budget import Budget
from interlock_engine.execute.order import Order, fill_of, own_fill
from interlock_engine.execute.residual import Residual
from interlock_engine.ledger.records import (
    Alerted,
    Baseline,
    Begun,
    Carried,
    Ended,
    Finished,
    Guarded,
    Moved,
    Opened,
    Record,
    Released,
    Repaired,
    Resumed,
    Sent,
    Settled,
    Undone,
    Unhedged,
)
from interlock_engine.observe.tally import Tally


@dataclass(slots=True)
class OpenTrip:
    """A round trip that had not ended. `orders` are its Sent and Repaired records, in order."""

    opened: Opened
    phase: Phase = Phase.OPENING
    reason: ExitReason | None = None
    orders: list[Sent | Repaired] = field(default_factory=list)
    settled: dict[str, Settled] = field(default_factory=dict)


@dataclass(slots=True)
class Recovered:
    """A session as its ledger tells it; its counters go into the tally that was given."""

    begun: Begun | None = None
    ended: bool = False
    numbers: int = 0
    baseline: tuple[Holding, ...] | None = None
    trips: dict[int, OpenTrip] = field(default_factory=dict)
    unhedged: dict[int, Unhedged] = field(default_factory=dict)
    own_fills: set[str] = field(default_factory=set)


def replay(records: Iterable[Record], tally: Tally) -> Recovered:
    """Return the session that the records tell; raise ValueError where they contradict."""
    found = Recovered()
    for record in records:
        _take(found, tally, record)
    return found


def _take(found: Recovered, tally: Tally, record: Record) -> None:
    match record:
        case Begun():
            found.begun = record
        case Baseline():
            found.baseline = record.holdings
            found.own_fills.update(record.own_fills)
        case Resumed():
            tally.resumed += 1
        case Alerted():
            tally.count_alert(record.severity)
        case Guarded():
            tally.count_guard(record.trigger)
        case Unhedged():
            found.unhedged[record.number] = record
        case Ended():
            found.ended = True
        case Finished() | Undone() | Released():
            del found.trips[_trip(found, record.number).opened.number]
            _count(tally, record)
        case _:
            _follow(found, tally, record)


def _follow(
    found: Recovered, tally: Tally, record: Opened | Moved | Sent | Settled | Repaired
) -> None:
    """Take what happens within an open round trip."""
    match record:
        case Opened():
            found.trips[record.number] = OpenTrip(record)
            tally.count_carried(carried.instrument for carried in record.carried)
            found.numbers = max(found.numbers, record.number)
        case Moved():
            trip = _trip(found, record.number)
            trip.phase, trip.reason = record.phase, record.reason
        case Sent():
            _trip(found, record.number).orders.append(record)
        case Settled():
            _settle(_trip(found, record.number), record, tally)
        case Repaired():
            found.own_fills.add(record.fill.intent_id)
            _trip(found, record.number).orders.append(record)


def _count(tally: Tally, record: Finished | Undone | Released) -> None:
    match record:
        case Finished():
            tally.count_trip(_round_trip(record))
        case Undone():
            tally.count_end(record.asset, Decimal(record.pnl_usd), record.leftover)
        case Released():
            tally.count_end(record.asset, Decimal(record.pnl_usd), {})


def _trip(found: Recovered, number: int) -> OpenTrip:
    trip = found.trips.get(number)
    if trip is None:
        raise ValueError(f"round trip {number} is not open")
    return trip


def _settle(trip: OpenTrip, record: Settled, tally: Tally) -> None:
    intent_id = record.result.intent_id
    for sent in trip.orders:
        if isinstance(sent, Sent) and sent.intent.intent_id == intent_id:
            trip.settled[intent_id] = record
            tally.count_order(sent.intent, record.result)
            return
    raise ValueError(f"the order {intent_id} was never sent")


def _round_trip(record: Finished) -> RoundTrip:
    return RoundTrip(
        number=record.number,
        asset=record.asset,
        direction=record.direction,
        opened_wall_ns=record.opened_wall_ns,
        closed_wall_ns=record.closed_wall_ns,
        notional_usd=Decimal(record.notional_usd),
        pnl_usd=Decimal(record.pnl_usd),
        exit_reason=record.exit_reason,
        entry_edge_bps=record.entry_edge_bps,
        entry_premium_bps=record.entry_premium_bps,
        exit_premium_bps=record.exit_premium_bps,
        leftover=record.leftover,
    )


def restore(trip: OpenTrip, route: Route, clock: Clock) -> tuple[Position, list[Order]]:
    """Return the position that a round trip's fills make, and its orders in doubt.

    How long it has been open is told by the wall clock: the boot-time clock may have begun anew.
    """
    opened = trip.opened
    age_ns = max(clock.wall_ns() - opened.opened_wall_ns, 0)
    position = Position(
        number=opened.number,
        route=route,
        direction=opened.direction,
        quantity=opened.quantity,
        budget=Budget(opened.entry, opened.unwind, opened.legging_ns, opened.worst_usd),
        edge_bps=opened.edge_bps,
        cost_bps=opened.cost_bps,
        opened_wall_ns=opened.opened_wall_ns,
        opened_boot_ns=clock.boot_ns() - age_ns,
        phase=trip.phase,
        exit_reason=trip.reason,
        carried=tuple(_carried(kept, route) for kept in opened.carried),
    )
    if position.phase.is_entering:
        # Nobody saw to it meanwhile: what is short now is undone rather than extended.
        position.unhedged_since_ns = position.opened_boot_ns - opened.legging_ns
    doubtful = []
    for kept in trip.orders:
        fx = Fx(kept.fx_bid, kept.fx_ask)
        if isinstance(kept, Repaired):
            position.apply(Purpose.UNWIND, own_fill(kept.fill, route, fx))
            continue
        intent = kept.intent
        order = Order(route.asset, intent.leg, position.instrument(intent.leg), intent, fx)
        position.attempts[intent.leg] += 1
        settled = trip.settled.get(intent.intent_id)
        if settled is None:
            doubtful.append(order)
        elif (fill := fill_of(order, settled.result)) is not None:
            position.apply(intent.purpose, fill)
    return position, doubtful


def _carried(kept: Carried, route: Route) -> Fill:
    return Fill(
        leg=kept.leg,
        instrument=route.upbit if kept.leg == LEG_UPBIT else route.binance,
        side=kept.side,
        quantity=kept.quantity,
        price=kept.price,
        fee=ZERO,
        fee_currency=None,
        fx=Fx(kept.fx_bid, kept.fx_ask),
    )


def residuals(found: Recovered) -> list[Residual]:
    """Return what was unhedged, as it was last told."""
    return [
        Residual(
            number=record.number,
            asset=record.asset,
            since=record.since,
            value_usd=Decimal(record.value_usd),
            why=record.why,
            held=record.held,
            resolved=record.resolved,
        )
        for record in found.unhedged.values()
    ]
