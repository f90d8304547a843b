"""The gatekeeper's state machine: every event gets an answer, and each answer says what to record.

Pure: no I/O, no clock, no await. A method reads the state, applies the records it decided on in
the same tick, and returns them for the shell to journal before it acts or answers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from interlock_core import arming
from interlock_core.arming import ArmRequest
from interlock_core.ids import client_order_id
from interlock_core.reasons import ARM_MEANING, ArmRefusal, DenyReason
from interlock_core.wire import strict
from interlock_core.wire.gate import OrderIntent, OrderResult, Outcome, SessionOpen
from interlock_gatekeeper import limits, policy
from interlock_gatekeeper.limits import STAGE_LIMITS
from interlock_gatekeeper.records import (
    Kind,
    Record,
    aborted_result,
    apply,
    intent_sha256,
    result_record,
    sent_record,
)
from interlock_gatekeeper.state import (
    Armed,
    Disarmed,
    Expired,
    Killed,
    Live,
    Now,
    OpenOrder,
    Paper,
    Session,
    State,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A no with its stable code and one line for a person."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Submit:
    """An approved order, reserved and recorded: make the record durable, recheck, then send."""

    order: OpenOrder


@dataclass(frozen=True, slots=True)
class Known:
    """The intent was seen before: its stored result, or None while it is still on its way."""

    result: OrderResult | None


class Machine:
    """Decisions over one State. `take_records` hands over what the shell must journal."""

    def __init__(self, state: State, *, config_sha256: str, has_secrets: bool) -> None:
        self.state = state
        self._config_sha256 = config_sha256
        self._has_secrets = has_secrets
        self._records: list[Record] = []

    def take_records(self) -> list[Record]:
        """Return the records decided since the last call, in order."""
        records, self._records = self._records, []
        return records

    def _record(self, kind: Kind, **data: object) -> None:
        self._apply(Record(kind, data))

    def _apply(self, record: Record) -> None:
        apply(self.state, record)
        self._records.append(record)

    def recovered(self, now: Now) -> None:
        """Leave BOOT: to the idle state, or to KILLED where a live session did not end cleanly."""
        state = self.state
        session = state.session
        if session is not None:
            self._record(Kind.CLOSE, epoch=session.epoch, cause="unclean_exit")
        for order in list(state.open_orders.values()):
            if not order.unknown:
                self._record(Kind.UNKNOWN, intent_id=order.intent.intent_id, why="restart")
        if session is not None and state.environment == "live":
            self.kill(now, cause="UNCLEAN_EXIT", actor="boot")
        self._record(Kind.READY)

    def arm(self, request: ArmRequest, stage: str, *, now: Now, actor: str) -> Refusal | None:
        """Arm live trading for one session, or say why not; a refusal changes no phase."""
        refusal = self._arm_refusal(stage, now)
        if refusal is None:
            decision = arming.decide(
                request,
                now_wall_ns=now.wall_ns,
                high_water_mark_ns=self.state.high_water_mark_ns,
            )
            if not isinstance(decision, ArmRefusal):
                gross = min(decision.max_notional_usd, STAGE_LIMITS[stage].gross_usd)
                self._record(
                    Kind.ARM,
                    arm_at_ns=decision.arm_at_ns,
                    stage=stage,
                    gross_cap_usd=str(gross),
                    until_boot_ns=now.boot_ns + decision.window_left_ns,
                    actor=actor,
                )
                return None
            refusal = decision
        self._record_arm_failure(refusal, now, actor)
        return Refusal(refusal, ARM_MEANING[refusal])

    def _arm_refusal(self, stage: str, now: Now) -> ArmRefusal | None:
        state = self.state
        if state.environment == "paper" or not self._has_secrets:
            return ArmRefusal.ARM_NO_SECRETS
        # A lock further away than it can last was set before the host restarted its boot clock.
        if 0 < state.arm_locked_until_ns - now.boot_ns <= limits.ARM_LOCK_NS:
            return ArmRefusal.ARM_LOCKED
        if not isinstance(state.phase, Disarmed) or state.open_orders or state.positions:
            return ArmRefusal.ARM_BAD_STATE
        if stage not in STAGE_LIMITS or stage == "paper":
            return ArmRefusal.ARM_STAGE
        if state.journal_failed:
            return ArmRefusal.ARM_AUDIT
        return None

    def _record_arm_failure(self, refusal: ArmRefusal, now: Now, actor: str) -> None:
        since = now.boot_ns - limits.ARM_TRIES_WINDOW_NS
        recent = [at for at in self.state.arm_failures_ns if at > since]
        locks = len(recent) + 1 >= limits.ARM_TRIES and refusal is not ArmRefusal.ARM_LOCKED
        self._record(
            Kind.ARM_DENY,
            code=refusal,
            actor=actor,
            at_boot_ns=now.boot_ns,
            locked_until_boot_ns=now.boot_ns + limits.ARM_LOCK_NS if locks else 0,
        )

    def disarm(self, actor: str) -> None:
        """Take back an arm, or end the live session; always allowed, changes nothing else."""
        if isinstance(self.state.phase, Armed):
            self._record(Kind.DISARM, cause="operator", actor=actor)
        elif isinstance(self.state.phase, Live):
            self.close("operator")

    def kill(self, now: Now, *, cause: str, actor: str) -> None:
        """Set the latch; idempotent, the first cause is kept."""
        if not isinstance(self.state.phase, Killed):
            self._record(Kind.KILL, cause=cause, actor=actor, at_boot_ns=now.boot_ns)

    def reset(self, now: Now, actor: str) -> Refusal | None:
        """Clear the latch after its dwell time, to the idle state only: never to trading."""
        phase = self.state.phase
        if not isinstance(phase, Killed):
            return Refusal("RESET_BAD_STATE", f"nothing to reset: state is {self.state.phase_name}")
        # Boot time restarts with the host: a latch from "the future" has its dwell counted anew.
        waited_ns = now.boot_ns - phase.since_ns
        if 0 <= waited_ns < limits.RESET_DWELL_NS:
            left_s = (limits.RESET_DWELL_NS - waited_ns) // 1_000_000_000 + 1
            return Refusal("RESET_DWELL", f"killed too recently: find the cause; wait {left_s} s")
        if self.state.open_orders:
            doubtful = ", ".join(o.client_order_id for o in self.state.open_orders.values())
            return Refusal("RESET_NOT_FLAT", f"orders are not proven ended: {doubtful}")
        self._record(Kind.RESET, actor=actor)
        return None

    def open_session(self, request: SessionOpen, now: Now) -> Session | Refusal:
        """Open the one session that this arm (or paper) allows, under a new epoch."""
        self.tick(now)
        refusal = self._session_refusal(request)
        if refusal is not None:
            return refusal
        phase, stage_limits = self.state.phase, STAGE_LIMITS[request.stage]
        gross = phase.gross_cap_usd if isinstance(phase, Armed) else stage_limits.gross_usd
        duration = stage_limits.duration_ns
        self._record(
            Kind.OPEN,
            session_id=request.session_id,
            epoch=self.state.epoch + 1,
            stage=request.stage,
            instruments=sorted(request.instruments),
            gross_cap_usd=str(gross),
            order_cap_usd=str(limits.order_cap(stage_limits, gross)),
            lease_until_boot_ns=now.boot_ns + limits.LEASE_NS,
            hard_deadline_boot_ns=None if duration is None else now.boot_ns + duration,
        )
        session = self.state.session
        if session is None:
            raise RuntimeError("an OPEN record did not open a session")
        return session

    def _session_refusal(self, request: SessionOpen) -> Refusal | None:
        state, phase = self.state, self.state.phase
        if isinstance(phase, Killed):
            return Refusal(DenyReason.KILLED, f"killed: {phase.cause}")
        if state.session is not None:
            return Refusal("SESSION_BUSY", "another session's lease still runs: try again in 3 s")
        if not isinstance(phase, Armed | Paper):
            return Refusal("NOT_ARMED", f"state is {state.phase_name}")
        if state.journal_failed:
            return Refusal(DenyReason.AUDIT, "the journal failed")
        expected_stage = phase.stage if isinstance(phase, Armed) else "paper"
        if request.stage != expected_stage:
            return Refusal("CONFIG_MISMATCH", f"expected stage {expected_stage}")
        if request.config_sha256 != self._config_sha256:
            return Refusal("CONFIG_MISMATCH", "engine and gatekeeper were configured differently")
        unknown = sorted(set(request.instruments) - set(state.instruments))
        if unknown or not request.instruments:
            return Refusal(DenyReason.SYMBOL, f"unknown instruments: {', '.join(unknown[:5])}")
        return None

    def heartbeat(self, epoch: int, now: Now) -> Session | Refusal:
        """Renew the lease of the running session, never past its hard deadline."""
        self.tick(now)
        session = self.state.session
        if session is None:
            return Refusal(DenyReason.NOT_LIVE, f"state is {self.state.phase_name}, no session")
        if session.epoch != epoch:
            return Refusal(DenyReason.STALE_EPOCH, f"expected epoch {session.epoch}")
        until = now.boot_ns + limits.LEASE_NS
        if session.hard_deadline_ns is not None:
            until = min(until, session.hard_deadline_ns)
        # A lease is not journaled: a restart ends the session whatever its lease was.
        renewed = replace(session, lease_until_ns=until)
        self.state.phase = Paper(renewed) if isinstance(self.state.phase, Paper) else Live(renewed)
        return renewed

    def close(self, cause: str) -> None:
        """End the running session, if any, with its cause."""
        session = self.state.session
        if session is not None:
            self._record(Kind.CLOSE, epoch=session.epoch, cause=cause)

    def tick(self, now: Now) -> None:
        """Let time pass: windows, leases and deadlines lapse."""
        phase = self.state.phase
        if isinstance(phase, Armed) and now.boot_ns >= phase.until_ns:
            self._record(Kind.DISARM, cause="window", actor="clock")
        elif isinstance(phase, Live | Paper) and phase.session is not None:
            self._session_tick(phase.session, now)
        elif isinstance(phase, Expired) and not self.state.open_orders:
            self._record(Kind.FLAT)

    def _session_tick(self, session: Session, now: Now) -> None:
        if session.hard_deadline_ns is not None and now.boot_ns >= session.hard_deadline_ns:
            self.close("hard_deadline")
        elif now.boot_ns >= session.lease_until_ns:
            if isinstance(self.state.phase, Live):
                self.kill(now, cause="HEARTBEAT_LOST", actor="clock")
            else:
                self.close("heartbeat_lost")

    def order(self, intent: OrderIntent, now: Now) -> Submit | Known | policy.Denied:
        """Decide one order: reserve and record it, return what is known of it, or deny."""
        self.tick(now)
        state, digest = self.state, intent_sha256(intent)
        settled, in_flight = (
            state.settled.get(intent.intent_id),
            state.open_orders.get(intent.intent_id),
        )
        seen = settled or in_flight
        if seen is not None:
            if seen.intent_sha256 != digest:
                return self._deny(
                    intent, policy.Denied(DenyReason.ID_CONFLICT, "another body was sent", ())
                )
            return Known(settled.result if settled is not None else None)
        verdict = policy.evaluate(intent, state, now)
        if isinstance(verdict, policy.Denied):
            denied = self._deny(intent, verdict)
            if verdict.reason is DenyReason.INTERNAL:
                self.kill(now, cause="INTERNAL", actor="policy")
            return denied
        return Submit(self._reserve(verdict))

    def _reserve(self, approved: policy.Approved) -> OpenOrder:
        intent, session = approved.intent, self.state.session
        if session is None:
            raise RuntimeError("an order was approved without a session")
        cid = client_order_id(session.session_id, intent.intent_id)
        if cid in self.state.intent_of:
            raise RuntimeError("a client order id would be used twice")
        self._apply(
            sent_record(
                cid,
                session.session_id,
                intent,
                notional=approved.notional_usd,
                reducing=approved.reducing,
            )
        )
        return self.state.open_orders[intent.intent_id]

    def _deny(self, intent: OrderIntent, denied: policy.Denied) -> policy.Denied:
        self._record(
            Kind.DENY,
            code=denied.reason,
            detail=denied.detail,
            passed=list(denied.vector),
            intent=strict.plain(intent),
        )
        return denied

    def recheck(self, order: OpenOrder, now: Now) -> OrderResult | None:
        """Ask once more in the tick of the write; return the abort's result where it is a no."""
        self.tick(now)
        denied = policy.recheck(order.intent, self.state, now)
        if denied is None:
            return None
        result = aborted_result(order, denied.reason, denied.detail)
        self.abort(result)
        return result

    def abort(self, result: OrderResult) -> None:
        """Release an order that was recorded and provably never written to the wire."""
        self._apply(result_record(result, Kind.ABORTED))

    def unknown(self, order: OpenOrder, why: str) -> None:
        """Keep an order in doubt: it holds its budget until the venue proves what happened."""
        current = self.state.open_orders.get(order.intent.intent_id)
        if current is not None and not current.unknown:
            self._record(Kind.UNKNOWN, intent_id=order.intent.intent_id, why=why)

    def settle(self, result: OrderResult) -> None:
        """Settle an order with the venue's terminal answer; idempotent."""
        if result.outcome is Outcome.UNKNOWN:
            raise ValueError("an unknown outcome settles nothing")
        if result.intent_id in self.state.open_orders:
            self._apply(result_record(result))


def new_boot_id() -> str:
    """Return a fresh id of this process's life."""
    return os.urandom(8).hex()
