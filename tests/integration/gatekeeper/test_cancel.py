"""A cancel of an own order always goes to the venue, whatever else is forbidden (V12)."""

import asyncio
import json

import pytest
from tests.integration.gatekeeper.conftest import POST

from interlock_core.wire import gate
from interlock_gatekeeper.journal import JournalError
from interlock_gatekeeper.machine import Machine
from interlock_gatekeeper.server import REQUESTS_PER_S
from interlock_gatekeeper.state import Hold

pytestmark = pytest.mark.integration

CANCEL = "DELETE /fapi/v1/order"


async def hold(stack):
    stack.app._state.hold = Hold("TEST", stack.app._gateway.now().boot_ns)


async def kill(stack):
    await stack.app._gateway.kill("OPERATOR", "test")


async def close(stack):
    assert (await stack.engine.call("DELETE", gate.PATH_SESSION)).status_code == 200


async def fail_journal(stack):
    stack.app._gateway._fail_journal(JournalError("the disk is gone"))


async def spend_the_rate(stack):
    asked = [stack.engine.http.get("/v1/orders/nothing-0001") for _ in range(3 * REQUESTS_PER_S)]
    assert 429 in {answer.status_code for answer in await asyncio.gather(*asked)}


@pytest.mark.parametrize("forbid", [hold, kill, close, fail_journal, spend_the_rate])
async def test_a_cancel_is_never_refused(paper, venue, monkeypatch, forbid):
    """V12: HOLD, KILLED, no session, a failed journal, a spent rate: the venue is asked again."""
    monkeypatch.setattr(Machine, "sweep_due", lambda *_: False)  # a halt cancels on its own, too
    venue.script[POST].clear()
    venue.script[POST].append("drop")
    venue.script["GET /fapi/v1/order"].append((500, b""))
    await paper.engine.open()
    assert (await paper.engine.order()).status_code == 202
    await forbid(paper)
    before = venue.count(CANCEL)
    answer = await paper.engine.call("DELETE", f"{gate.PATH_ORDERS}/intent-0001")
    assert (answer.status_code, answer.json()["outcome"]) == (202, "unknown")
    assert venue.count(CANCEL) == before + 1
    assert json.loads(answer.content)["client_order_id"].startswith("gk")
