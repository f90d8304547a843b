"""One order on its way: the intent, and what is needed to read its result."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from interlock_core import ids
from interlock_core.instrument import Instrument, Route, Side
from interlock_core.money import ZERO
from interlock_core.wire import gate
from interlock_core.wire.gate import OrderIntent, OrderResult, Outcome, OwnFill, Purpose
from interlock_engine.account.leg import LEG_BINANCE, LEG_UPBIT
from interlock_engine.account.pnl import Fill, Fx, Touch
from interlock_engine.account.position import Position
from interlock_engine.decide.sizing import limit_price

GATE_LOST = "GATE_LOST"


class Gate(Protocol):
    """What the legs need of the gatekeeper."""

    @property
    def epoch(self) -> int:
        """Return the epoch of the running session; 0 where there is none."""
        ...

    async def submit(self, intent: OrderIntent) -> OrderResult:
        """Return what became of the intent; UNKNOWN where that is not proven. Never raises."""
        ...

    async def prove(self, intent: OrderIntent) -> OrderResult:
        """Return the proven outcome of an intent in doubt, however long that takes."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """One order the legs want; the collar is in bps beyond the touch."""

    leg: str
    side: Side
    quantity: Decimal
    purpose: Purpose
    collar_bps: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """An order and the market it was decided on."""

    asset: str
    leg: str
    instrument: Instrument
    intent: OrderIntent
    fx: Fx

    @property
    def opens(self) -> bool:
        """Say whether the order adds to a leg rather than reducing it."""
        return self.intent.purpose in (Purpose.ENTRY, Purpose.REPAIR)


def build(
    wanted: Wanted,
    position: Position,
    *,
    session_id: str,
    epoch: int,
    touch: Touch,
    fx: Fx,
    now_boot_ns: int,
) -> Order:
    """Return the order for what is wanted, priced at the touch as it is now."""
    instrument = position.instrument(wanted.leg)
    attempt = position.next_attempt(wanted.leg)
    quoted = touch.ask if wanted.side is Side.BUY else touch.bid
    is_entry = wanted.purpose is Purpose.ENTRY
    edge = Decimal(str(round(position.edge_bps, 2))) if is_entry else ZERO
    intent = OrderIntent(
        schema=gate.SCHEMA,
        intent_id=ids.intent_id(session_id, position.number, wanted.leg, attempt),
        group_id=f"rt{position.number:06d}-{session_id[-4:]}",
        leg=wanted.leg,
        purpose=wanted.purpose,
        instrument=instrument.key,
        side=wanted.side,
        type="limit",
        time_in_force="ioc",
        quantity=wanted.quantity,
        price=limit_price(instrument, wanted.side, quoted, wanted.collar_bps),
        quoted_price=quoted,
        edge_bps=edge,
        created_boot_ns=now_boot_ns,
        epoch=epoch,
    )
    return Order(position.route.asset, wanted.leg, instrument, intent, fx)


def fill_of(order: Order, result: OrderResult) -> Fill | None:
    """Return the fill in a result, or None where nothing filled."""
    if result.filled_quantity <= ZERO:
        return None
    return Fill(
        leg=order.leg,
        instrument=order.instrument,
        side=order.intent.side,
        quantity=result.filled_quantity,
        price=result.average_price,
        fee=result.fee,
        fee_currency=result.fee_currency,
        fx=order.fx,
    )


def own_fill(fill: OwnFill, route: Route, fx: Fx) -> Fill:
    """Return what the gatekeeper's own order filled, as a fill of a route's leg."""
    is_upbit = fill.instrument == route.upbit.key
    return Fill(
        leg=LEG_UPBIT if is_upbit else LEG_BINANCE,
        instrument=route.upbit if is_upbit else route.binance,
        side=fill.side,
        quantity=fill.filled_quantity,
        price=fill.average_price,
        fee=fill.fee,
        fee_currency=fill.fee_currency,
        fx=fx,
    )


def slippage_bps(intent: OrderIntent, result: OrderResult) -> float:
    """Return how much worse than the quoted touch a filled order was, in bps."""
    quoted = intent.quoted_price
    worse = result.average_price - quoted
    if intent.side is Side.SELL:
        worse = -worse
    return float(worse / quoted * 10_000)


def not_sent(intent: OrderIntent, code: str, detail: str) -> OrderResult:
    """Return the result of an intent that provably reached no venue."""
    return _empty(intent, Outcome.VETOED, code, detail)


def in_doubt(intent: OrderIntent, detail: str) -> OrderResult:
    """Return the result of an intent whose fate is not known."""
    return _empty(intent, Outcome.UNKNOWN, None, detail)


def _empty(intent: OrderIntent, outcome: Outcome, code: str | None, detail: str) -> OrderResult:
    return OrderResult(
        intent_id=intent.intent_id,
        client_order_id=None,
        outcome=outcome,
        code=code,
        detail=detail[:300],
        filled_quantity=ZERO,
        average_price=ZERO,
        fee=ZERO,
        fee_currency=None,
        venue_order_id=None,
        latency_ms=0.0,
    )
