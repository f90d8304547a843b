"""The engine's side of the socket against a gatekeeper that answers from a script."""

import asyncio
import contextlib
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web

from interlock_core.clock import NS_PER_S, ManualClock
from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_core.wire import gate, strict
from interlock_core.wire.gate import (
    HeartbeatAck,
    Holding,
    OrderIntent,
    OrderResult,
    Outcome,
    Purpose,
    SessionBooks,
    SessionGranted,
    SessionOpen,
    Telemetry,
)
from interlock_core.wire.problem import problem
from interlock_engine.execute import gate_client
from interlock_engine.execute.gate_client import GateClient, GateError

pytestmark = pytest.mark.integration

KEY = b"k" * 32
OPEN = SessionOpen(1, "session-1", "paper", "c" * 64, ("UPBIT:KRW-BTC",))
TELEMETRY = Telemetry(1.0, 2.0, 3.0, 4.0, 5.0, 0)
GRANTED = SessionGranted(
    session_id="session-1",
    epoch=7,
    key=KEY.hex(),
    lease_ms=3000,
    hard_deadline_ms=None,
    state="PAPER",
    order_cap_usd=Decimal(1000),
    gross_cap_usd=Decimal(10_000),
    loss_limit_usd=Decimal(500),
)
INTENT = OrderIntent(
    schema=1,
    intent_id="intent-0001",
    group_id="group-0001",
    leg="a",
    purpose=Purpose.ENTRY,
    instrument="UPBIT:KRW-BTC",
    side=Side.BUY,
    type="limit",
    time_in_force="ioc",
    quantity=Decimal("0.001"),
    price=Decimal(140_000_000),
    quoted_price=Decimal(140_000_000),
    edge_bps=Decimal(20),
    created_boot_ns=NS_PER_S,
    epoch=7,
)
RESULT = OrderResult(
    intent_id="intent-0001",
    client_order_id="gk1",
    outcome=Outcome.FILLED,
    code=None,
    detail=None,
    filled_quantity=Decimal("0.001"),
    average_price=Decimal(140_000_000),
    fee=Decimal(70),
    fee_currency="KRW",
    venue_order_id="v1",
    latency_ms=3.0,
)
UNKNOWN = replace(RESULT, outcome=Outcome.UNKNOWN, filled_quantity=ZERO)


class Script:
    """Answers by method and path; checks the MAC and the rising sequence of every call."""

    def __init__(self):
        self.answers = {("POST", "/v1/session"): [GRANTED]}
        self.calls = []
        self.sequences = []

    async def handle(self, request):
        body = await request.read()
        where = (request.method, request.path)
        self.calls.append(where)
        if where != ("POST", "/v1/session"):
            sequence = int(request.headers[gate.HEADER_SEQUENCE])
            epoch = int(request.headers[gate.HEADER_EPOCH])
            expected = gate.mac(
                KEY,
                method=request.method,
                path=request.path,
                sequence=sequence,
                epoch=epoch,
                body=body,
            )
            assert request.headers[gate.HEADER_MAC] == expected
            self.sequences.append(sequence)
        return self._answer(where, request)

    def _answer(self, where, request):
        answer = self.answers[where].pop(0)
        if answer == "drop":
            request.transport.abort()
            return web.Response()
        if isinstance(answer, web.Response):
            return answer
        status = 202 if getattr(answer, "outcome", None) is Outcome.UNKNOWN else 200
        status = getattr(answer, "status", status)
        return web.Response(body=strict.encode(answer), status=status)


@contextlib.asynccontextmanager
async def serving(script, path):
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", script.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.fixture
async def rig(monkeypatch):
    monkeypatch.setattr(gate_client, "PROVE_EVERY_S", 0.01)
    script, lost, clock = Script(), [], ManualClock()
    with tempfile.TemporaryDirectory(prefix="ilk-") as folder:
        path = Path(folder) / "engine.sock"
        client = GateClient(path, clock=clock, on_lost=lost.append)
        async with serving(script, path):
            await client.open(OPEN)
            yield script, client, lost, clock
        await client.close()


def says(script, method, path, *answers):
    script.answers[method, path] = list(answers)


async def test_calls_carry_a_mac_and_a_rising_sequence(rig):
    script, client, _, _ = rig
    says(script, "POST", "/v1/heartbeat", *[HeartbeatAck(7, 3000, "PAPER", hold=False)] * 2)
    says(script, "POST", "/v1/orders", RESULT)
    says(script, "DELETE", "/v1/session", web.Response())
    assert await client.heartbeat(TELEMETRY) is not None
    assert await client.submit(INTENT) == RESULT
    assert await client.heartbeat(TELEMETRY) is not None
    await client.end()
    assert script.sequences == [1, 2, 3, 4]
    assert client.granted is None
    assert client.in_doubt == {}


async def test_a_veto_is_a_result_with_its_code(rig):
    script, client, lost, _ = rig
    says(script, "POST", "/v1/orders", problem(403, "ORDER_MAX", "too large"))
    result = await client.submit(INTENT)
    assert (result.outcome, result.code, result.filled_quantity) == (Outcome.VETOED, "ORDER_MAX", 0)
    assert lost == []
    assert client.in_doubt == {}


@pytest.mark.parametrize("code", ["AUTH", "STALE_EPOCH", "KILLED", "NOT_LIVE", "LEASE"])
async def test_a_veto_about_the_session_ends_it(rig, code):
    script, client, lost, _ = rig
    says(script, "POST", "/v1/orders", problem(423, code, "no"))
    assert (await client.submit(INTENT)).code == code
    assert client.granted is None
    assert len(lost) == 1
    assert (await client.submit(INTENT)).code == "GATE_LOST"
    assert script.calls.count(("POST", "/v1/orders")) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "drop",
        web.Response(status=500, text="Internal Server Error"),
        problem(503, "INTERNAL", "see the log"),
        web.Response(status=200, text="{}"),
        web.Response(status=302, headers={"Location": "/"}),
        replace(RESULT, intent_id="intent-other"),
        UNKNOWN,
    ],
    ids=["drop", "500", "503", "empty", "redirect", "other", "unknown"],
)
async def test_what_proves_nothing_is_in_doubt_and_sent_once(rig, answer):
    script, client, _, _ = rig
    says(script, "POST", "/v1/orders", answer)
    assert (await client.submit(INTENT)).outcome is Outcome.UNKNOWN
    assert list(client.in_doubt) == ["intent-0001"]
    says(script, "GET", "/v1/orders/intent-0001", UNKNOWN, "drop", RESULT)
    assert await client.prove(INTENT) == RESULT
    assert client.in_doubt == {}
    assert script.calls.count(("POST", "/v1/orders")) == 1


async def test_an_intent_the_gatekeeper_never_saw_is_proven_only_once_it_would_be_stale(rig):
    script, client, _, clock = rig
    absent = problem(404, "NOT_FOUND", "no such intent")
    says(script, "GET", "/v1/orders/intent-0001", *[absent] * 1000)
    task = asyncio.create_task(client.prove(INTENT))
    async with asyncio.timeout(5):
        while len(script.calls) < 5:
            await asyncio.sleep(0)
    assert not task.done()
    clock.advance(4 * NS_PER_S)
    result = await asyncio.wait_for(task, 5)
    assert (result.outcome, result.code) == (Outcome.VETOED, "NOT_FOUND")


async def test_proof_waits_for_the_next_session(rig):
    script, client, _, _ = rig
    says(script, "POST", "/v1/orders", UNKNOWN)
    await client.submit(INTENT)
    client.lose("test")
    says(script, "GET", "/v1/orders/intent-0001", RESULT)
    task = asyncio.create_task(client.prove(INTENT))
    await asyncio.sleep(0)
    says(script, "POST", "/v1/session", replace(GRANTED, epoch=8))
    await client.open(OPEN)
    assert await asyncio.wait_for(task, 5) == RESULT
    assert client.epoch == 8


@pytest.mark.parametrize(
    "answer", [problem(423, "KILLED", "killed"), problem(403, "AUTH", "no"), "drop"]
)
async def test_a_heartbeat_that_is_not_acknowledged_ends_the_session(rig, answer):
    script, client, lost, _ = rig
    says(script, "POST", "/v1/heartbeat", answer)
    assert await client.heartbeat(TELEMETRY) is None
    assert client.granted is None
    assert len(lost) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem(409, "SESSION_BUSY", "wait"), "SESSION_BUSY"),
        (problem(423, "NOT_ARMED", "no"), "NOT_ARMED"),
        (web.Response(text="hello"), "BAD_ANSWER"),
        ("drop", "CONNECTION"),
    ],
)
async def test_a_session_that_is_not_granted_is_an_error_with_a_code(rig, answer, code):
    script, client, _, _ = rig
    client.lose("test")
    says(script, "POST", "/v1/session", answer)
    with pytest.raises(GateError) as caught:
        await client.open(OPEN)
    assert caught.value.code == code
    assert client.granted is None


async def test_without_a_socket_nothing_is_sent_and_the_session_is_lost(tmp_path):
    lost = []
    client = GateClient(tmp_path / "none.sock", clock=ManualClock(), on_lost=lost.append)
    with pytest.raises(GateError, match="cannot connect"):
        await client.open(OPEN)
    assert (await client.submit(INTENT)).code == "GATE_LOST"
    await client.end()
    await client.close()


async def test_under_a_later_epoch_an_unknown_intent_never_arrived(rig):
    script, client, _, _ = rig
    says(script, "POST", "/v1/session", replace(GRANTED, epoch=8))
    await client.open(OPEN)
    says(script, "GET", "/v1/orders/intent-0001", problem(404, "NOT_FOUND", "no such intent"))
    result = await asyncio.wait_for(client.prove(INTENT), 5)
    assert (result.outcome, result.code) == (Outcome.VETOED, "NOT_FOUND")


async def test_an_answer_that_is_not_kept_any_more_proves_nothing(rig):
    script, client, _, clock = rig
    clock.advance(60 * NS_PER_S)
    gone = problem(410, "FORGOTTEN", "it ended")
    says(script, "GET", "/v1/orders/intent-0001", gone, gone, RESULT)
    assert await asyncio.wait_for(client.prove(INTENT), 5) == RESULT


async def test_books_are_told_or_refused(rig):
    script, client, _, _ = rig
    books = SessionBooks(7, (Holding("UPBIT:KRW-BTC", Side.BUY, Decimal(1)),), (), ())
    says(script, "GET", "/v1/session", books, problem(403, "AUTH", "no"))
    assert await client.books() == books
    with pytest.raises(GateError, match="AUTH"):
        await client.books()
