"""Sessions: opening, living by heartbeats, holding, ending and being killed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from interlock_core.money import ZERO
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import SessionOpen, Telemetry
from interlock_gatekeeper import budget, flatten, guards, halt, limits
from interlock_gatekeeper.guards import Level
from interlock_gatekeeper.limits import STAGE_CAPS
from interlock_gatekeeper.recorder import Recorder, Refusal
from interlock_gatekeeper.records import (
    Kind,
)
from interlock_gatekeeper.seen import EngineSeen, ReconSeen
from interlock_gatekeeper.state import (
    Armed,
    Killed,
    Live,
    Now,
    Paper,
    Session,
)


class Sessions(Recorder):
    """The events that begin, keep and end a session, and the latch that ends them all."""

    def kill(self, now: Now, *, cause: str, actor: str) -> None:
        """Set the latch; the first cause stays."""
        if isinstance(self.state.phase, Killed):
            return
        self.close(f"killed: {cause}", now)
        self._record(Kind.KILL, cause=cause, actor=actor, at_boot_ns=now.boot_ns)
        self._halting.begin(now.boot_ns)

    def open_session(
        self, request: SessionOpen, now: Now, allocation: Mapping[str, Decimal] | None = None
    ) -> Session | Refusal:
        """Open the one session that this arm (or paper) allows, under a new epoch."""
        self.tick(now)
        refusal = self._session_refusal(request, now)
        if refusal is not None:
            return refusal
        phase = self.state.phase
        stage_cap = STAGE_CAPS[request.stage].gross_usd
        gross = phase.gross_cap_usd if isinstance(phase, Armed) else stage_cap
        caps = limits.session_caps(request.stage, gross, self._lowered)
        if request.stage == "continuous":
            caps = limits.left_of_day(caps, self.state.day, now.wall_ns)
        duration = caps.duration_ns
        self._record(
            Kind.OPEN,
            session_id=request.session_id,
            epoch=self.state.epoch + 1,
            stage=request.stage,
            instruments=sorted(request.instruments),
            allocation={key: str(value) for key, value in (allocation or {}).items()},
            gross_cap_usd=str(gross),
            caps=limits.caps_record(caps),
            opened_boot_ns=now.boot_ns,
            lease_until_boot_ns=now.boot_ns + limits.LEASE_NS,
            hard_deadline_boot_ns=None if duration is None else now.boot_ns + duration,
        )
        seen = self.state.seen
        seen.engine, seen.recon, seen.pnl_peak_usd = EngineSeen(), ReconSeen(), ZERO
        seen.engine.heartbeat_ns = now.boot_ns
        left = self.state.positions or self.state.open_orders
        seen.engine.began_flat = not left or self.state.environment == "live"
        seen.denials_ns.clear()
        session = self.state.session
        if session is None:
            raise RuntimeError("an OPEN record did not open a session")
        return session

    def _session_refusal(self, request: SessionOpen, now: Now) -> Refusal | None:
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
        expected = STAGE_CAPS[expected_stage]
        if request.stage != expected_stage:
            return Refusal("CONFIG_MISMATCH", f"expected stage {expected_stage}")
        if request.config_sha256 != self._config_sha256:
            return Refusal("CONFIG_MISMATCH", "engine and gatekeeper were configured differently")
        unknown = sorted(set(request.instruments) - set(state.instruments))
        if unknown or not request.instruments:
            return Refusal(DenyReason.SYMBOL, f"unknown instruments: {', '.join(unknown[:5])}")
        count, cap = len(set(map(budget.asset_of, request.instruments))), expected.assets
        if count > cap:
            return Refusal(DenyReason.SYMBOL, f"{count} assets, this stage trades at most {cap}")
        if request.session_id == flatten.SESSION:
            return Refusal(DenyReason.BAD_SCHEMA, f"{flatten.SESSION} is not an engine's name")
        spent = request.stage == "continuous" and limits.is_spent(state.day, now.wall_ns)
        return Refusal("DAY_SPENT", "today's limits are used up: tomorrow, UTC") if spent else None

    def heartbeat(self, epoch: int, now: Now, telemetry: Telemetry | None) -> Session | Refusal:
        """Renew the lease, never past the hard deadline; without whole telemetry, do not."""
        self.tick(now)
        session, engine = self.state.session, self.state.seen.engine
        if session is None:
            return Refusal(DenyReason.NOT_LIVE, f"state is {self.state.phase_name}, no session")
        if session.epoch != epoch:
            return Refusal(DenyReason.STALE_EPOCH, f"expected epoch {session.epoch}")
        guards.note_telemetry(engine, telemetry, now)
        if engine.pnl_before_usd is None and telemetry is not None:
            engine.pnl_before_usd = self._pnl_before(telemetry)
        if telemetry is None:
            return Refusal(DenyReason.BAD_SCHEMA, "the heartbeat's telemetry is not whole")
        until = now.boot_ns + limits.LEASE_NS
        if session.hard_deadline_ns is not None:
            until = min(until, session.hard_deadline_ns)
        # A lease is not journaled: a restart ends the session whatever its lease was.
        renewed = replace(session, lease_until_ns=until)
        self.state.phase = Paper(renewed) if isinstance(self.state.phase, Paper) else Live(renewed)
        return renewed

    def _pnl_before(self, telemetry: Telemetry) -> Decimal | None:
        """Return what the engine had earned before this session; None while that is not known.

        Zero in live. In paper an engine outlives sessions, and may have traded in this one before
        its first heartbeat.
        """
        own = budget.pnl_usd(self.state)
        if isinstance(self.state.phase, Live):
            return ZERO
        return None if own is None else guards.exact(telemetry.pnl_usd) - own

    def renew(self, now: Now, actor: str) -> Refusal | None:
        """Give a continuous session four more hours, never beyond a day from its opening."""
        self.tick(now)
        session = self.state.session
        if session is None or session.stage != "continuous":
            return Refusal("NOT_CONTINUOUS", "only a running `continuous` session is renewed")
        until = min(now.boot_ns + limits.RENEWAL_NS, session.opened_ns + limits.ABSOLUTE_NS)
        self._record(Kind.RENEW, actor=actor, hard_deadline_boot_ns=until)
        return None

    def close(self, cause: str, now: Now) -> None:
        """End the running session, if any, with its cause."""
        session = self.state.session
        if session is not None:
            self._record(
                Kind.CLOSE,
                epoch=session.epoch,
                cause=cause,
                at_boot_ns=now.boot_ns,
                earned=halt.earned_stage(self.state, session, now.boot_ns),
                day=now.wall_ns // limits.DAY_NS,
                loss_usd=str(max(-(budget.pnl_usd(self.state) or ZERO), ZERO)),
            )
            self._halting.begin(now.boot_ns)

    def tick(self, now: Now) -> None:
        """Let time pass: windows, leases and deadlines lapse, and triggers fire."""
        phase = self.state.phase
        if isinstance(phase, Armed) and now.boot_ns >= phase.until_ns:
            self._record(Kind.DISARM, cause="window", actor="clock")
        elif isinstance(phase, Live | Paper) and phase.session is not None:
            self._session_tick(phase.session, now)

    def _session_tick(self, session: Session, now: Now) -> None:
        if session.hard_deadline_ns is not None and now.boot_ns >= session.hard_deadline_ns:
            self.close("hard_deadline", now)
        elif now.boot_ns >= session.lease_until_ns:
            if isinstance(self.state.phase, Live):
                self.kill(now, cause="HEARTBEAT_LOST", actor="clock")
            else:
                self.close("heartbeat_lost", now)

    def guard(self, now: Now) -> None:
        """Ask every trigger once: hold, end or kill the running session as they say."""
        state, session = self.state, self.state.session
        if session is None:
            return
        pnl = budget.pnl_usd(state)
        if pnl is not None:
            state.seen.pnl_peak_usd = max(state.seen.pnl_peak_usd, pnl)
        guards.note_pnl(state, now)
        level, cause = guards.assess(state, session, now)
        state.seen.trigger = cause
        if level is Level.KILL:
            self.kill(now, cause=cause, actor="guard")
            return
        ends = guards.ends_session(state, session, now)
        if ends is not None:
            self.close(ends, now)
            return
        self._hold(level, cause, now)

    def _hold(self, level: Level, cause: str, now: Now) -> None:
        state, hold = self.state, self.state.hold
        if level is Level.HOLD:
            if hold is None:
                self._record(Kind.HOLD, cause=cause, at_boot_ns=now.boot_ns)
            else:
                state.hold = replace(hold, clean_since_ns=None)
        elif hold is not None and hold.clean_since_ns is None:
            state.hold = replace(hold, clean_since_ns=now.boot_ns)
        elif hold is not None and now.boot_ns - (hold.clean_since_ns or 0) >= guards.HOLD_CLEAN_NS:
            self._record(Kind.HOLD_END, at_boot_ns=now.boot_ns)
        hold = state.hold
        if hold is None or state.environment == "paper":
            return
        if state.ledger.holds > guards.HOLDS_MAX:
            self.kill(now, cause="HOLDS", actor="guard")
        elif now.boot_ns - hold.since_ns > guards.HOLD_MAX_NS:
            self.kill(now, cause=hold.cause, actor="guard")
