"""One write, then only questions: the submission path against a venue that misbehaves."""

import asyncio
import json
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from tests.integration.gatekeeper.scripted_venue import DROP, HANG, ScriptedVenue
from tests.unit.gatekeeper.conftest import COMMIT, CONFIG, INSTRUMENTS, Bench, ManualClock

from interlock_core.wire.gate import Outcome
from interlock_gatekeeper import journal, submit
from interlock_gatekeeper.accounts import Accounts
from interlock_gatekeeper.calls import Calls
from interlock_gatekeeper.gateway import Gateway
from interlock_gatekeeper.halting import Halting
from interlock_gatekeeper.journal import Journal
from interlock_gatekeeper.machine import Machine
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.records import Kind
from interlock_gatekeeper.seen import VenueSeen
from interlock_gatekeeper.state import Live, State
from interlock_gatekeeper.submit import Submitter
from interlock_gatekeeper.transport import Transport
from interlock_gatekeeper.vault import KeyPair
from interlock_gatekeeper.venues.binance import PERP, Binance

pytestmark = pytest.mark.integration

POST, QUERY, FILLS = "POST /fapi/v1/order", "GET /fapi/v1/order", "GET /fapi/v1/userTrades"
ENDED = {"orderId": 7, "executedQty": "0.001", "status": "FILLED"}
NOTHING = {"orderId": 7, "executedQty": "0", "status": "EXPIRED"}
FILL = [
    {
        "orderId": 7,
        "qty": "0.001",
        "price": "9999",
        "commission": "0.005",
        "commissionAsset": "USDT",
    }
]
ABSENT = {"code": -2013, "msg": "Order does not exist."}


def says(body, status=200):
    return status, json.dumps(body).encode()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Shorten the waits, not their order."""
    monkeypatch.setattr(submit, "FOLLOW_DELAYS_S", (0.001,) * 4)
    monkeypatch.setattr(submit, "RESOLVE_DELAYS_S", (0.001,) * 4)
    monkeypatch.setattr(submit, "RESOLVE_EVERY_S", 0.001)
    monkeypatch.setattr(submit, "ANSWER_TIMEOUT_S", 0.2)


@asynccontextmanager
async def desk(tmp_path, url):
    """Return a bench whose gateway sends to url and journals to tmp_path."""
    clock, metrics = ManualClock(), Metrics("paper", "paper")
    state = State(environment="paper")
    state.instruments.update(INSTRUMENTS)
    machine = Machine(state, config_sha256=CONFIG, has_secrets=False)
    adapter = Binance(PERP, url, KeyPair("key-0123456789abcdef", "secret-0123456789"))
    adapter.late_s = 0.02
    transport = Transport(url)
    calls = Calls(adapter, transport, VenueSeen(), clock, scopes=transport)
    submitter = Submitter(calls=calls, machine=machine, clock=clock, metrics=metrics)
    submitters = {adapter.venue: submitter}
    shared = {"calls": [calls], "machine": machine, "clock": clock, "metrics": metrics}
    accounts = Accounts(**shared, declared=None)
    book = Journal(
        tmp_path,
        boot_id="b",
        config_sha256=CONFIG,
        commit=COMMIT,
        observe_sync_s=metrics.sync.observe,
    )
    gateway = Gateway(
        machine=machine,
        book=book,
        clock=clock,
        metrics=metrics,
        boot_id="b",
        submitters=submitters,
        halting=Halting(**shared, submitters=submitters, accounts=accounts),
    )
    await gateway.recover()
    bench = Bench(machine, clock, [])
    bench.gateway = gateway
    bench.book = book
    bench.open()
    yield bench
    await gateway.stop()
    transport.close()
    book.close()


def kinds_in(folder):
    """Return the kinds of all journal lines, in order."""
    (file,) = journal.files(folder)
    return [json.loads(line)["type"] for line in file.read_bytes().splitlines()]


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture
async def venue():
    async with ScriptedVenue() as made:
        made.script[FILLS].append(says(FILL))
        yield made


async def test_a_filled_order_is_priced_from_its_fills(tmp_path, venue):
    """One POST, its fills, one settled result, nothing reserved any more."""
    venue.script[POST].append(says(ENDED))
    async with desk(tmp_path, venue.url) as bench:
        result = await bench.gateway.order(bench.intent())
        assert result.outcome is Outcome.FILLED
        assert (result.average_price, result.fee) == (Decimal(9999), Decimal("0.005"))
        assert bench.state.positions == {"BINANCE_PERP:BTCUSDT": Decimal("0.001")}
        assert not bench.state.open_orders
        assert await bench.gateway.order(bench.intent()) == result
        assert venue.count(POST) == 1


async def test_the_record_is_on_disk_before_the_first_byte(tmp_path, venue):
    """When the venue reads the order, the journal already has its SENT line."""
    venue.script[POST].append(says(NOTHING))
    async with desk(tmp_path, venue.url) as bench:
        await bench.gateway.order(bench.intent())
        kinds = kinds_in(tmp_path)
        assert kinds.index("SENT") < kinds.index("RESULT")


@pytest.mark.parametrize(
    "lost",
    [
        DROP,
        HANG,
        (503, b"Unknown error, please check your request or try again later."),
        says({"code": -1007, "msg": "Timeout waiting for response"}, 408),
        says({"code": -1006, "msg": "Execution status unknown."}, 400),
        (200, b"<html>maintenance</html>"),
    ],
)
async def test_a_lost_answer_is_resolved_by_asking_and_never_by_sending_again(
    tmp_path, venue, lost
):
    """In doubt: reserved, new risk refused, then proven filled by client order id."""
    venue.script[POST].append(lost)
    venue.script[QUERY].extend([(500, b""), says(ENDED)])
    async with desk(tmp_path, venue.url) as bench:
        assert await bench.gateway.order(bench.intent()) is None
        await until(lambda: not bench.state.open_orders)
        settled = bench.state.settled["intent-0001"].result
        assert settled.outcome is Outcome.FILLED
        assert bench.state.positions == {"BINANCE_PERP:BTCUSDT": Decimal("0.001")}
        assert venue.count(POST) == 1


async def test_in_doubt_refuses_new_risk(tmp_path, venue):
    """While one order is in doubt the next is vetoed and never written."""
    venue.script[POST].append(DROP)
    venue.script[QUERY].append((500, b""))
    async with desk(tmp_path, venue.url) as bench:
        assert await bench.gateway.order(bench.intent()) is None
        denied = await bench.gateway.order(bench.intent("intent-0002", price=Decimal("9999.9")))
        assert denied.reason == "UNKNOWN_LIMIT"
        assert venue.count(POST) == 1


async def test_absent_needs_time_and_three_answers(tmp_path, venue):
    """'Does not exist' proves absence only after the order can no longer arrive."""
    venue.script[POST].append(DROP)
    venue.script[QUERY].append(says(ABSENT, 400))
    async with desk(tmp_path, venue.url) as bench:
        assert await bench.gateway.order(bench.intent()) is None
        await until(lambda: not bench.state.open_orders)
        settled = bench.state.settled["intent-0001"].result
        assert (settled.outcome, settled.code) == (Outcome.REJECTED, "ABSENT")
        assert venue.count(QUERY) >= 3
        assert venue.count(POST) == 1


async def test_a_named_refusal_releases_the_budget(tmp_path, venue):
    """A documented business code is definite: rejected, nothing reserved."""
    venue.script[POST].append(says({"code": -2019, "msg": "Margin is insufficient."}, 400))
    async with desk(tmp_path, venue.url) as bench:
        result = await bench.gateway.order(bench.intent())
        assert (result.outcome, result.code) == (Outcome.REJECTED, "-2019")
        assert not bench.state.open_orders


async def test_no_connection_means_nothing_was_sent(tmp_path):
    """A refused connection aborts with a reason; the intent id stays used."""
    async with desk(tmp_path, "http://127.0.0.1:9") as bench:
        result = await bench.gateway.order(bench.intent())
        assert (result.outcome, result.code) == (Outcome.VETOED, "VENUE_DOWN")
        assert not bench.state.open_orders


async def test_a_kill_during_the_sync_stops_the_write(tmp_path, venue):
    """The recheck has the last word: killed while waiting for the disk means not one byte."""
    venue.script[POST].append(says(ENDED))
    async with desk(tmp_path, venue.url) as bench:
        durable = bench.book.durable

        async def killed_meanwhile(seq):
            await durable(seq)
            bench.machine.kill(bench.now, cause="TEST", actor="test")

        bench.book.durable = killed_meanwhile
        result = await bench.gateway.order(bench.intent())
        assert (result.outcome, result.code) == (Outcome.VETOED, "KILLED")
        assert venue.count(POST) == 0


async def test_a_disk_that_fails_stops_everything(tmp_path, venue, monkeypatch):
    """No durable record, no byte; the gatekeeper latches and answers AUDIT ever after."""
    venue.script[POST].append(says(ENDED))
    async with desk(tmp_path, venue.url) as bench:

        def fail(_fd):
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr("interlock_gatekeeper.journal.os.fdatasync", fail)
            result = await bench.gateway.order(bench.intent())
            assert result.outcome is Outcome.VETOED
            assert venue.count(POST) == 0
            assert bench.state.journal_failed
            assert bench.state.phase_name == "KILLED"
            assert (
                await bench.gateway.order(bench.intent("intent-0002", price=Decimal("9999.9")))
            ).reason == "KILLED"


async def test_an_error_of_our_own_leaves_the_order_in_doubt_and_kills(tmp_path, venue):
    """A surprise after the write is never taken for 'nothing happened'."""
    venue.script[POST].append(says(ENDED))
    venue.script[QUERY].append((500, b""))
    async with desk(tmp_path, venue.url) as bench:
        submitter = next(iter(bench.gateway._submitters.values()))
        original = submitter._adapter.read_order
        submitter._adapter.read_order = lambda *_: 1 / 0
        assert await bench.gateway.order(bench.intent()) is None
        submitter._adapter.read_order = original
        assert bench.state.phase.cause == "INTERNAL"
        assert bench.state.unknown_orders


async def test_a_caller_that_goes_away_does_not_stop_its_order(tmp_path, venue):
    """The order is followed to its end although nobody waits."""
    venue.script[POST].append(says(NOTHING))
    async with desk(tmp_path, venue.url) as bench:
        caller = asyncio.create_task(bench.gateway.order(bench.intent()))
        await until(lambda: venue.count(POST) == 1)
        caller.cancel()
        await until(lambda: "intent-0001" in bench.state.settled)
        assert venue.count(POST) == 1


async def test_what_was_in_doubt_at_a_crash_is_asked_for_after_the_restart(tmp_path, venue):
    """SENT without a result: the new process asks, and settles with the venue's answer."""
    venue.script[POST].append(DROP)
    venue.script[QUERY].append((500, b""))
    async with desk(tmp_path, venue.url) as bench:
        assert await bench.gateway.order(bench.intent()) is None
    venue.script[QUERY].clear()
    venue.script[QUERY].append(says(ENDED))
    async with desk(tmp_path, venue.url) as again:
        await until(lambda: "intent-0001" in again.state.settled)
        assert again.state.settled["intent-0001"].result.outcome is Outcome.FILLED
        assert venue.count(POST) == 1
    kinds = kinds_in(tmp_path)
    assert kinds.count(Kind.SENT) == 1


async def test_a_fee_with_more_decimals_than_a_message_carries_is_rounded_up(tmp_path, venue):
    """Sixteen decimals from a venue neither break the record nor understate the cost."""
    venue.script[POST].append(says(ENDED))
    venue.script[FILLS].clear()
    venue.script[FILLS].append(says([{**FILL[0], "commission": "0.0000000000001234"}]))
    async with desk(tmp_path, venue.url) as bench:
        result = await bench.gateway.order(bench.intent())
        assert result.fee == Decimal("0.000000000001")
        assert bench.state.phase_name == "PAPER"


async def test_an_orderly_stop_waits_for_what_was_written(tmp_path, venue):
    """SIGTERM with an order on the wire: its answer is recorded, nothing is left in doubt."""
    venue.script[POST].append(says(NOTHING))
    async with desk(tmp_path, venue.url) as bench:
        submitter = next(iter(bench.gateway._submitters.values()))
        finish, answered = submitter._transport.finish, asyncio.Event()

        async def late(connection, timeout_s):
            await answered.wait()
            return await finish(connection, timeout_s)

        submitter._transport.finish = late
        caller = asyncio.create_task(bench.gateway.order(bench.intent()))
        await until(lambda: venue.count(POST) == 1)
        stopping = asyncio.create_task(bench.gateway.stop())
        await until(lambda: bench.state.session is None)
        assert not stopping.done()
        answered.set()
        await stopping
        assert (await caller).outcome is Outcome.UNFILLED
        kinds = kinds_in(tmp_path)
        assert kinds[-2:] == ["CLOSE", "RESULT"]


async def test_a_leg_left_open_is_closed_and_the_session_killed(tmp_path, venue):
    """The gatekeeper's one order goes out at six seconds; then nothing more is the engine's."""
    venue.script[POST].append(says(ENDED))
    async with desk(tmp_path, venue.url) as bench:
        bench.state.phase = Live(bench.state.session)
        await bench.gateway.order(bench.intent())
        bench.later(6)
        await bench.gateway.tick()
        await until(lambda: bench.state.phase_name == "KILLED")
        assert bench.state.phase.cause == "UNHEDGED_LEG"
        assert bench.state.positions == {}
        assert venue.count(POST) == 2
        await bench.gateway.tick()
    assert venue.count(POST) == 2


async def test_more_filled_than_ordered_is_never_settled(tmp_path, venue):
    """Whatever the answer is about, it is not what was sent: a person has to look."""
    venue.script[POST].append(says({**ENDED, "executedQty": "0.002"}))
    venue.script[QUERY].append(says({**ENDED, "executedQty": "0.002"}))
    venue.script[FILLS].clear()
    venue.script[FILLS].append(says([{**FILL[0], "qty": "0.002"}]))
    async with desk(tmp_path, venue.url) as bench:
        assert await bench.gateway.order(bench.intent()) is None
        assert [order.unknown for order in bench.state.open_orders.values()] == [True]
        assert bench.state.positions == {}
