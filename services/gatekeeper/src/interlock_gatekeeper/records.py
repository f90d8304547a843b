"""Journal records and what each does to the state.

A record is both the journal's line and the state's only way to change: `apply` runs once when the
decision is made and once more for every line when a new process replays the journal.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from interlock_core.money import ZERO
from interlock_core.wire import strict
from interlock_core.wire.gate import OrderIntent, OrderResult, Outcome
from interlock_gatekeeper.state import (
    Armed,
    Disarmed,
    Expired,
    Killed,
    Live,
    OpenOrder,
    Paper,
    Phase,
    Session,
    Settled,
    State,
    signed,
)


class Kind(StrEnum):
    """What a journal line records."""

    BOOT = "BOOT"
    READY = "READY"
    ARM = "ARM"
    ARM_DENY = "ARM_DENY"
    DISARM = "DISARM"
    OPEN = "OPEN"
    CLOSE = "CLOSE"
    FLAT = "FLAT"
    KILL = "KILL"
    RESET = "RESET"
    DENY = "DENY"
    SENT = "SENT"
    ABORTED = "ABORTED"
    UNKNOWN = "UNKNOWN"
    RESULT = "RESULT"


# fdatasync before the effect is acknowledged or sent.
DURABLE = frozenset({Kind.BOOT, Kind.ARM, Kind.OPEN, Kind.SENT, Kind.KILL, Kind.RESET})


@dataclass(frozen=True, slots=True)
class Record:
    """One journal line before it is chained: its kind and plain JSON data."""

    kind: Kind
    data: dict[str, Any] = field(default_factory=dict)


def intent_sha256(intent: OrderIntent) -> str:
    """Return the digest by which two bodies under one intent id are told apart."""
    return hashlib.sha256(strict.encode(intent)).hexdigest()


def apply(state: State, record: Record) -> None:
    """Change the state as the record says; the same records in order give the same state."""
    _APPLY[record.kind](state, record.data)


def _nothing(_state: State, _data: dict[str, Any]) -> None:
    """Recorded for people and the audit; changes nothing."""


def _boot(state: State, data: dict[str, Any]) -> None:
    state.high_water_mark_ns = max(state.high_water_mark_ns, data["high_water_mark_ns"])


def _idle(state: State) -> Phase:
    return Paper(None) if state.environment == "paper" else Disarmed()


def _ready(state: State, _data: dict[str, Any]) -> None:
    if not isinstance(state.phase, Killed):
        state.phase = _idle(state)


def _arm(state: State, data: dict[str, Any]) -> None:
    state.high_water_mark_ns = max(state.high_water_mark_ns, data["arm_at_ns"])
    state.phase = Armed(data["stage"], Decimal(data["gross_cap_usd"]), data["until_boot_ns"])


def _arm_deny(state: State, data: dict[str, Any]) -> None:
    state.arm_failures_ns = [*state.arm_failures_ns, data["at_boot_ns"]][-16:]
    state.arm_locked_until_ns = max(state.arm_locked_until_ns, data["locked_until_boot_ns"])


def _disarm(state: State, _data: dict[str, Any]) -> None:
    if isinstance(state.phase, Armed):
        state.phase = Disarmed()


def _open(state: State, data: dict[str, Any]) -> None:
    session = Session(
        session_id=data["session_id"],
        epoch=data["epoch"],
        stage=data["stage"],
        instruments=frozenset(data["instruments"]),
        gross_cap_usd=Decimal(data["gross_cap_usd"]),
        order_cap_usd=Decimal(data["order_cap_usd"]),
        lease_until_ns=data["lease_until_boot_ns"],
        hard_deadline_ns=data["hard_deadline_boot_ns"],
    )
    state.epoch = session.epoch
    state.phase = Paper(session) if state.environment == "paper" else Live(session)


def _close(state: State, _data: dict[str, Any]) -> None:
    if isinstance(state.phase, Paper):
        state.phase = Paper(None)
    elif isinstance(state.phase, Live):
        state.phase = Expired()


def _flat(state: State, _data: dict[str, Any]) -> None:
    if isinstance(state.phase, Expired):
        state.phase = Disarmed()


def _kill(state: State, data: dict[str, Any]) -> None:
    state.phase = Killed(data["cause"], data["at_boot_ns"])


def _reset(state: State, _data: dict[str, Any]) -> None:
    state.phase = _idle(state)


def _sent(state: State, data: dict[str, Any]) -> None:
    intent = strict.from_value(OrderIntent, data["intent"])
    state.intent_of[data["client_order_id"]] = intent.intent_id
    state.open_orders[intent.intent_id] = OpenOrder(
        client_order_id=data["client_order_id"],
        session_id=data["session_id"],
        intent=intent,
        intent_sha256=intent_sha256(intent),
        notional_usd=Decimal(data["notional_usd"]),
        reducing=data["reducing"],
        unknown=False,
    )


def _unknown(state: State, data: dict[str, Any]) -> None:
    order = state.open_orders[data["intent_id"]]
    state.open_orders[data["intent_id"]] = replace(order, unknown=True)


def _result(state: State, data: dict[str, Any]) -> None:
    result = strict.from_value(OrderResult, data["result"])
    order = state.open_orders.pop(result.intent_id)
    state.settled[result.intent_id] = Settled(order.intent_sha256, result)
    if result.filled_quantity > ZERO:
        key = order.intent.instrument
        change = signed(result.filled_quantity, order.intent.side)
        position = state.positions.get(key, ZERO) + change
        if position == ZERO:
            state.positions.pop(key, None)
        else:
            state.positions[key] = position


def sent_record(
    order_client_id: str, session_id: str, intent: OrderIntent, *, notional: Decimal, reducing: bool
) -> Record:
    """Return the write-ahead record of an order: durable before its first byte."""
    return Record(
        Kind.SENT,
        {
            "client_order_id": order_client_id,
            "session_id": session_id,
            "intent": strict.plain(intent),
            "notional_usd": str(notional),
            "reducing": reducing,
        },
    )


def result_record(result: OrderResult, kind: Kind = Kind.RESULT) -> Record:
    """Return the record that settles an order."""
    return Record(kind, {"result": strict.plain(result)})


def aborted_result(order: OpenOrder, code: str, detail: str) -> OrderResult:
    """Return the result of an order that was journaled and provably never written to the wire."""
    return OrderResult(
        intent_id=order.intent.intent_id,
        client_order_id=order.client_order_id,
        outcome=Outcome.VETOED,
        code=code,
        detail=detail,
        filled_quantity=ZERO,
        average_price=ZERO,
        fee=ZERO,
        fee_currency=None,
        venue_order_id=None,
        latency_ms=0.0,
    )


_APPLY = {
    Kind.BOOT: _boot,
    Kind.READY: _ready,
    Kind.ARM: _arm,
    Kind.ARM_DENY: _arm_deny,
    Kind.DISARM: _disarm,
    Kind.OPEN: _open,
    Kind.CLOSE: _close,
    Kind.FLAT: _flat,
    Kind.KILL: _kill,
    Kind.RESET: _reset,
    Kind.DENY: _nothing,
    Kind.SENT: _sent,
    Kind.ABORTED: _result,
    Kind.UNKNOWN: _unknown,
    Kind.RESULT: _result,
}
