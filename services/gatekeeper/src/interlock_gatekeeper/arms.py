"""Arming: an operator's word, every condition, an approval where it must be two. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from interlock_core import arming
from interlock_core.arming import ArmGrant, ArmRequest
from interlock_core.reasons import ARM_MEANING, ArmRefusal
from interlock_gatekeeper import conditions, limits
from interlock_gatekeeper.limits import LIVE_STAGES, STAGE_CAPS
from interlock_gatekeeper.recorder import Refusal
from interlock_gatekeeper.records import (
    Kind,
)
from interlock_gatekeeper.sessions import Sessions
from interlock_gatekeeper.state import (
    Armed,
    Live,
    Now,
)


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks on the operator's socket, and what was typed to approve."""

    actor: str
    uid: int
    approval: str = ""


@dataclass(slots=True)
class _Asked:
    """A wish to arm that waits for its approval."""

    wish: str
    uid: int
    at_ns: int
    approved: bool = False


class Arms(Sessions):
    """The events that arm, approve and disarm; a refusal changes no phase."""

    _asked: _Asked | None = None

    def arm(
        self, request: ArmRequest, stage: str, *, now: Now, operator: Operator
    ) -> Refusal | None:
        """Arm live trading for one session, or say why not; a refusal changes no phase."""
        grant = self._arm_grant(request, stage, now)
        if isinstance(grant, Refusal):
            self._record_arm_failure(grant, now, operator.actor)
            return grant
        gross = min(grant.max_notional_usd, STAGE_CAPS[stage].gross_usd)
        waiting = self._approval_refusal(stage, gross, now, operator)
        if waiting is not None:
            return waiting
        self._record(
            Kind.ARM,
            arm_at_ns=grant.arm_at_ns,
            stage=stage,
            gross_cap_usd=str(gross),
            until_boot_ns=now.boot_ns + grant.window_left_ns,
            actor=operator.actor,
        )
        self._asked = None
        return None

    def _arm_grant(self, request: ArmRequest, stage: str, now: Now) -> ArmGrant | Refusal:
        first = self._arm_refusal(stage, now)
        if first is not None:
            return first
        failures = conditions.standing(self.state, stage, self._commit, now)
        missed = bool(self.state.seen.self.selftest_misses)
        if failures and (missed or failures[0].code is ArmRefusal.ARM_BAD_STATE):
            return _arm_refused(failures[0].code, failures[0].seen)
        decision = arming.decide(
            request,
            now_wall_ns=now.wall_ns,
            high_water_mark_ns=self.state.high_water_mark_ns,
        )
        if isinstance(decision, ArmRefusal):
            return _arm_refused(decision)
        return _arm_refused(failures[0].code, failures[0].seen) if failures else decision

    def _arm_refusal(self, stage: str, now: Now) -> Refusal | None:
        state = self.state
        if state.environment == "paper" or not self._has_secrets:
            return _arm_refused(ArmRefusal.ARM_NO_SECRETS)
        if now.boot_ns < state.arm_locked_until_ns:
            return _arm_refused(ArmRefusal.ARM_LOCKED)
        return None if stage in LIVE_STAGES else _arm_refused(ArmRefusal.ARM_STAGE)

    def _approval_refusal(
        self, stage: str, gross: Decimal, now: Now, operator: Operator
    ) -> Refusal | None:
        """Ask for a second person, or a phrase typed after a minute, for the long stages."""
        if stage not in ("hour", "continuous"):
            return None
        wish, asked = f"{stage} {gross:f}", self._asked
        known = asked is not None and asked.wish == wish
        age = now.boot_ns - asked.at_ns if asked is not None else 0
        if asked is None or not known or age > limits.APPROVAL_WINDOW_NS:
            self._asked = _Asked(wish, operator.uid, now.boot_ns)
            return _arm_refused(ArmRefusal.ARM_APPROVAL, f"repeat in 60 s with approval {wish!r}")
        if asked.approved or (operator.approval == wish and age >= limits.APPROVAL_WAIT_NS):
            return None
        left_s = max(limits.APPROVAL_WAIT_NS - age, 0) / 1e9
        return _arm_refused(ArmRefusal.ARM_APPROVAL, f"approval {wish!r} counts in {left_s:.0f} s")

    def approve(self, wish: str, now: Now, operator: Operator) -> Refusal | None:
        """Let a second person approve a wish to arm that another one asked for."""
        asked = self._asked
        fresh = asked is not None and now.boot_ns - asked.at_ns <= limits.APPROVAL_WINDOW_NS
        if asked is None or not fresh or asked.wish != wish:
            return Refusal("NOTHING_ASKED", f"nobody asked to arm {wish!r} in the last 10 minutes")
        if asked.uid == operator.uid:
            return Refusal("SAME_PERSON", "the one who asked cannot approve: another user must")
        asked.approved = True
        return None

    def _record_arm_failure(self, refusal: Refusal, now: Now, actor: str) -> None:
        since = now.boot_ns - limits.ARM_TRIES_WINDOW_NS
        recent = [at for at in self.state.arm_failures_ns if since < at <= now.boot_ns]
        locks = len(recent) + 1 >= limits.ARM_TRIES and refusal.code != ArmRefusal.ARM_LOCKED
        self._record(
            Kind.ARM_DENY,
            code=refusal.code,
            detail=refusal.detail,
            at_boot_ns=now.boot_ns,
            locked_until_boot_ns=now.boot_ns + limits.ARM_LOCK_NS if locks else 0,
            actor=actor,
        )

    def unready(self, now: Now) -> None:
        """Take an unused arm back where a condition of it no longer holds."""
        if isinstance(self.state.phase, Armed):
            stage = self.state.phase.stage
            found = conditions.standing(self.state, stage, self._commit, now)
            lost = [f for f in found if f.code is not ArmRefusal.ARM_BAD_STATE]
            if lost:
                self._record(Kind.DISARM, cause=f"{lost[0].code}: {lost[0].seen}", actor="gate")

    def disarm(self, actor: str, now: Now) -> None:
        """Take an arm back, or end the live session."""
        if isinstance(self.state.phase, Armed):
            self._record(Kind.DISARM, cause="operator", actor=actor)
        elif isinstance(self.state.phase, Live):
            self.close(f"disarm by {actor}", now)


def _arm_refused(code: ArmRefusal, seen: str = "") -> Refusal:
    meaning = ARM_MEANING[code]
    return Refusal(code, f"{meaning} ({seen})" if seen else meaning)
