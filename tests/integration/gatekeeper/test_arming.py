"""Every arm condition broken in turn on a running gatekeeper, asked as `interlock arm` asks.

The venue's own list is the witness: whatever is refused, it never receives an order.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.integration.gatekeeper.conftest import (
    COMMIT,
    attest,
    facts,
    gatekeeper,
    live_environment,
    ready_to_arm,
    says,
    until_flat,
)
from tests.integration.gatekeeper.test_mirror import migrated  # noqa: F401 - a fixture
from tests.integration.migrate.conftest import database, server  # noqa: F401 - fixtures

from interlock_core.clock import NS_PER_S, SystemClock, rfc3339
from interlock_core.reasons import ARM_MEANING, ArmRefusal
from interlock_gatekeeper import selftest

pytestmark = pytest.mark.integration

SCOPES, TIME = "GET /sapi/v1/account/apiRestrictions", "GET /fapi/v1/time"
RESTING = "GET /fapi/v1/openOrders"


def at(seconds):
    return rfc3339(SystemClock().wall_ns() + round(seconds * NS_PER_S))


# Broken by what the operator says: (arguments, facts, code).
BY_WORD = {
    "A2 no acknowledgement": ((), {"LIVE_ARM_ACK": ""}, "ARM_ACK"),
    "A2 in lower case": ((), {"LIVE_ARM_ACK": "i_understand_live_risk"}, "ARM_ACK"),
    "A3 no offset": ((), {"LIVE_ARM_AT": "2026-11-23T10:00:00"}, "ARM_AT_FORMAT"),
    "A4 ahead": ((), {"LIVE_ARM_AT": lambda: at(+30)}, "ARM_FUTURE"),
    "A4 stale": ((), {"LIVE_ARM_AT": lambda: at(-601)}, "ARM_STALE"),
    "A6 too much": ((), {"LIVE_MAX_NOTIONAL_USD": "1000.01"}, "ARM_NOTIONAL"),
    "A6 too little": ((), {"LIVE_MAX_NOTIONAL_USD": "9.99"}, "ARM_NOTIONAL"),
    "A11 no smoke before": (("--stage", "pilot"), {}, "ARM_LADDER"),
    "A12 nobody approved": (("--stage", "hour"), {}, "ARM_APPROVAL"),
}


async def arm(stack, *arguments, **changes):
    words = {name: value() if callable(value) else value for name, value in changes.items()}
    return await stack.ctl("arm", *(arguments or ("--stage", "smoke")), **facts(**words))


async def refused(stack, venue, code, *arguments, **changes):
    """Ask to arm; see the code, the mend, no session, no order, and none at the venue."""
    status, output = await arm(stack, *arguments, **changes)
    assert status == 3, output
    assert code in output
    assert ARM_MEANING[ArmRefusal(code)] in " ".join(output.split())
    assert (await stack.engine.open(stage="smoke")).status_code in (409, 423)
    assert (await stack.engine.order()).status_code in (403, 423)
    assert (await stack.armed())[0] in (423, 503)
    assert [name for name, _ in venue.received if is_order(name)] == []
    # The lock after five refusals has a test of its own.
    stack.app._state.arm_failures_ns.clear()
    stack.app._state.arm_locked_until_ns = 0


def is_order(name):
    return name.startswith("POST ") and "order" in name


@asynccontextmanager
async def live(venue, tmp_path, dsn):
    environ = live_environment(tmp_path, dsn)
    attest(environ)
    async with gatekeeper(venue, tmp_path / "state", **environ) as stack:
        yield stack, environ


@pytest.mark.parametrize("server", ["embedded-18"], indirect=True)
async def test_each_condition_is_named_and_no_order_reaches_the_venue(venue, tmp_path, migrated):  # noqa: F811
    """A1 to A8, A11, A12 broken in turn and mended again; whole, it arms, and only once."""
    dsn = migrated.dsn(user="gatekeeper", password="pw-of-gatekeeper")
    async with live(venue, tmp_path, dsn) as (stack, environ):
        await ready_to_arm(stack)
        stack.app._state.ladder["pilot"] = (SystemClock().wall_ns(), COMMIT)
        for arguments, words, code in BY_WORD.values():
            await refused(stack, venue, code, *arguments, **words)
        for spoil, mend, code in by_world(stack, venue, environ):
            await spoil()
            await refused(stack, venue, code)
            await mend()
        used = facts()
        assert (await stack.ctl("arm", "--stage", "smoke", **used))[0] == 0
        status, output = await arm(stack)
        assert (status, "ARM_BAD_STATE" in output) == (3, True)  # A1: it is armed already
        assert (await stack.ctl("disarm"))[0] == 0
        await refused(stack, venue, "ARM_REPLAY", **used)  # A5
        await stack.ctl("kill", "--reason", "test")
        await refused(stack, venue, "ARM_BAD_STATE")  # A1: killed


def by_world(stack, venue, environ):
    """Return what breaks a condition from outside, what mends it, and the code."""
    accounts, script = stack.app._accounts, venue.script
    perp = next(c for c in accounts._calls if c.adapter.venue == "BINANCE_PERP")

    def answering(path, answer, read):
        before = script[path][0]

        async def spoil():
            script[path][0] = answer
            await read()

        async def mend():
            script[path][0] = before
            await read()

        return spoil, mend

    async def keys():
        await accounts.read_keys(perp)

    async def clock():
        await accounts.read_clock(perp)

    async def attest_anew():
        attest(environ)
        await ready_to_arm(stack)

    async def old_attestation():
        attest(environ, at_wall_ns=SystemClock().wall_ns() - 601 * NS_PER_S)
        await unready(stack, "ARM_PREFLIGHT")

    late = lambda: says({"serverTime": SystemClock().wall_ns() // 1_000_000 - 900})  # noqa: E731
    may = {"enableFutures": True, "enableWithdrawals": True, "ipRestrict": True}
    rests = {"symbol": "BTCUSDT", "orderId": 1, "clientOrderId": "mine-by-hand", "side": "BUY"}
    rests |= {"origQty": "0.001", "executedQty": "0"}
    yield *answering(TIME, late, clock), "ARM_CLOCK"  # A7
    yield *answering(SCOPES, says(may), keys), "ARM_PREFLIGHT"  # A8: the key may withdraw
    yield *answering(RESTING, says([rests]), accounts.read_all), "ARM_PREFLIGHT"  # A8: one rests
    yield *answering(RESTING, says([{}]), accounts.read_all), "ARM_PREFLIGHT"  # A8: unreadable
    yield old_attestation, attest_anew, "ARM_PREFLIGHT"  # A8: preflight was too long ago


async def unready(stack, code):
    """Wait until the health port says that a condition fails."""
    async with asyncio.timeout(10):
        while code not in " ".join((await stack.health.get("/health/ready")).json()["reasons"]):
            await asyncio.sleep(0.05)


async def test_without_an_anchor_or_a_drill_nothing_arms(venue, tmp_path):
    """A9: no PostgreSQL has taken the journal's head. A11: no kill drill was passed."""
    async with live(venue, tmp_path, "") as (stack, _):
        await until_flat(stack)
        await refused(stack, venue, "ARM_AUDIT")
        stack.app._anchored(SystemClock().boot_ns())
        await refused(stack, venue, "ARM_LADDER")


async def test_a_vector_that_is_not_denied_is_named_and_kills(venue, tmp_path, monkeypatch):
    """A10: the self-test runs at every arm; a miss latches."""
    async with live(venue, tmp_path, "") as (stack, _):
        await until_flat(stack)
        monkeypatch.setattr(selftest, "run", lambda: ("a vector",))
        await refused(stack, venue, "ARM_SELFTEST")
        assert (await stack.health.get("/health")).json()["cause"] == "SELFTEST"
