"""Is the gatekeeper there, healthy, and in the state that a start expects?"""

from __future__ import annotations

import time

from interlock_core.clock import NS_PER_S, monotonic_ns
from interlock_core.wire.health import HTTP_OK, PATH_HEALTH, PATH_READY
from interlock_core.wire.preflight import CheckReport
from interlock_preflight.context import Answer, Context, Findings, ask
from interlock_preflight.settings import ARM_FACTS

FIND = Findings("live safety")
STARTING_NS = 10 * NS_PER_S
ASK_EVERY_S = 0.25


def run(context: Context) -> list[CheckReport]:
    """Check the gatekeeper's readiness and state, and that nothing could arm by itself."""
    return [_arm_facts(context), _ready(context), _state(context)]


def _arm_facts(context: Context) -> CheckReport:
    present = [name for name in context.settings.exposed if name in ARM_FACTS]
    if present:
        return FIND.bad(
            "arm facts",
            f"{', '.join(present)} in this service's environment",
            "give them to `interlock arm` only",
        )
    return FIND.good("arm facts", "in no service's environment; only a person can arm")


def _ready(context: Context) -> CheckReport:
    answer = _ask_until_started(context)
    if isinstance(answer, str):
        return FIND.bad("gatekeeper ready", answer, "start the gatekeeper, or set GATEKEEPER_URL")
    if answer.status != HTTP_OK or answer.body.get("ready") is not True:
        reasons = _reasons(answer)
        seen = f"HTTP {answer.status}: {'; '.join(reasons) or 'no reasons given'}"
        # The latch has a check of its own.
        if reasons and all(reason.startswith("KILLED") for reason in reasons):
            return _killed(context, "gatekeeper ready", seen)
        return FIND.bad("gatekeeper ready", seen, "mend what it names")
    return FIND.good("gatekeeper ready", "ready, no reasons against it")


def _ask_until_started(context: Context) -> Answer | str:
    """Return the readiness, once a gatekeeper that has just started knows its venues."""
    deadline_ns = monotonic_ns() + STARTING_NS
    while True:
        answer = ask(context, context.settings.gatekeeper_url + PATH_READY)
        waits = isinstance(answer, Answer) and any("VENUE_DOWN" in r for r in _reasons(answer))
        if not waits or monotonic_ns() >= deadline_ns:
            return answer
        time.sleep(ASK_EVERY_S)


def _reasons(answer: Answer) -> list[str]:
    reasons = answer.body.get("reasons")
    return list(map(str, reasons)) if isinstance(reasons, list) else []


def _killed(context: Context, name: str, seen: str) -> CheckReport:
    """Without money at stake the engine may start and stand by: there must be a stack to reset."""
    find = FIND.bad if context.live else FIND.doubt
    return find(name, seen, "find the cause, then `interlock reset`; until then nothing trades")


def _state(context: Context) -> CheckReport:
    answer = ask(context, context.settings.gatekeeper_url + PATH_HEALTH)
    if isinstance(answer, str):
        return FIND.bad("gatekeeper state", answer, "start the gatekeeper, or set GATEKEEPER_URL")
    state, environment = answer.body.get("state"), answer.body.get("environment")
    seen = f"{state}, environment {environment}"
    if environment != context.settings.environment:
        return FIND.bad(
            "gatekeeper state", seen, f"start it with ARBITRAGE_ENV={context.settings.environment}"
        )
    if state == "KILLED":
        return _killed(context, "gatekeeper state", seen)
    if context.live and state != "DISARMED":
        return FIND.doubt("gatekeeper state", seen, "arm only after the preflight")
    return FIND.good("gatekeeper state", seen)
