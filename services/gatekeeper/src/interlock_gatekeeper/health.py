"""What the gatekeeper says of itself: pure answers for the health port and the operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from interlock_core.reasons import ARM_MEANING, ArmRefusal
from interlock_core.wire import strict
from interlock_core.wire.health import ArmedStatus
from interlock_gatekeeper import budget, conditions
from interlock_gatekeeper.state import Armed, Boot, Killed, Live, Now, Paper, State

OK, LOCKED, UNAVAILABLE = 200, 423, 503


@dataclass(frozen=True, slots=True)
class Health:
    """The facts that every answer is made of."""

    state: State
    now: Now
    boot_id: str
    config_sha256: str
    stage: str
    commit: str
    has_secrets: bool
    venue_problems: tuple[str, ...]

    @property
    def knowable(self) -> bool:
        """Say whether an armed state could be believed at all."""
        return not isinstance(self.state.phase, Boot) and not self.state.journal_failed

    @property
    def armed(self) -> bool:
        """Say whether the engine may trade: a positive, fresh fact, nothing else."""
        allowed = isinstance(self.state.phase, Armed | Live | Paper)
        free = self.state.hold is None
        return self.knowable and allowed and free and not self.venue_problems

    def reasons(self) -> tuple[str, ...]:
        """Return why the answer is not armed."""
        found = list(self.venue_problems)
        if self.state.journal_failed:
            found.insert(0, "AUDIT: the journal failed")
        phase = self.state.phase
        if isinstance(phase, Killed):
            found.insert(0, f"KILLED: {phase.cause}")
        elif not isinstance(phase, Armed | Live | Paper):
            found.insert(0, f"state is {self.state.phase_name}")
        if self.state.holding is not None:
            found.insert(0, f"HOLD: {self.state.holding}")
        return tuple(found)

    def arm_failures(self) -> tuple[tuple[str, str], ...]:
        """Return every condition that would refuse an arm now, and what was seen."""
        if self.state.environment != "live" or not self.has_secrets:
            code = ArmRefusal.ARM_NO_SECRETS
            return ((code, ARM_MEANING[code]),)
        found = conditions.standing(self.state, self.stage, self.commit, self.now)
        return tuple((f.code, f"{f.seen}: {ARM_MEANING[f.code]}") for f in found)

    def armed_answer(self, nonce: str) -> tuple[int, ArmedStatus]:
        """Return status and body of `/health/armed`."""
        session, phase = self.state.session, self.state.phase
        gross = session.caps.gross_usd if session else getattr(phase, "gross_cap_usd", None)
        body = ArmedStatus(
            armed=self.armed,
            state=self.state.phase_name,
            hold=self.state.hold is not None,
            reasons=self.reasons(),
            stage=session.stage if session else getattr(phase, "stage", self.stage),
            n_usd="0" if gross is None else str(gross),
            epoch=self.state.epoch,
            lease_ms=_left_ms(session.lease_until_ns if session else None, self.now) or 0,
            hard_ms=_left_ms(session.hard_deadline_ns if session else None, self.now),
            boot_id=self.boot_id,
            config_sha256=self.config_sha256,
            nonce=nonce,
        )
        if self.armed:
            return OK, body
        return (LOCKED if self.knowable and not self.venue_problems else UNAVAILABLE), body

    def ready_answer(self) -> tuple[int, dict[str, Any]]:
        """Return status and body of `/health/ready`: could it be armed, or is paper ready?"""
        reasons = list(self.reasons()) if not self.armed else []
        if self.state.environment == "live":
            reasons = [r for r in reasons if r != "state is DISARMED"]
            if not self.armed:
                reasons += [f"{code}: {what}" for code, what in self.arm_failures()]
        return (UNAVAILABLE if reasons else OK), {"ready": not reasons, "reasons": reasons}

    def report(self) -> dict[str, Any]:
        """Return the full report for people, the console and the terminal view."""
        _, status = self.armed_answer("")
        exposure = budget.exposure_usd(self.state)
        return {
            **strict.plain(status),
            "cause": phase.cause if isinstance(phase := self.state.phase, Killed) else None,
            "flat": self.state.flat,
            "residual": _residual(self.state),
            "session_id": self.state.session.session_id if self.state.session else None,
            "reserved_usd": str(budget.reserved_usd(self.state)),
            "exposure_usd": None if exposure is None else str(exposure),
            "unknown_orders": [o.client_order_id for o in self.state.unknown_orders],
            "open_orders": len(self.state.open_orders),
            "positions": {key: str(value) for key, value in self.state.positions.items()},
            "environment": self.state.environment,
        }


def _residual(state: State) -> dict[str, Any] | None:
    left = state.residual
    if left is None:
        return None
    positions = {key: str(value) for key, value in left.positions.items()}
    return {"sha256": left.sha256, "orders": list(left.orders), "positions": positions}


def _left_ms(until_ns: int | None, now: Now) -> int | None:
    return None if until_ns is None else max(until_ns - now.boot_ns, 0) // 1_000_000
