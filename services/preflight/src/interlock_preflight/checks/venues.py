"""Do the venues answer, and do their clocks agree with ours?"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import cast

from interlock_core.clock import NS_PER_MS, NS_PER_S
from interlock_core.endpoints import VenuesKind, endpoints
from interlock_core.instrument import Venue
from interlock_core.wire.health import HTTP_OK
from interlock_core.wire.preflight import CheckReport
from interlock_preflight.context import Answer, Context, Findings, ask

MAX_OFFSET_MS = 500
# Upbit has no time endpoint: its Date header has whole seconds, so it only shows gross errors.
MAX_DATE_OFFSET_MS = 2000
FIND = Findings("venues")


def run(context: Context) -> list[CheckReport]:
    """Check that each venue of a route answers, and its clock."""
    settings = context.settings
    perp = settings.binance_market == "perp"
    binance = Venue.BINANCE_PERP if perp else Venue.BINANCE
    if not context.may_ask_venues:
        seen = f"{Venue.UPBIT} and {binance} are real: not looked at in a dry run"
        return [FIND.doubt("reachable", seen, "run it with --real")]
    where = endpoints(cast("VenuesKind", settings.venues), settings.simvenues_url)
    clock_url = (
        f"{where.binance_perp_rest}/fapi/v1/time" if perp else f"{where.binance_rest}/api/v3/time"
    )
    return [
        _upbit(context, f"{where.upbit_rest}/v1/ticker?markets=KRW-USDT"),
        _binance(context, binance, clock_url),
    ]


def _upbit(context: Context, url: str) -> CheckReport:
    answer = ask(context, url)
    if isinstance(answer, str) or answer.status != HTTP_OK:
        return _silent(Venue.UPBIT, answer)
    try:
        theirs_ms = int(parsedate_to_datetime(answer.date).timestamp() * 1000)
    except (TypeError, ValueError):
        return FIND.doubt(Venue.UPBIT, "answers without a Date", "compare the clock by hand")
    return _judge(context, Venue.UPBIT, theirs_ms, MAX_DATE_OFFSET_MS)


def _binance(context: Context, venue: Venue, url: str) -> CheckReport:
    answer = ask(context, url)
    if isinstance(answer, str) or answer.status != HTTP_OK:
        return _silent(venue, answer)
    theirs_ms = answer.body.get("serverTime")
    if type(theirs_ms) is not int:
        return FIND.bad(venue, "answers without serverTime", "check the address")
    return _judge(context, venue, theirs_ms, MAX_OFFSET_MS)


def _silent(venue: Venue, answer: Answer | str) -> CheckReport:
    seen = answer if isinstance(answer, str) else f"HTTP {answer.status}"
    return FIND.bad(venue, seen, "check SIMVENUES_URL, the network, or the venue's status page")


def _judge(context: Context, venue: Venue, theirs_ms: int, max_offset_ms: int) -> CheckReport:
    offset_ms = context.clock.wall_ns() // NS_PER_MS - theirs_ms
    seen = (
        f"answers ({context.settings.venues}), clock {offset_ms / (NS_PER_S // NS_PER_MS):+.1f} s"
    )
    if abs(offset_ms) > max_offset_ms:
        return FIND.bad(venue, seen, "set this machine's clock (NTP)")
    return FIND.good(venue, seen)
