"""Is anything open from before: orders, orders in doubt, positions?"""

from __future__ import annotations

from interlock_core.wire.health import PATH_HEALTH
from interlock_core.wire.preflight import CheckReport
from interlock_preflight.context import Context, Findings, ask

FIND = Findings("exposure")
TODO = "see `interlock status --json`; close it before live"


def run(context: Context) -> list[CheckReport]:
    """Check what the gatekeeper's journal holds to be open. It asks the venues, this job never."""
    answer = ask(context, context.settings.gatekeeper_url + PATH_HEALTH)
    if isinstance(answer, str):
        return [FIND.bad("journal", answer, "start the gatekeeper, or set GATEKEEPER_URL")]
    orders, unknown = answer.body.get("open_orders"), answer.body.get("unknown_orders")
    positions = answer.body.get("positions")
    if type(orders) is not int or not isinstance(unknown, list) or not isinstance(positions, dict):
        return [FIND.bad("journal", "the gatekeeper's report is incomplete", "check its version")]
    return [
        _count(context, "open orders", orders),
        _count(context, "orders in doubt", len(unknown)),
        _count(context, "positions", len(positions)),
    ]


def _count(context: Context, name: str, number: int) -> CheckReport:
    if number == 0:
        return FIND.good(name, "none")
    judge = FIND.bad if context.live else FIND.doubt
    return judge(name, f"{number} from an earlier session", TODO)
