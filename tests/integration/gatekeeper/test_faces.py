"""The four faces of a running gatekeeper, as an engine, an operator and a browser meet them."""

import asyncio
import json
import os
import re
import signal
import stat
from decimal import Decimal
from pathlib import Path

import pytest
from tests.integration.gatekeeper.conftest import (
    PERP_BTC,
    POST,
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

from interlock_core.instrument import Side
from interlock_core.wire import gate, strict
from interlock_core.wire.gate import Holding, SessionBooks, SessionGranted
from interlock_gatekeeper import journal

pytestmark = pytest.mark.integration


async def test_a_session_an_order_an_end(paper, venue):
    """Open, heartbeat, order, ask again, close: one POST reaches the venue."""
    assert (await paper.armed())[0] == 200
    assert (await paper.engine.open()).status_code == 200
    assert (await paper.engine.beat()).json()["epoch"] == 1
    answer = await paper.engine.order()
    assert (answer.status_code, answer.json()["outcome"]) == (200, "filled")
    again = await paper.engine.call("GET", f"{gate.PATH_ORDERS}/intent-0001")
    assert again.json() == answer.json()
    assert (await paper.engine.call("GET", f"{gate.PATH_ORDERS}/nothing-0001")).status_code == 404
    assert (await paper.engine.call("DELETE", gate.PATH_SESSION)).status_code == 200
    assert (await paper.engine.order("intent-0002")).json()["code"] == "NOT_LIVE"
    assert venue.count(POST) == 1


async def test_requests_that_are_not_the_sessions_are_refused(paper, venue):
    """No session, a replay, a wrong epoch, a wrong MAC: 403 AUTH and nothing at the venue."""
    assert (await paper.engine.order()).json()["code"] == "AUTH"
    await paper.engine.open()
    good = await paper.engine.order()
    assert good.status_code == 200
    method, path, body, headers = paper.engine.sent[-1]
    replay = await paper.engine.http.request(method, path, content=body, headers=headers)
    assert (replay.status_code, replay.json()["code"]) == (403, "AUTH")
    for change in ({"epoch": 7}, {"body": b"x"}, {"method": "GET"}, {"path": "/v1/kill"}):
        answer = await paper.engine.call("POST", gate.PATH_ORDERS, b"{}", bound=change)
        assert (answer.status_code, answer.json()["code"]) == (403, "AUTH")
    assert venue.count(POST) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"x" * 9000, b'{"a":1,"a":2}'])
async def test_what_is_not_a_message_is_refused(paper, venue, body):
    """BAD_SCHEMA as a problem document, whatever the bytes."""
    await paper.engine.open()
    answer = await paper.engine.call("POST", gate.PATH_ORDERS, body)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in ("BAD_SCHEMA", "AUTH")
    assert venue.count(POST) == 0


async def test_a_veto_says_its_code_and_what_it_means(paper, venue):
    """Order too large: 403 ORDER_MAX with both numbers."""
    await paper.engine.open()
    answer = await paper.engine.order(quantity="0.2")
    assert (answer.status_code, answer.json()["code"]) == (403, "ORDER_MAX")
    assert "cap is 1000" in answer.json()["detail"]
    assert venue.count(POST) == 0


async def test_a_second_engine_must_wait(paper):
    """SESSION_BUSY while a lease runs; a wrong configuration or instrument is refused."""
    wrong = await paper.engine.open(config_sha256="f" * 64)
    assert (wrong.status_code, wrong.json()["code"]) == (409, "CONFIG_MISMATCH")
    unknown = await paper.engine.open(instruments=("UPBIT:KRW-XYZ",))
    assert (unknown.status_code, unknown.json()["code"]) == (403, "SYMBOL")
    await paper.engine.open()
    busy = await paper.engine.open("session-2")
    assert (busy.status_code, busy.json()["code"]) == (409, "SESSION_BUSY")


async def test_kill_from_every_side_latches(paper, venue):
    """Operator's kill: health 423, orders 423, session refused; paper arms nothing."""
    await paper.engine.open()
    code, _ = await paper.ctl("kill", "--reason", "drill")
    assert code == 0
    status, body = await paper.armed()
    assert (status, body["armed"], body["state"]) == (423, False, "KILLED")
    answer = await paper.engine.order()
    assert (answer.status_code, answer.json()["code"]) == (423, "KILLED")
    assert (await paper.engine.beat()).status_code == 423
    assert (await paper.engine.open("session-2")).status_code == 423
    assert (await paper.ctl("state"))[0] == 4
    code, output = await paper.ctl("reset", "--cause", "OPERATOR")
    assert code == 3
    assert "RESET_DWELL" in output
    assert venue.count(POST) == 0


async def test_the_engine_may_kill_without_a_session(paper):
    """Killing needs almost no authority."""
    answer = await paper.engine.http.post(gate.PATH_KILL, content=b'{"reason":"guard"}')
    assert answer.status_code == 200
    assert (await paper.armed())[1]["state"] == "KILLED"


async def until_killed(stack):
    async with asyncio.timeout(5):
        while (await stack.armed())[1]["state"] != "KILLED":
            await asyncio.sleep(0.02)
    return (await stack.health.get("/health")).json()["cause"]


async def test_a_signal_kills(paper):
    """SIGUSR1 needs nothing but the process."""
    os.kill(os.getpid(), signal.SIGUSR1)
    assert await until_killed(paper) == "SIGNAL"


async def test_a_file_kills_while_it_lies_there(venue, tmp_path):
    """Within a tick, and also at a start: whoever put it there is heard first."""
    file = tmp_path / "KILL"
    async with gatekeeper(venue, tmp_path / "one", KILL_FILE=str(file)) as stack:
        assert (await stack.armed())[1]["state"] == "PAPER"
        file.touch()
        assert await until_killed(stack) == "KILL_FILE"
    async with gatekeeper(venue, tmp_path / "two", KILL_FILE=str(file)) as stack:
        assert (await stack.armed())[1]["state"] == "KILLED"


async def test_a_flood_of_malformed_requests_kills(paper):
    """A hundred in a minute on the engine's socket: whoever that is, it is no engine of ours."""
    for _ in range(20):
        batch = [paper.engine.http.post("/v1/orders", content=b"x") for _ in range(6)]
        await asyncio.gather(*batch)
        if (await paper.armed())[1]["state"] == "KILLED":
            break
        await asyncio.sleep(0.3)
    assert await until_killed(paper) == "FLOOD"


async def test_paper_arms_nothing(paper):
    """ARM_NO_SECRETS with the best of facts."""
    code, output = await paper.ctl("arm", "--stage", "smoke", **facts())
    assert code == 3
    assert "ARM_NO_SECRETS" in output


async def test_the_console_shows_and_kills_only_with_its_own_token(paper):
    """A foreign form cannot press its button, and no other path does anything."""
    page = await paper.console.get("/")
    assert "PAPER" in page.text
    assert "UPBIT" in page.text
    refused = await paper.console.post("/kill", data={"token": "guess"})
    assert refused.status_code == 403
    assert (await paper.armed())[1]["state"] == "PAPER"
    for path in ("/arm", "/reset", "/v1/arm", "/v1/reset"):
        assert (await paper.console.post(path)).status_code == 404
    token = re.search(r'name="token" value="([^"]+)"', page.text).group(1)
    pressed = await paper.console.post("/kill", data={"token": token})
    assert pressed.status_code == 303
    assert "KILLED" in (await paper.console.get("/")).text


async def test_the_console_streams_the_state_and_ends_with_the_gatekeeper(paper):
    """A kill is shown without asking again; an open stream does not hold up the stop."""
    async with paper.console.stream("GET", "/events") as stream:
        lines = stream.aiter_lines()
        async with asyncio.timeout(5):
            await line_with(lines, "<h1>PAPER</h1>")
        await paper.engine.http.post(gate.PATH_KILL, content=b'{"reason":"guard"}')
        async with asyncio.timeout(5):
            await line_with(lines, "<h1>KILLED</h1>")
        paper.app.stop()
        async with asyncio.timeout(5):
            assert await line_with(lines, "nothing says this") is None


async def line_with(lines, text):
    """Return the next line with a text, or None where the stream ends before."""
    async for line in lines:
        if text in line:
            return line
    return None


async def test_the_health_port_changes_nothing(paper):
    """Only GET, only questions."""
    for path in ("/health", "/health/live", "/health/ready", "/health/armed", "/metrics"):
        assert (await paper.health.get(path)).status_code == 200
        assert (await paper.health.post(path)).status_code == 405
    for path in ("/v1/session", "/v1/orders", "/v1/arm", "/v1/kill"):
        assert (await paper.health.post(path)).status_code == 404
    text = (await paper.health.get("/metrics")).text
    assert 'interlock_gatekeeper_state{state="PAPER"} 1.0' in text
    assert "interlock_gatekeeper_armed 1.0" in text
    assert 'interlock_gatekeeper_venue_up{venue="UPBIT"} 1.0' in text


def mode(path):
    return stat.S_IMODE(Path(path).stat().st_mode)


async def test_sockets_are_private(paper):
    """The operator's socket is its owner's; the engine's is its group's."""
    assert mode(paper.environ["OPERATOR_SOCKET"]) == 0o600
    assert mode(paper.environ["GATE_SOCKET"]) == 0o660


async def test_another_user_is_refused_before_anything_is_read(venue, tmp_path):
    """SO_PEERCRED decides: the wrong uid gets AUTH even for a session or a kill."""
    other = str(os.getuid() + 1)
    async with gatekeeper(venue, tmp_path, ENGINE_UID=other) as stack:
        assert (await stack.engine.open()).json()["code"] == "AUTH"
        answer = await stack.engine.http.post(gate.PATH_KILL, content=b'{"reason":"x"}')
        assert answer.json()["code"] == "AUTH"
        assert (await stack.armed())[1]["state"] == "PAPER"


async def test_the_live_road_from_disarmed_to_disarmed(venue, tmp_path, migrated):  # noqa: F811
    """Disarmed 423; armed by the operator; a session; its end; the same time arms no more."""
    dsn = migrated.dsn(user="gatekeeper", password="pw-of-gatekeeper")
    environ = live_environment(tmp_path, dsn)
    attest(environ)
    async with gatekeeper(venue, tmp_path / "state", **environ) as stack:
        assert (await stack.armed())[0] == 423
        await ready_to_arm(stack)
        used = facts()
        assert (await stack.engine.open(stage="smoke")).json()["code"] == "NOT_ARMED"
        code, output = await stack.ctl("arm", "--stage", "smoke", **facts(LIVE_ARM_ACK="yes"))
        assert (code, "ARM_ACK" in output) == (3, True)
        assert (await stack.ctl("arm", "--stage", "smoke", **used))[0] == 0
        assert (await stack.armed())[1]["state"] == "ARMED"
        granted = await stack.engine.open(stage="smoke")
        assert granted.json()["gross_cap_usd"] == "50"
        assert (await stack.engine.order()).json()["outcome"] == "filled"
        assert (await stack.ctl("disarm"))[0] == 0
        assert (await stack.armed())[0] == 423
    async with gatekeeper(venue, tmp_path / "state", **environ) as stack:
        code, output = await stack.ctl("arm", "--stage", "smoke", **used)
        assert code == 3
        assert "ARM_BAD_STATE" in output  # the fill left a position: not flat
        code, output = await stack.ctl("audit", "verify", ARBITRAGE_ENV="live")
        assert code == 0, output
        assert "agree" in output
    for file in journal.files(tmp_path / "state"):
        assert "0123456789abcdef" not in file.read_text()


async def test_a_time_before_the_first_start_arms_nothing(venue, tmp_path):
    """With an empty journal nobody knows which times were used: only later ones arm."""
    before = facts()
    async with gatekeeper(venue, tmp_path / "state", **live_environment(tmp_path)) as stack:
        await until_flat(stack)
        code, output = await stack.ctl("arm", "--stage", "smoke", **before)
        assert (code, "ARM_REPLAY" in output) == (3, True)


async def test_an_environment_full_of_facts_arms_nothing(venue, tmp_path):
    """The LIVE_ variables in the gatekeeper's own environment mean nothing to it."""
    environ = {**live_environment(tmp_path), **facts()}
    async with gatekeeper(venue, tmp_path / "state", **environ) as stack:
        status, body = await stack.armed()
        assert (status, body["state"]) == (423, "DISARMED")


async def test_a_broken_journal_is_never_armed(venue, tmp_path):
    """A changed line: KILLED, 503, and the audit says where."""
    async with gatekeeper(venue, tmp_path) as stack:
        await stack.engine.open()
    (file,) = journal.files(tmp_path)
    file.write_text(file.read_text().replace('"epoch":1', '"epoch":2'))
    async with gatekeeper(venue, tmp_path) as stack:
        status, body = await stack.armed()
        assert (status, body["state"]) == (503, "KILLED")
        assert (await stack.health.get("/health/live")).status_code == 503
        code, output = await stack.ctl("audit", "verify")
        assert code == 1
        assert "BROKEN: journal-" in output


async def test_a_silent_venue_is_not_armed(venue, tmp_path):
    """Without filters and prices nothing can be checked: 503, with the reason."""
    venue.script["GET /fapi/v1/exchangeInfo"].clear()
    venue.script["GET /fapi/v1/exchangeInfo"].append((500, b""))
    async with asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1), gatekeeper(venue, tmp_path):
                pass


async def test_an_order_in_doubt_answers_202_until_it_is_proven(paper, venue):
    """The engine asks by intent id; the answer stays 'unknown' while nothing is proven."""
    venue.script[POST].clear()
    venue.script[POST].append("drop")
    venue.script["GET /fapi/v1/order"].append((500, b""))
    await paper.engine.open()
    answer = await paper.engine.order()
    assert (answer.status_code, answer.json()["outcome"]) == (202, "unknown")
    again = await paper.engine.call("GET", f"{gate.PATH_ORDERS}/intent-0001")
    assert again.status_code == 202
    other = await paper.engine.order("intent-0002", price="9999.9", group_id="group-0002")
    assert other.json()["code"] in ("UNKNOWN_LIMIT", "HOLD")
    report = json.loads((await paper.ctl("state", "--json"))[1])
    assert len(report["unknown_orders"]) == 1


async def test_the_engine_is_told_our_books_and_only_the_engine(paper, venue):
    assert (await paper.engine.call("GET", gate.PATH_SESSION)).status_code == 403
    granted = strict.decode(SessionGranted, (await paper.engine.open()).content)
    assert granted.loss_limit_usd == Decimal(500)
    empty = strict.decode(SessionBooks, (await paper.engine.call("GET", gate.PATH_SESSION)).content)
    assert empty == SessionBooks(paper.engine.epoch, (), (), ())
    assert (await paper.engine.order()).json()["outcome"] == "filled"
    answer = await paper.engine.call("GET", gate.PATH_SESSION)
    books = strict.decode(SessionBooks, answer.content)
    assert books.holdings == (Holding(PERP_BTC, Side.BUY, Decimal("0.001")),)
    # A MAC under another path or an old sequence is refused here as everywhere.
    bound = await paper.engine.call("GET", gate.PATH_SESSION, bound={"path": gate.PATH_HEARTBEAT})
    assert bound.status_code == 403


async def test_an_operator_sees_both_books_side_by_side(paper, venue):
    """Exit code 0 while they agree, 1 for an order that is not ours, 3 where nothing is read."""
    await paper.engine.open()
    assert (await paper.engine.order()).json()["outcome"] == "filled"
    wallet = {"asset": "USDT", "walletBalance": "100000", "availableBalance": "100000"}
    # What somebody else traded on the account, and what only we did.
    for held, differs in (("0.005", True), ("0.001", False)):
        position = {"symbol": "BTCUSDT", "positionAmt": held, "positionSide": "BOTH"}
        account = {"assets": [wallet], "positions": [position]}
        venue.script["GET /fapi/v3/account"].clear()
        venue.script["GET /fapi/v3/account"].append(says(account))
        code, output = await paper.ctl("reconcile")
        assert f"position {PERP_BTC}" in output
        assert (code, "DIFFERS" in output) == (int(differs), differs), output
    report = json.loads((await paper.ctl("reconcile", "--json"))[1])
    (row,) = [r for r in report["venues"]["BINANCE_PERP"] if r["what"] == f"position {PERP_BTC}"]
    assert (row["ours"], row["theirs"], row["verdict"]) == ("0.001", "0.001", "ok")
    venue.script["GET /upbit/v1/accounts"].clear()
    venue.script["GET /upbit/v1/accounts"].append((500, b""))
    code, output = await paper.ctl("reconcile")
    assert (code, "could not be read" in output) == (3, True)
