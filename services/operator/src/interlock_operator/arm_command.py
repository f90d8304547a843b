"""`interlock arm`: collect the operator's three facts and the stage, and pass them on."""

from __future__ import annotations

import sys

import typer

from interlock_core.common_settings import STAGES
from interlock_operator import gate_commands
from interlock_operator.errors import EXIT_USAGE, OperatorError
from interlock_operator.settings import OperatorSettings

LIVE_STAGES = STAGES[1:]
MEANING = {
    "LIVE_ARM_ACK": "type I_UNDERSTAND_LIVE_RISK",
    "LIVE_ARM_AT": "the time now, e.g. 2026-01-31T09:00:00Z or epoch seconds",
    "LIVE_MAX_NOTIONAL_USD": "the most that may be at risk, 10..1000",
}


def run(
    gate: gate_commands.Gate, settings: OperatorSettings, stage: str | None, approval: str
) -> int:
    """Ask the gatekeeper to arm; return its exit code. Never fills in a fact by itself."""
    given = {
        "LIVE_ARM_ACK": settings.live_arm_ack,
        "LIVE_ARM_AT": settings.live_arm_at,
        "LIVE_MAX_NOTIONAL_USD": settings.live_max_notional_usd,
    }
    chosen = stage or (settings.stage if settings.stage in LIVE_STAGES else "")
    missing = [name for name, value in given.items() if not value]
    if not chosen:
        missing.append("STAGE")
    if missing and not sys.stdin.isatty():
        raise OperatorError(
            f"arming needs {', '.join(missing)}: set each to its value "
            "(STAGE also as --stage), or run this on a terminal",
            exit_code=EXIT_USAGE,
        )
    facts = {
        name: value or str(typer.prompt(f"{name} ({MEANING[name]})"))
        for name, value in given.items()
    }
    chosen = chosen or str(typer.prompt(f"STAGE ({', '.join(LIVE_STAGES)})"))
    return gate_commands.run(gate, ("arm", "--stage", chosen, "--approval", approval), facts)
