"""The safety invariants that a journal alone can show, checked line by line.

Used by the tests, the soak and `gatekeeperctl audit verify`. It keeps its own small model instead
of the gatekeeper's state, so that a mistake in `records.apply` cannot hide itself here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from interlock_core.money import ZERO
from interlock_gatekeeper.budget import asset_of
from interlock_gatekeeper.journal import Line
from interlock_gatekeeper.records import Record


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken invariant: its number (V1 to V14), the line that broke it, and the rule."""

    number: int
    seq: int
    text: str


@dataclass(slots=True)
class _Session:
    session_id: str
    epoch: int
    gross_cap_usd: Decimal
    hard_deadline_ns: int | None


@dataclass(slots=True)
class _Order:
    instrument: str
    change: Decimal
    notional_usd: Decimal
    reducing: bool
    unknown: bool = False


class Watch:
    """Follows a journal in order and collects every violation it shows."""

    def __init__(self, *, environment: str) -> None:
        self.violations: list[Violation] = []
        self._environment = environment
        self._seq = 0
        self._boot_id: str | None = None
        self._epoch = 0
        self._session: _Session | None = None
        self._armed = False
        self._arm_at_ns = 0
        self._held = False
        self._latched = False
        self._reset = False
        self._intents: set[str] = set()
        self._client_ids: set[str] = set()
        self._open: dict[str, _Order] = {}
        self._positions: dict[str, Decimal] = {}
        self._on: Mapping[str, Callable[[dict[str, Any], int], None]] = {
            "ARM": self._arm,
            "DISARM": self._disarm,
            "OPEN": self._begin,
            "RENEW": self._renew,
            "CLOSE": self._close,
            "HOLD": self._hold,
            "HOLD_END": self._hold_end,
            "KILL": self._kill,
            "RESET": self._unlatch,
            "FLAT": self._flat,
            "SENT": self._sent,
            "UNKNOWN": self._unknown,
            "ABORTED": self._aborted,
            "RESULT": self._result,
        }

    def see(self, entry: Line | Record, *, at_boot_ns: int, boot_id: str) -> None:
        """Take the next line; a bare record is numbered by its place and has no state words."""
        record = entry.record if isinstance(entry, Line) else entry
        self._seq = entry.seq if isinstance(entry, Line) else self._seq + 1
        if boot_id != self._boot_id:
            self._boot_id, self._session = boot_id, None
            self._armed = self._held = False
        if isinstance(entry, Line) and record.kind in ("RESET", "READY"):
            self._check_idle(record.kind, entry.raw["after"])
        handle = self._on.get(record.kind)
        if handle is not None:
            handle(record.data, at_boot_ns)

    def _broken(self, number: int, text: str) -> None:
        self.violations.append(Violation(number, self._seq, f"V{number}: {text}"))

    def _check_idle(self, kind: str, after: str) -> None:
        idle = "PAPER" if self._environment == "paper" else "DISARMED"
        if after not in (idle, "KILLED"):
            self._broken(11, f"{kind} leads only to {idle} or KILLED, was {after}")

    def _arm(self, data: dict[str, Any], _now: int) -> None:
        if data["arm_at_ns"] <= self._arm_at_ns:
            self._broken(9, "each LIVE_ARM_AT arms once and accepted values rise strictly")
        self._arm_at_ns = max(self._arm_at_ns, data["arm_at_ns"])
        self._armed = True

    def _disarm(self, _data: dict[str, Any], _now: int) -> None:
        self._armed = False

    def _begin(self, data: dict[str, Any], _now: int) -> None:
        if data["epoch"] <= self._epoch:
            self._broken(3, f"epochs rise strictly, was {data['epoch']} after {self._epoch}")
        if self._environment != "paper" and not self._armed:
            self._broken(4, "an accepted ARM of this boot precedes every live session")
        if self._latched and not self._reset:
            self._broken(5, "no session opens between KILL and RESET")
        self._latched = self._latched and not self._reset
        self._armed = self._held = False
        self._epoch = max(self._epoch, data["epoch"])
        self._session = _Session(
            data["session_id"],
            data["epoch"],
            Decimal(data["gross_cap_usd"]),
            data["hard_deadline_boot_ns"],
        )

    def _renew(self, data: dict[str, Any], _now: int) -> None:
        if self._session is not None:
            self._session.hard_deadline_ns = data["hard_deadline_boot_ns"]

    def _close(self, _data: dict[str, Any], _now: int) -> None:
        self._session = None

    def _hold(self, _data: dict[str, Any], _now: int) -> None:
        self._held = True

    def _hold_end(self, _data: dict[str, Any], _now: int) -> None:
        self._held = False

    def _kill(self, _data: dict[str, Any], _now: int) -> None:
        self._latched, self._reset = True, False
        self._session, self._armed = None, False

    def _unlatch(self, data: dict[str, Any], _now: int) -> None:
        self._reset = True
        for key, quantity in data["released"].items():
            self._positions[key] = self._positions.get(key, ZERO) - Decimal(quantity)

    def _flat(self, _data: dict[str, Any], _now: int) -> None:
        if self._open:
            self._broken(8, f"FLAT is claimed only with no order open, {len(self._open)} were")

    def _sent(self, data: dict[str, Any], now: int) -> None:
        intent = data["intent"]
        quantity = Decimal(intent["quantity"])
        order = _Order(
            instrument=intent["instrument"],
            change=quantity if intent["side"] == "buy" else -quantity,
            notional_usd=Decimal(data["notional_usd"]),
            reducing=data["reducing"],
        )
        # The gatekeeper's own flattening outlives the session and the latch, but only reduces.
        if not (data["own"] and order.reducing):
            self._check_permission(data, order, now)
        if intent["intent_id"] in self._intents or data["client_order_id"] in self._client_ids:
            self._broken(7, "each intent and each client order id is sent at most once for ever")
        if order.reducing:
            self._check_reduces(order)
        elif self._session is not None:
            self._check_cap(order, data["facts"], self._session.gross_cap_usd)
        if data["facts"] is not None:
            self._check_counted(Decimal(data["facts"]["reserved_usd"]))
        if order.notional_usd <= ZERO:
            self._broken(10, "every order reserves its worst-case notional, above zero")
        self._intents.add(intent["intent_id"])
        self._client_ids.add(data["client_order_id"])
        self._open[intent["intent_id"]] = order

    def _check_permission(self, data: dict[str, Any], order: _Order, now: int) -> None:
        session = self._session
        if self._latched:
            self._broken(5, "after KILL nothing is sent until RESET and a later OPEN")
            return
        if session is None or session.session_id != data["session_id"]:
            self._broken(2, "an order is sent only inside its own open session")
            return
        deadline = session.hard_deadline_ns
        if not order.reducing and (self._held or (deadline is not None and now >= deadline)):
            self._broken(2, "no new risk is sent in a HOLD or after the hard deadline")
        if data["intent"]["epoch"] != session.epoch:
            self._broken(3, "a sent intent was created in the running epoch")

    def _check_reduces(self, order: _Order) -> None:
        position = self._positions.get(order.instrument, ZERO)
        if position * order.change >= ZERO or abs(order.change) > abs(position):
            self._broken(13, f"a reducing order never flips or enlarges the position {position}")

    def _check_cap(self, order: _Order, facts: Mapping[str, Any] | None, cap_usd: Decimal) -> None:
        exposure = ZERO if facts is None else Decimal(facts["exposure_usd"] or "Infinity")
        total = order.notional_usd + exposure + self._reserved_usd()
        if total > cap_usd:
            self._broken(1, f"orders and positions never exceed {cap_usd} USD, were {total}")

    def _check_counted(self, counted_usd: Decimal) -> None:
        reserved = self._reserved_usd()
        if counted_usd < reserved:
            self._broken(10, f"{reserved} USD were reserved, only {counted_usd} were counted")

    def _reserved_usd(self) -> Decimal:
        return sum((order.notional_usd for order in self._open.values()), ZERO)

    def _unknown(self, data: dict[str, Any], _now: int) -> None:
        order = self._open.get(data["intent_id"])
        if order is None:
            self._broken(14, f"UNKNOWN names an open order, was {data['intent_id']}")
        else:
            order.unknown = True

    def _ended(self, kind: str, intent_id: str) -> _Order | None:
        order = self._open.pop(intent_id, None)
        if order is None:
            self._broken(14, f"{kind} ends an open order, once, was {intent_id}")
        return order

    def _aborted(self, data: dict[str, Any], _now: int) -> None:
        order = self._ended("ABORTED", data["result"]["intent_id"])
        if order is not None and order.unknown:
            self._broken(10, "an order in doubt is released only by the venue's evidence")

    def _result(self, data: dict[str, Any], _now: int) -> None:
        result = data["result"]
        order = self._ended("RESULT", result["intent_id"])
        if order is None:
            return
        if result["outcome"] == "unknown":
            self._broken(10, "an unknown outcome releases nothing")
        change = Decimal(result["filled_quantity"]).copy_sign(order.change)
        if result["fee_currency"] == asset_of(order.instrument):
            change -= Decimal(result["fee"])
        self._positions[order.instrument] = self._positions.get(order.instrument, ZERO) + change


def check_venue(
    lines: Iterable[Line], venue_orders: Iterable[Mapping[str, Any]]
) -> list[Violation]:
    """Check V6 and V7 against what a venue received (rows of simvenues' `GET /admin/orders`)."""
    sent = {
        line.record.data["client_order_id"]: line for line in lines if line.record.kind == "SENT"
    }
    found: list[Violation] = []
    seen: set[str] = set()
    for row in venue_orders:
        cid = row["client_id"]
        line = sent.get(cid)
        if line is None:
            found.append(Violation(6, 0, f"V6: order {cid} has no durable SENT before it"))
        elif line.raw["wall_ns"] > row["time_ns"]:
            found.append(Violation(6, line.seq, f"V6: order {cid} arrived before its SENT"))
        elif not _same(line.record.data["intent"], row):
            found.append(Violation(6, line.seq, f"V6: order {cid} is not what its SENT says"))
        if cid in seen:
            seq = 0 if line is None else line.seq
            found.append(Violation(7, seq, f"V7: order {cid} was received more than once"))
        seen.add(cid)
    return found


def _same(intent: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    if row["quantity"] is None or row["price"] is None:
        return False
    return (
        f"{row['venue']}:{row['symbol']}" == intent["instrument"]
        and str(row["side"]).lower() == intent["side"]
        and Decimal(row["quantity"]) == Decimal(intent["quantity"])
        and Decimal(row["price"]) == Decimal(intent["price"])
    )
