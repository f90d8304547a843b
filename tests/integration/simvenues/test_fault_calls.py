"""Call and order faults over real HTTP: the wire form, and what the exchange itself then has."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
import uuid
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
from tests.integration.simvenues.fault_client import (
    QUANTITY,
    SYMBOLS,
    VENUES,
    FaultClient,
    Reply,
    now_ms,
)
from tests.integration.simvenues.sim_server import BINANCE_KEYS, Server, start, stop

pytestmark = pytest.mark.integration
every_venue = pytest.mark.parametrize("venue", VENUES)
BINANCE = ("binance", "binance_perp")
UNKNOWN = {
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: (
        "Timeout waiting for response from backend server. Send status unknown; "
        "execution status unknown."
    ),
}
NOT_THERE = {
    "upbit": (404, "order_not_found"),
    "binance": (400, -2013),
    "binance_perp": (400, -2013),
}


@pytest.fixture
def client(server: Server) -> Iterator[FaultClient]:
    """The session's simulator, without rules before and after."""
    made = FaultClient(server)
    made.clear()
    yield made
    made.clear()


@pytest.fixture
def name() -> str:
    """A client id nobody used."""
    return f"f-{uuid.uuid4().hex[:24]}"


def _error(venue: str, reply: Reply) -> tuple[int, Any]:
    body = reply.json
    return reply.status, body["error"]["name"] if venue == "upbit" else body["code"]


def _accepted(venue: str, reply: Reply) -> bool:
    return reply.status == (201 if venue == "upbit" else 200)


def _filled(client: FaultClient, name: str) -> bool:
    order = client.audited(name)
    return order is not None and float(order["filled"]) == QUANTITY


@every_venue
def test_without_rules_an_order_is_answered_and_filled(
    client: FaultClient, venue: str, name: str
) -> None:
    """The baseline that every other test departs from."""
    assert _accepted(venue, client.buy(venue, name))
    assert _filled(client, name)
    assert client.faults()["log"] == []


@every_venue
def test_delay(client: FaultClient, venue: str, name: str) -> None:
    """The usual answer, later."""
    client.add(kind="delay", venue=venue, operation="order", ms=400)
    price = client.price(venue)
    begun = time.monotonic()
    reply = client.buy(venue, name, price=price)
    assert time.monotonic() - begun >= 0.4
    assert _accepted(venue, reply)
    assert client.audited(name) is not None


@every_venue
def test_timeout_before_acceptance_never_reaches_the_venue(
    client: FaultClient, venue: str, name: str
) -> None:
    """No answer, no order, and the same client id is free to be used."""
    client.add(kind="timeout_before", venue=venue, operation="order", ms=300, count=1)
    assert client.buy(venue, name).status == 0
    assert client.audited(name) is None
    assert _error(venue, client.order(venue, name)) == NOT_THERE[venue]
    assert _accepted(venue, client.buy(venue, name))
    assert _filled(client, name)


@every_venue
def test_timeout_after_acceptance_loses_only_the_answer(
    client: FaultClient, venue: str, name: str
) -> None:
    """No answer, but the order is there and filled; the log names it."""
    client.add(kind="timeout_after", venue=venue, operation="order", ms=300)
    price = client.price(venue)
    begun = time.monotonic()
    assert client.buy(venue, name, price=price).status == 0
    assert time.monotonic() - begun >= 0.3
    assert _filled(client, name)
    found = client.order(venue, name)
    assert found.status == 200
    (entry,) = client.faults()["log"]
    assert (entry["kind"], entry["venue"], entry["client_id"]) == ("timeout_after", venue, name)


def test_held_calls_do_not_delay_the_end_of_the_process() -> None:
    """A client that gave up and one that still waits, each held for a minute."""
    server = start()
    waiting = http.client.HTTPConnection("127.0.0.1", server.port, timeout=0.2)
    try:
        FaultClient(server).add(kind="timeout_before")
        _gives_up(server)
        waiting.request("GET", "/api/v3/ping")
    finally:
        begun = time.monotonic()
        assert stop(server) == 0
        assert time.monotonic() - begun < 3
        waiting.close()


@every_venue
@pytest.mark.parametrize("executed", [True, False])
def test_unknown_status_says_nothing_of_the_outcome(
    client: FaultClient, venue: str, name: str, *, executed: bool
) -> None:
    """The answers of both outcomes are equal; the exchange tells which it was."""
    client.add(kind="unknown_status", venue=venue, operation="order", executed=executed)
    reply = client.buy(venue, name)
    if venue == "upbit":
        assert (reply.status, reply.text) == (500, "Internal Server Error")
        assert reply.headers["Content-Type"].startswith("text/plain")
    else:
        assert reply.status == 503
        assert reply.json == {"code": -1007, "msg": UNKNOWN[-1007]}
    assert _filled(client, name) is executed
    assert (client.order(venue, name).status == 200) is executed


@pytest.mark.parametrize("venue", BINANCE)
@pytest.mark.parametrize(("code", "status"), [(-1006, 500), (-1007, 504), (0, 503)])
def test_unknown_status_of_binance_by_code(
    client: FaultClient, venue: str, name: str, code: int, status: int
) -> None:
    """-1006, -1007, and the 503 without a code."""
    client.add(
        kind="unknown_status",
        venue=venue,
        operation="order",
        code=code,
        status=status,
        executed=False,
    )
    reply = client.buy(venue, name)
    assert reply.status == status
    if code:
        assert reply.json == {"code": code, "msg": UNKNOWN[code]}
    else:
        assert "code" not in reply.json
        assert reply.json["msg"] == "Unknown error, please check your request or try again later."


@every_venue
def test_rate_limited(client: FaultClient, venue: str, name: str) -> None:
    """429 with Retry-After, and nothing was done."""
    client.add(kind="rate_limited", venue=venue, retry_after_s=3, count=1)
    reply = client.buy(venue, name, price="1")
    expected = "too_many_requests" if venue == "upbit" else -1003
    assert _error(venue, reply) == (429, expected)
    assert reply.headers["Retry-After"] == "3"
    assert client.audited(name) is None


@pytest.mark.parametrize(("venue", "most"), [("binance", 100), ("binance_perp", 300)])
def test_order_rate_limited(client: FaultClient, venue: str, most: int, name: str) -> None:
    """Binance's other 429 names the order limit of the market."""
    client.add(kind="rate_limited", venue=venue, operation="order", code=-1015)
    reply = client.buy(venue, name)
    assert reply.status == 429
    text = f"Too many new orders; current limit is {most} orders per 10 SECOND."
    assert reply.json == {"code": -1015, "msg": text}


@every_venue
def test_banned(client: FaultClient, venue: str, name: str) -> None:
    """418 with Retry-After and the time of the ban; identifiers are not burnt."""
    client.add(kind="banned", venue=venue, operation="order", retry_after_s=120, count=1)
    reply = client.buy(venue, name)
    expected = "too_many_requests" if venue == "upbit" else -1003
    assert _error(venue, reply) == (418, expected)
    assert reply.headers["Retry-After"] == "120"
    if venue == "upbit":
        assert "120 seconds" in reply.json["error"]["message"]
    else:
        until_ms = int(reply.json["msg"].rstrip(".").rpartition(" ")[2])
        assert 100_000 < until_ms - now_ms() <= 120_000
    assert client.audited(name) is None
    assert _accepted(venue, client.buy(venue, name))


REJECTIONS = {
    ("upbit", "balance"): (400, "insufficient_funds_bid"),
    ("upbit", "filter"): (400, "under_min_total_bid"),
    ("upbit", "price_band"): (400, "create_bid_error"),
    ("binance", "balance"): (400, -2010),
    ("binance", "filter"): (400, -1013),
    ("binance", "price_band"): (400, -1013),
    ("binance_perp", "balance"): (400, -2019),
    ("binance_perp", "filter"): (400, -4164),
    ("binance_perp", "price_band"): (400, -4016),
}
TEXTS = {
    ("binance", "balance"): "Account has insufficient balance for requested action.",
    ("binance", "filter"): "Filter failure: NOTIONAL",
    ("binance", "price_band"): "Filter failure: PERCENT_PRICE_BY_SIDE",
    ("binance_perp", "balance"): "Margin is insufficient.",
}


@pytest.mark.parametrize(("venue", "reason"), REJECTIONS)
def test_rejected(client: FaultClient, venue: str, reason: str, name: str) -> None:
    """A valid order is refused in the venue's words; Upbit burns the identifier, Binance not."""
    client.add(kind="rejected", venue=venue, reason=reason, count=1)
    reply = client.buy(venue, name)
    assert _error(venue, reply) == REJECTIONS[venue, reason]
    if (venue, reason) in TEXTS:
        assert reply.json["msg"] == TEXTS[venue, reason]
    assert client.audited(name) is None
    again = client.buy(venue, name)
    if venue == "upbit":
        assert _error(venue, again) == (400, "duplicated_identifier")
    else:
        assert _accepted(venue, again)


@every_venue
def test_partial_fill(client: FaultClient, venue: str, name: str) -> None:
    """An IOC fills a quarter; its rest ends as on the venue, and the lock is given back."""
    client.add(kind="partial_fill", venue=venue, fraction=0.25)
    assert _accepted(venue, client.buy(venue, name))
    order = client.audited(name)
    assert order is not None
    assert (float(order["filled"]), order["outcome"]) == (QUANTITY / 4, "expired")
    row = client.order(venue, name).json
    if venue == "upbit":
        assert (row["state"], row["executed_volume"]) == ("cancel", "5")
        assert row["locked"] == "0"
    else:
        assert row["status"] == "EXPIRED"
        assert float(row["executedQty"]) == QUANTITY / 4


@every_venue
def test_self_trade(client: FaultClient, venue: str, name: str) -> None:
    """Accepted, then ended unfilled by the venue's self-trade prevention."""
    held = client.holding(venue) if venue != "binance_perp" else None
    client.add(kind="self_trade", venue=venue)
    assert _accepted(venue, client.buy(venue, name))
    order = client.audited(name)
    assert order is not None
    assert (order["filled"], order["outcome"]) == ("0", "prevented")
    row = client.order(venue, name).json
    if venue == "upbit":
        assert (row["state"], row["executed_volume"]) == ("cancel", "0")
        assert row["prevented_volume"] == str(QUANTITY)
    else:
        assert row["status"] == "EXPIRED_IN_MATCH"
        assert float(row["executedQty"]) == 0
    if held is not None:
        assert client.holding(venue) == held


HALTS = {"upbit": (403, "market_offline"), "binance": (400, -2010), "binance_perp": (400, -4140)}
DELISTINGS = {
    "upbit": (400, "notfoundmarket"),
    "binance": (400, -1121),
    "binance_perp": (400, -1121),
}


def _listed(client: FaultClient, venue: str) -> dict[str, str | None]:
    if venue == "upbit":
        return {row["market"]: None for row in client.request("GET", "/upbit/v1/market/all").json}
    path = "/api/v3/exchangeInfo" if venue == "binance" else "/fapi/v1/exchangeInfo"
    return {row["symbol"]: row["status"] for row in client.request("GET", path).json["symbols"]}


def _eventually(check: Any) -> None:
    deadline = time.monotonic() + 5
    while not check():
        assert time.monotonic() < deadline, "still not so after 5 s"


@every_venue
def test_halted(client: FaultClient, venue: str, name: str) -> None:
    """Orders of the one market are refused and its status says so; after it all is as before."""
    shown = {"upbit": None, "binance": "HALT", "binance_perp": "PENDING_TRADING"}[venue]
    symbol, price = SYMBOLS[venue], client.price(venue)
    before = _listed(client, venue)
    rule = client.add(kind="halted", venue=venue, symbol=symbol)
    assert _error(venue, client.buy(venue, name, price=price)) == HALTS[venue]
    assert client.audited(name) is None
    _eventually(lambda: _listed(client, venue)[symbol] == shown)
    assert _listed(client, venue) == before | {symbol: shown}
    assert client.request("DELETE", f"/admin/faults/{rule}").status == 200
    _eventually(lambda: _listed(client, venue) == before)
    assert _accepted(venue, client.buy(venue, f"{name}x"))


@every_venue
def test_delisted(client: FaultClient, venue: str, name: str) -> None:
    """The market is gone from the list, and no order finds it."""
    symbol, price = SYMBOLS[venue], client.price(venue)
    before = _listed(client, venue)
    client.add(kind="delisted", venue=venue, symbol=symbol)
    assert _error(venue, client.buy(venue, name, price=price)) == DELISTINGS[venue]
    _eventually(lambda: symbol not in _listed(client, venue))
    assert set(before) - set(_listed(client, venue)) == {symbol}
    assert client.audited(name) is None


@every_venue
def test_maintenance(client: FaultClient, venue: str, name: str) -> None:
    """An HTML page for every call, and nothing was done."""
    price = client.price(venue)
    client.add(kind="maintenance", venue=venue)
    for reply in (client.buy(venue, name, price=price), client.book(venue)):
        assert reply.status == 503
        assert reply.headers["Content-Type"].startswith("text/html")
        assert reply.text.startswith("<!DOCTYPE html>")
        with pytest.raises(json.JSONDecodeError):
            json.loads(reply.text)
    assert client.audited(name) is None


@every_venue
@pytest.mark.parametrize("ms", [-7_000, 7_000])
def test_clock_skew(client: FaultClient, venue: str, ms: int) -> None:
    """The venue's clock is off: in the Date header, Binance's time and its receive window."""
    client.add(kind="clock_skew", venue=venue, ms=ms)
    reply = client.book(venue)
    shown_s = parsedate_to_datetime(reply.headers["Date"]).timestamp()
    assert abs(shown_s - time.time() - ms / 1_000) < 1.5
    if venue == "upbit":
        # Its tokens carry no time: nothing is refused.
        assert client.upbit("GET", "/accounts", {}).status == 200
        return
    path = "/api/v3/time" if venue == "binance" else "/fapi/v1/time"
    server_ms = client.request("GET", path).json["serverTime"]
    assert abs(server_ms - now_ms() - ms) < 500
    assert _error(venue, client.binance(venue, "GET", "/openOrders", {})) == (400, -1021)
    in_step = client.binance(venue, "GET", "/openOrders", {}, ahead_ms=ms)
    assert in_step.status == 200


@every_venue
def test_slow_account(client: FaultClient, venue: str, name: str) -> None:
    """Holdings and open orders are shown as they were; the order itself is found at once."""
    assert _accepted(venue, client.buy(venue, f"{name}a"))
    held = client.holding(venue)
    client.add(kind="slow_account", venue=venue, ms=1_500)
    low = client.price(venue)
    far = float(low) * 0.97
    resting = str(int(far)) if venue == "upbit" else f"{far:.4f}"
    assert _accepted(venue, client.buy(venue, f"{name}b"))
    begun = time.monotonic()
    assert _accepted(venue, client.buy(venue, f"{name}c", price=resting, terms=""))
    assert client.order(venue, f"{name}b").status == 200
    assert client.holding(venue) == held
    assert f"{name}c" not in client.open_orders(venue)
    _eventually(lambda: client.holding(venue) != held)
    _eventually(lambda: f"{name}c" in client.open_orders(venue))
    assert time.monotonic() - begun > 1
    client.clear()
    assert client.cancel(venue, f"{name}c").status == 200


def test_the_admin_door(client: FaultClient) -> None:
    """Rules are appended, shown with their hits, refused with the field, and removed."""
    body = {"rules": [{"kind": "banned", "venue": "upbit"}, {"kind": "stall", "count": 2}]}
    reply = client.request("POST", "/admin/faults", json.dumps(body))
    assert (reply.status, reply.json) == (201, {"ids": ["banned-upbit-1", "stall-all-1"]})
    assert client.request("GET", "/upbit/v1/market/all").status == 418
    rows = {row["id"]: row for row in client.faults()["rules"]}
    assert (rows["banned-upbit-1"]["hits"], rows["stall-all-1"]["hits"]) == (1, 0)
    metrics = client.request("GET", "/metrics").text
    assert 'simvenues_faults_total{kind="banned",venue="UPBIT"}' in metrics
    for bad, problem in (
        ("{", "body: expected JSON"),
        ('{"kind": "delay", "ms": -1}', "rule.ms: expected"),
        ('{"rules": {}}', "rules: expected a list"),
    ):
        refused = client.request("POST", "/admin/faults", bad)
        assert refused.status == 400
        assert problem in refused.json["errors"][0]
    assert client.request("DELETE", "/admin/faults/stall-all-1").status == 200
    assert client.request("DELETE", "/admin/faults/stall-all-1").status == 404
    assert client.request("DELETE", "/admin/faults").json == {"removed": 1}


def test_a_scenario_is_loaded_at_the_start(tmp_path: Any) -> None:
    """Its seed counts before SIM_SEED."""
    file = tmp_path / "own.toml"
    file.write_text('seed = 11\n[[rule]]\nkind = "maintenance"\nvenue = "upbit"\n')
    server = start(SIM_SCENARIO=str(file), SIM_SEED="5")
    try:
        mine = FaultClient(server)
        assert mine.request("GET", "/upbit/v1/market/all").status == 503
        assert mine.faults()["seed"] == 11
        assert mine.request("GET", "/api/v3/time").status == 200
    finally:
        stop(server)


WS_API = {"binance": "/ws-api/v3", "binance_perp": "/ws-api/v1"}
WS_KINDS = {
    "timeout_before": (None, False),
    "timeout_after": (None, True),
    "unknown_status": ((503, -1007), True),
    "rate_limited": ((429, -1003), False),
    "banned": ((418, -1003), False),
    "maintenance": ((503, -1016), False),
    "rejected": ((400, {"binance": -2010, "binance_perp": -2019}), False),
    "halted": ((400, {"binance": -2010, "binance_perp": -4140}), False),
    "delay": ((200, None), True),
}


@pytest.mark.parametrize("venue", BINANCE)
@pytest.mark.parametrize("kind", WS_KINDS)
async def test_the_websocket_api_has_the_same_faults(
    client: FaultClient, venue: str, kind: str, name: str
) -> None:
    """Answered with the code, or left unanswered while the connection goes on."""
    expected, executed = WS_KINDS[kind]
    price = client.price(venue)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{client.server.ws}{WS_API[venue]}") as socket,
    ):
        rule: dict[str, Any] = {"kind": kind, "venue": venue, "operation": "order"}
        if kind == "unknown_status":
            rule["executed"] = True
        client.add(**rule)
        await socket.send_str(_signed_order(venue, name, price))
        await socket.send_str('{"id":"later","method":"time"}')
        answers = {}
        while "later" not in answers:
            answer = json.loads((await socket.receive(timeout=5)).data)
            answers[answer["id"]] = answer
    if expected is None:
        assert name not in answers
    else:
        status, code = expected
        answer = answers[name]
        assert answer["status"] == status
        if code is not None:
            wanted = code[venue] if isinstance(code, dict) else code
            assert answer["error"]["code"] == wanted
    assert (client.audited(name) is not None) is executed


def _signed_order(venue: str, name: str, price: str) -> str:
    params = {
        "apiKey": BINANCE_KEYS[0],
        "symbol": SYMBOLS[venue],
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": str(QUANTITY),
        "price": price,
        "newClientOrderId": name,
        "timestamp": str(now_ms()),
    }
    text = "&".join(f"{key}={value}" for key, value in sorted(params.items()))
    mac = hmac.new(BINANCE_KEYS[1].encode(), text.encode(), hashlib.sha256).hexdigest()
    message = {"id": name, "method": "order.place", "params": {**params, "signature": mac}}
    return json.dumps(message)


def _gives_up(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=0.2)
    try:
        connection.request("GET", "/upbit/v1/market/all")
        with pytest.raises(TimeoutError):
            connection.getresponse()
    finally:
        connection.close()
