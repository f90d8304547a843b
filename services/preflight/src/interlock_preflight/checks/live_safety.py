"""Is the gatekeeper there, healthy, and in the state that a start expects?"""

from __future__ import annotations

from interlock_core.wire.health import HTTP_OK, PATH_HEALTH, PATH_READY
from interlock_core.wire.preflight import CheckReport
from interlock_preflight.context import Context, Findings, ask
from interlock_preflight.settings import ARM_FACTS

FIND = Findings("live safety")


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
    answer = ask(context, context.settings.gatekeeper_url + PATH_READY)
    if isinstance(answer, str):
        return FIND.bad("gatekeeper ready", answer, "start the gatekeeper, or set GATEKEEPER_URL")
    if answer.status != HTTP_OK or answer.body.get("ready") is not True:
        reasons = answer.body.get("reasons")
        said = "; ".join(map(str, reasons)) if isinstance(reasons, list) else "no reasons given"
        return FIND.bad("gatekeeper ready", f"HTTP {answer.status}: {said}", "mend what it names")
    return FIND.good("gatekeeper ready", "ready, no reasons against it")


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
        return FIND.bad("gatekeeper state", seen, "find the cause, then `interlock reset`")
    if context.live and state != "DISARMED":
        return FIND.doubt("gatekeeper state", seen, "arm only after the preflight")
    return FIND.good("gatekeeper state", seen)
