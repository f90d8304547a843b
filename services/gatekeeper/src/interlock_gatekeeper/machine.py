"""The gatekeeper's state machine: every event gets an answer, and each answer says what to record.

Pure, in four storeys: `Recorder` (what changes the state), `Sessions`, `Arms`, and here recovery,
halts and orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from interlock_core.ids import client_order_id
from interlock_core.money import ZERO
from interlock_core.reasons import DenyReason
from interlock_core.wire import strict
from interlock_core.wire.gate import OrderIntent, OrderResult, Outcome
from interlock_gatekeeper import budget, flatten, halt, limits, policy
from interlock_gatekeeper.arms import Arms
from interlock_gatekeeper.budget import Rates
from interlock_gatekeeper.facts import facts_record
from interlock_gatekeeper.recorder import Refusal
from interlock_gatekeeper.records import (
    Kind,
    aborted_result,
    plain_sha256,
    result_record,
    sent_record,
)
from interlock_gatekeeper.seen import VerdictSeen
from interlock_gatekeeper.state import (
    Killed,
    Live,
    Now,
    OpenOrder,
)

# An engine that does this is broken or is not ours.
KILLING_DENIALS = frozenset({DenyReason.INTERNAL, DenyReason.ID_CONFLICT, DenyReason.STALE_EPOCH})


@dataclass(frozen=True, slots=True)
class Submit:
    """An approved order, reserved and recorded: make the record durable, recheck, then send."""

    order: OpenOrder


@dataclass(frozen=True, slots=True)
class Known:
    """The intent was seen before: its stored result, or None while it is still on its way."""

    result: OrderResult | None


class Machine(Arms):
    """Decisions over one State. `take_records` hands over what the shell must journal."""

    def recovered(self, now: Now) -> None:
        """Leave BOOT: to the idle state, or to KILLED where a live session did not end cleanly."""
        state = self.state
        was_live = isinstance(state.phase, Live)
        self.close("unclean_exit", now)
        for order in list(state.open_orders.values()):
            if not order.unknown:
                self.unknown(order, "restart", now)
        if was_live:
            self.kill(now, cause="UNCLEAN_EXIT", actor="boot")
        self._record(Kind.READY, at_boot_ns=now.boot_ns)
        self._halting.begin(now.boot_ns)

    def reset(self, now: Now, actor: str, *, cause: str, residual: str = "") -> Refusal | None:
        """Clear the latch once all is proven ended or taken over; leads to the idle state only."""
        state, phase = self.state, self.state.phase
        if not isinstance(phase, Killed):
            return Refusal("NOT_KILLED", "there is nothing to reset")
        if phase.cause == "AUDIT_BROKEN" or state.journal_failed:
            return Refusal("RESET_AUDIT", "the journal failed: run `audit verify`, restart")
        left_ns = limits.RESET_DWELL_NS - (now.boot_ns - phase.since_ns)
        if left_ns > 0:
            return Refusal("RESET_DWELL", f"wait {left_ns / 1e9:.0f} s: find the cause first")
        if cause != phase.cause:
            return Refusal("RESET_CAUSE", f"repeat the cause to acknowledge it: {phase.cause}")
        if not state.flat and (state.residual is None or residual != state.residual.sha256):
            what = halt.describe(state)
            return Refusal("RESET_NOT_FLAT", f"not proven flat: {what}")
        left = state.residual.positions if state.residual else {}
        released = {key: str(quantity) for key, quantity in sorted(left.items())}
        self._record(Kind.RESET, actor=actor, cause=cause, released=released)
        return None

    def swept(self, listing: halt.Listing, now: Now) -> None:
        """Take one sweep's outcome: claim FLAT or a RESIDUAL once that is true."""
        state = self.state
        if state.session is not None or state.flat or state.journal_failed:
            return
        claim = self._halting.claim(state, listing, now.boot_ns)
        if claim is halt.FLAT:
            self._record(Kind.FLAT, at_boot_ns=now.boot_ns)
            self._pass_stage(now)
        elif isinstance(claim, halt.Leftover):
            self._record(Kind.RESIDUAL, **claim.data())

    def _pass_stage(self, now: Now) -> None:
        if self.state.earned is not None:
            stage = self.state.earned
            self._record(Kind.PASS, stage=stage, commit=self._commit, at_wall_ns=now.wall_ns)

    @property
    def needs_sweep(self) -> bool:
        """Say whether a halt goes on: no session, and not proven flat."""
        return self.state.session is None and not self.state.flat

    def sweep_due(self, now: Now) -> bool:
        """Say whether the next round of the running halt is due."""
        return self.needs_sweep and self._halting.due(now.boot_ns)

    def drilled(self, *, passed: bool, now: Now, **figures: object) -> None:
        """Take note of a kill drill on the simulated venues."""
        self._record(Kind.DRILL, passed=passed, at_wall_ns=now.wall_ns, **figures)

    def order(self, intent: OrderIntent, now: Now) -> Submit | Known | policy.Denied:
        """Decide one order: reserve and record it, return what is known of it, or deny."""
        self.tick(now)
        state, plain = self.state, strict.plain(intent)
        settled, in_flight = (
            state.settled.get(intent.intent_id),
            state.open_orders.get(intent.intent_id),
        )
        seen = settled or in_flight
        if seen is not None and seen.intent_sha256 == plain_sha256(plain):
            return Known(settled.result if settled is not None else None)
        if seen is not None or hash(intent.intent_id) in state.forgotten:
            conflict = policy.Denied(DenyReason.ID_CONFLICT, "another body was sent", None, ())
            return self._deny(plain, conflict, now)
        if intent.intent_id.startswith(flatten.PREFIX):
            foreign = policy.Denied(DenyReason.BAD_SCHEMA, "a name of the gatekeeper", None, ())
            return self._deny(plain, foreign, now)
        verdict = policy.evaluate(intent, state, now)
        if isinstance(verdict, policy.Denied):
            return self._deny(plain, verdict, now)
        self._show(plain, "APPROVED", f"{verdict.notional_usd} USD", now)
        return Submit(self._reserve(verdict, plain, now))

    def _reserve(self, approved: policy.Approved, plain: Mapping[str, Any], now: Now) -> OpenOrder:
        session = self.state.session
        if session is None:
            raise RuntimeError("an order was approved without a session")
        return self._send(
            approved.intent,
            session.session_id,
            plain=plain,
            notional=approved.notional_usd,
            reducing=approved.facts.reducing,
            now=now,
            why={"passed": len(approved.vector), "facts": facts_record(approved.facts)},
        )

    def _send(
        self,
        intent: OrderIntent,
        session_id: str,
        *,
        plain: Mapping[str, Any],
        notional: Decimal,
        reducing: bool,
        now: Now,
        why: Mapping[str, Any],
    ) -> OpenOrder:
        cid = client_order_id(session_id, intent.intent_id)
        if cid in self.state.intent_of or hash(cid) in self.state.forgotten:
            raise RuntimeError("a client order id would be used twice")
        self._apply(
            sent_record(
                cid,
                session_id,
                own=session_id == flatten.SESSION,
                plain=plain,
                notional=notional,
                reducing=reducing,
                at_boot_ns=now.boot_ns,
                why=why,
            ),
            intent,
        )
        return self.state.open_orders[intent.intent_id]

    def repair(self, now: Now) -> Submit | policy.Denied | None:
        """Decide the one order that closes a leg left unhedged; None where there is none."""
        intent = flatten.repair(self.state, now, self._tried)
        if intent is None:
            return None
        self._tried.add(intent.intent_id)
        verdict, plain = policy.evaluate(intent, self.state, now), strict.plain(intent)
        if isinstance(verdict, policy.Denied):
            return self._deny(plain, verdict, now)
        return Submit(self._reserve(verdict, plain, now))

    def _deny(self, plain: Mapping[str, Any], denied: policy.Denied, now: Now) -> policy.Denied:
        facts = None if denied.facts is None else facts_record(denied.facts)
        self._record(
            Kind.DENY,
            code=denied.reason,
            detail=denied.detail,
            passed=len(denied.vector),
            intent=plain,
            facts=facts,
        )
        self._show(plain, denied.reason, denied.detail, now)
        self.state.seen.denials_ns.append(now.boot_ns)
        if denied.reason in KILLING_DENIALS:
            self.kill(now, cause=denied.reason, actor="policy")
        elif denied.reason is DenyReason.REPEAT:
            self.close("repeated entries", now)
        return denied

    def _show(self, plain: Mapping[str, Any], code: str, detail: str, now: Now) -> None:
        seen = VerdictSeen(now.wall_ns, plain["intent_id"], plain["instrument"], code, detail)
        self.state.seen.verdicts.append(seen)

    def refuse_request(self, code: DenyReason, detail: str, now: Now) -> None:
        """Record a request that was refused before it was an order: wrong sender or wrong form."""
        self._record(Kind.DENY, code=code, detail=detail[:200], passed=0, intent=None, facts=None)
        self.state.seen.denials_ns.append(now.boot_ns)

    def flatten(self, sha256: str, now: Now) -> list[OpenOrder] | Refusal:
        """Reserve and record one reducing order for each own position that a halt left."""
        state = self.state
        if state.session is not None:
            return Refusal("FLATTEN_LIVE", "a session runs: kill or disarm first")
        if state.residual is None or state.residual.sha256 != sha256:
            return Refusal("FLATTEN_HASH", f"repeat the residual's hash: {halt.describe(state)}")
        intents = flatten.plan(state, now)
        if isinstance(intents, str):
            return Refusal("FLATTEN_REFUSED", intents)
        return [
            self._send(
                intent,
                flatten.SESSION,
                plain=strict.plain(intent),
                notional=budget.order_notional_usd(state, intent) or ZERO,
                reducing=True,
                now=now,
                why={"passed": 0, "facts": None},
            )
            for intent in intents
        ]

    def recheck(self, order: OpenOrder, now: Now) -> OrderResult | None:
        """Ask once more in the tick of the write; return the abort's result where it is a no."""
        self.tick(now)
        if order.intent.intent_id not in self.state.open_orders:
            raise RuntimeError("an order that is not reserved would be written")
        if order.own:
            problem = flatten.problem(self.state)
            code, detail = DenyReason.NOT_LIVE, problem or ""
        else:
            denied = policy.recheck(order.intent, self.state, now, reducing=order.reducing)
            problem = None if denied is None else denied.detail
            code, detail = (denied.reason, denied.detail) if denied else (DenyReason.INTERNAL, "")
        if problem is None:
            return None
        result = aborted_result(order, code, detail)
        self.abort(result, now)
        return result

    def abort(self, result: OrderResult, now: Now) -> None:
        """Release an order that was recorded and provably never written to the wire."""
        self._apply(result_record(result, at_boot_ns=now.boot_ns, fx=self._fx(), kind=Kind.ABORTED))

    def unknown(self, order: OpenOrder, why: str, now: Now) -> None:
        """Keep an order in doubt: it holds its budget until the venue proves what happened."""
        current = self.state.open_orders.get(order.intent.intent_id)
        if current is not None and not current.unknown:
            self._record(
                Kind.UNKNOWN, intent_id=order.intent.intent_id, why=why, at_boot_ns=now.boot_ns
            )

    def settle(self, result: OrderResult, now: Now) -> None:
        """Settle an order with the venue's terminal answer; idempotent."""
        if result.outcome is Outcome.UNKNOWN:
            raise ValueError("an unknown outcome settles nothing")
        if result.intent_id in self.state.open_orders:
            self._apply(result_record(result, at_boot_ns=now.boot_ns, fx=self._fx()))
            self._halting.settled(now.boot_ns)

    def _fx(self) -> Rates | None:
        fx = self.state.krw_per_usdt
        return None if fx is None else (fx.bid, fx.ask)

    def note(self, kind: Kind, **data: object) -> None:
        """Record something that changes no state: a sweep, a reconciliation, a self-test."""
        if kind not in (Kind.SWEEP, Kind.RECON, Kind.SELFTEST):
            raise ValueError(f"{kind} is not a note")
        self._record(kind, **data)
