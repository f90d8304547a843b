"""What the gatekeeper says of itself: pure answers for the health port and the operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from interlock_core.wire import strict
from interlock_core.wire.health import ArmedStatus
from interlock_gatekeeper import budget
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
        return self.knowable and allowed and not self.venue_problems

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
        return tuple(found)

    def armed_answer(self, nonce: str) -> tuple[int, ArmedStatus]:
        """Return status and body of `/health/armed`."""
        session, phase = self.state.session, self.state.phase
        gross = session.gross_cap_usd if session else getattr(phase, "gross_cap_usd", None)
        body = ArmedStatus(
            armed=self.armed,
            state=self.state.phase_name,
            hold=False,
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
            if not self.has_secrets:
                reasons.append("ARM_NO_SECRETS: no live trading keys")
            if self.state.open_orders or self.state.positions:
                reasons.append("ARM_BAD_STATE: open orders or positions")
        return (UNAVAILABLE if reasons else OK), {"ready": not reasons, "reasons": reasons}

    def report(self) -> dict[str, Any]:
        """Return the full report for people, the console and the terminal view."""
        _, status = self.armed_answer("")
        exposure = budget.exposure_usd(self.state)
        return {
            **strict.plain(status),
            "session_id": self.state.session.session_id if self.state.session else None,
            "reserved_usd": str(budget.reserved_usd(self.state)),
            "exposure_usd": None if exposure is None else str(exposure),
            "unknown_orders": [o.client_order_id for o in self.state.unknown_orders],
            "open_orders": len(self.state.open_orders),
            "positions": {key: str(value) for key, value in self.state.positions.items()},
            "environment": self.state.environment,
        }


def _left_ms(until_ns: int | None, now: Now) -> int | None:
    return None if until_ns is None else max(until_ns - now.boot_ns, 0) // 1_000_000
