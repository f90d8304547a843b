"""Journal records and what each does to the state.

A record is both the journal's line and the state's only way to change: `apply` runs once when the
decision is made and once more for every line when a new process replays the journal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from interlock_core.money import ZERO
from interlock_core.wire import strict
from interlock_core.wire.gate import OrderIntent, OrderResult, Outcome
from interlock_gatekeeper.books import add_to, book_fill, change_of, count_order, weigh
from interlock_gatekeeper.budget import Rates, asset_of
from interlock_gatekeeper.limits import (
    ARM_LOCK_NS,
    Day,
    caps_from,
)
from interlock_gatekeeper.state import (
    Armed,
    Disarmed,
    Expired,
    Hold,
    Killed,
    Ledger,
    Live,
    OpenOrder,
    Paper,
    Phase,
    Residual,
    Session,
    Settled,
    State,
)

# So many answers are kept whole; of older orders, that their ids were used.
SETTLED_KEPT = 20_000


class Kind(StrEnum):
    """What a journal line records."""

    BOOT = "BOOT"
    READY = "READY"
    ARM = "ARM"
    ARM_DENY = "ARM_DENY"
    DISARM = "DISARM"
    OPEN = "OPEN"
    RENEW = "RENEW"
    CLOSE = "CLOSE"
    HOLD = "HOLD"
    HOLD_END = "HOLD_END"
    KILL = "KILL"
    SWEEP = "SWEEP"
    FLAT = "FLAT"
    RESIDUAL = "RESIDUAL"
    RESET = "RESET"
    DENY = "DENY"
    SENT = "SENT"
    ABORTED = "ABORTED"
    UNKNOWN = "UNKNOWN"
    RESULT = "RESULT"
    RECON = "RECON"
    SELFTEST = "SELFTEST"
    PASS = "PASS"  # noqa: S105 - a stage was passed
    DRILL = "DRILL"


# fdatasync before the effect is acknowledged or sent.
DURABLE = frozenset(
    {Kind.BOOT, Kind.ARM, Kind.OPEN, Kind.RENEW, Kind.SENT, Kind.KILL, Kind.FLAT, Kind.RESET}
)


@dataclass(frozen=True, slots=True)
class Record:
    """One journal line before it is chained: kind, plain JSON data, the states around it."""

    kind: Kind
    data: dict[str, Any] = field(default_factory=dict)
    before: str = field(default="", compare=False)
    after: str = field(default="", compare=False)


def plain_sha256(plain: Mapping[str, Any]) -> str:
    """Return the digest by which two bodies under one intent id are told apart."""
    return hashlib.sha256(strict.canonical(plain)).hexdigest()


def apply(state: State, record: Record, intent: OrderIntent | None = None) -> None:
    """Change the state as the record says; the same records in order give the same state.

    `intent` is what a SENT record holds, where the caller has it: it need not be decoded again.
    """
    if record.kind is Kind.SENT:
        _sent(state, record.data, intent)
    else:
        _APPLY[record.kind](state, record.data)


def _nothing(_state: State, _data: dict[str, Any]) -> None:
    """Recorded for people and the audit; changes nothing."""


def _boot(state: State, data: dict[str, Any]) -> None:
    state.high_water_mark_ns = max(state.high_water_mark_ns, data["high_water_mark_ns"])
    state.flat = False


def _idle(state: State) -> Phase:
    return Paper(None) if state.environment == "paper" else Disarmed()


def _ready(state: State, data: dict[str, Any]) -> None:
    """Be idle, or stay killed; where the host's boot clock began anew, count dwells from now."""
    now_ns = data["at_boot_ns"]
    state.arm_failures_ns = [at for at in state.arm_failures_ns if at <= now_ns]
    state.arm_locked_until_ns = min(state.arm_locked_until_ns, now_ns + ARM_LOCK_NS)
    if not isinstance(state.phase, Killed):
        state.phase = _idle(state)
    elif state.phase.since_ns > now_ns:
        state.phase = Killed(state.phase.cause, now_ns)


def _arm(state: State, data: dict[str, Any]) -> None:
    state.high_water_mark_ns = max(state.high_water_mark_ns, data["arm_at_ns"])
    state.phase = Armed(data["stage"], Decimal(data["gross_cap_usd"]), data["until_boot_ns"])


def _arm_deny(state: State, data: dict[str, Any]) -> None:
    state.arm_failures_ns = [*state.arm_failures_ns, data["at_boot_ns"]][-16:]
    if data["locked_until_boot_ns"]:
        state.arm_locked_until_ns = data["locked_until_boot_ns"]


def _disarm(state: State, _data: dict[str, Any]) -> None:
    if isinstance(state.phase, Armed):
        state.phase = Disarmed()


def _open(state: State, data: dict[str, Any]) -> None:
    instruments = frozenset(data["instruments"])
    session = Session(
        session_id=data["session_id"],
        epoch=data["epoch"],
        stage=data["stage"],
        instruments=instruments,
        pairs=_pairs(instruments),
        allocation={key: Decimal(value) for key, value in data["allocation"].items()},
        caps=caps_from(data["caps"]),
        opened_ns=data["opened_boot_ns"],
        lease_until_ns=data["lease_until_boot_ns"],
        hard_deadline_ns=data["hard_deadline_boot_ns"],
    )
    state.epoch = session.epoch
    state.phase = Paper(session) if state.environment == "paper" else Live(session)
    state.ledger = Ledger()
    state.hold, state.residual, state.flat = None, None, False
    state.flatten_tries = {}


def _pairs(instruments: frozenset[str]) -> dict[str, tuple[str, ...]]:
    by_asset: dict[str, list[str]] = {}
    for key in sorted(instruments):
        by_asset.setdefault(asset_of(key), []).append(key)
    return {key: tuple(keys) for keys in by_asset.values() for key in keys}


def _renew(state: State, data: dict[str, Any]) -> None:
    if isinstance(state.phase, Live):
        session = replace(state.phase.session, hard_deadline_ns=data["hard_deadline_boot_ns"])
        state.phase = Live(session)


def _close(state: State, data: dict[str, Any]) -> None:
    state.hold = None
    if isinstance(state.phase, Paper):
        state.phase = Paper(None)
    elif isinstance(state.phase, Live):
        state.phase = Expired()
        state.earned = data["earned"]
        state.day = _spent(state, data["day"], Decimal(data["loss_usd"]))


def _spent(state: State, number: int, loss_usd: Decimal) -> Day:
    before = state.day if state.day.number == number else Day(number)
    return Day(
        number,
        before.turnover_usd + state.ledger.turnover_usd,
        before.loss_usd + loss_usd,
        before.orders + state.ledger.orders,
    )


def _hold(state: State, data: dict[str, Any]) -> None:
    if state.hold is None:
        state.ledger.holds += 1
    since_ns = data["at_boot_ns"] if state.hold is None else state.hold.since_ns
    state.hold = Hold(data["cause"], since_ns)


def _hold_end(state: State, _data: dict[str, Any]) -> None:
    state.hold = None


def _flat(state: State, _data: dict[str, Any]) -> None:
    state.flat, state.residual = True, None
    if isinstance(state.phase, Expired):
        state.phase = Disarmed()


def _residual(state: State, data: dict[str, Any]) -> None:
    positions = {key: Decimal(value) for key, value in data["positions"].items()}
    state.residual = Residual(tuple(data["orders"]), positions, data["sha256"])


def _kill(state: State, data: dict[str, Any]) -> None:
    state.phase = Killed(data["cause"], data["at_boot_ns"])
    state.hold, state.flat, state.residual, state.earned = None, False, None, None


def _reset(state: State, data: dict[str, Any]) -> None:
    state.phase = _idle(state)
    # An operator who repeated the residual's hash took these over; arming looks at the venue.
    for key, quantity in data["released"].items():
        add_to(state.positions, key, -Decimal(quantity))
    state.residual = None


def _sent(state: State, data: dict[str, Any], intent: OrderIntent | None) -> None:
    if intent is None:
        intent = strict.from_value(OrderIntent, data["intent"])
    at_ns, reducing = data["at_boot_ns"], data["reducing"]
    state.intent_of[data["client_order_id"]] = intent.intent_id
    state.open_orders[intent.intent_id] = OpenOrder(
        client_order_id=data["client_order_id"],
        session_id=data["session_id"],
        intent=intent,
        intent_sha256=data["intent_sha256"],
        notional_usd=Decimal(data["notional_usd"]),
        reducing=reducing,
        unknown=False,
        own=data["own"],
        sent_ns=at_ns,
    )
    state.flat, state.residual = False, None
    if data["own"]:
        tries = state.flatten_tries.get(intent.instrument, 0)
        state.flatten_tries[intent.instrument] = tries + 1
    elif state.session is not None:
        count_order(state, state.session, intent, at_ns, reducing=reducing)


def _unknown(state: State, data: dict[str, Any]) -> None:
    order = state.open_orders[data["intent_id"]]
    since_ns = data["at_boot_ns"]
    state.open_orders[data["intent_id"]] = replace(order, unknown=True, doubt_since_ns=since_ns)


def _result(state: State, data: dict[str, Any]) -> None:
    result = strict.from_value(OrderResult, data["result"])
    order = state.open_orders.pop(result.intent_id)
    intent = order.intent
    state.settled[result.intent_id] = Settled(
        order.intent_sha256, result, intent.instrument, intent.side
    )
    state.residual = None
    _forget(state)
    change = change_of(order.intent, result)
    if change != ZERO:
        add_to(state.positions, order.intent.instrument, change)
    session = state.session
    if session is not None and session.epoch == order.intent.epoch and not order.own:
        fx = data["fx"]
        rates_then = None if fx is None else (Decimal(fx[0]), Decimal(fx[1]))
        book_fill(state.ledger, order.intent, result, rates_then)
        waiting = any(
            o.intent.group_id == order.intent.group_id for o in state.open_orders.values()
        )
        weigh(state.ledger, order.intent.group_id, data["at_boot_ns"], waiting=waiting)


def _forget(state: State) -> None:
    """Let the oldest answer go, and keep that its ids were used."""
    while len(state.settled) > SETTLED_KEPT:
        intent_id = next(iter(state.settled))
        client_order_id = state.settled.pop(intent_id).result.client_order_id or ""
        state.intent_of.pop(client_order_id, None)
        state.forgotten |= {hash(intent_id), hash(client_order_id)}


def _pass(state: State, data: dict[str, Any]) -> None:
    state.ladder[data["stage"]] = (data["at_wall_ns"], data["commit"])
    state.earned = None


def _drill(state: State, data: dict[str, Any]) -> None:
    if data["passed"]:
        state.drilled_wall_ns = data["at_wall_ns"]


def sent_record(
    order_client_id: str,
    session_id: str,
    *,
    own: bool,
    plain: Mapping[str, Any],
    notional: Decimal,
    reducing: bool,
    at_boot_ns: int,
    why: Mapping[str, Any],
) -> Record:
    """Return the write-ahead record of an order: durable before its first byte."""
    return Record(
        Kind.SENT,
        {
            "client_order_id": order_client_id,
            "session_id": session_id,
            "own": own,
            "intent": plain,
            "intent_sha256": plain_sha256(plain),
            "notional_usd": str(notional),
            "reducing": reducing,
            "at_boot_ns": at_boot_ns,
            **why,
        },
    )


def result_record(
    result: OrderResult, *, at_boot_ns: int, fx: Rates | None, kind: Kind = Kind.RESULT
) -> Record:
    """Return the record that settles an order, with the FX rate that its cash is counted at."""
    rates_now = None if fx is None else [str(fx[0]), str(fx[1])]
    data = {"result": strict.plain(result), "at_boot_ns": at_boot_ns, "fx": rates_now}
    return Record(kind, data)


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
    Kind.RENEW: _renew,
    Kind.CLOSE: _close,
    Kind.HOLD: _hold,
    Kind.HOLD_END: _hold_end,
    Kind.KILL: _kill,
    Kind.SWEEP: _nothing,
    Kind.FLAT: _flat,
    Kind.RESIDUAL: _residual,
    Kind.RESET: _reset,
    Kind.DENY: _nothing,
    Kind.ABORTED: _result,
    Kind.UNKNOWN: _unknown,
    Kind.RESULT: _result,
    Kind.RECON: _nothing,
    Kind.SELFTEST: _nothing,
    Kind.PASS: _pass,
    Kind.DRILL: _drill,
}
