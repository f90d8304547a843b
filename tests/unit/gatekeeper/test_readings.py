"""What venue answers prove: refused, ended, or in doubt. Anything unlisted is in doubt."""

import hashlib
import hmac
import json
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock_core.instrument import Side
from interlock_core.wire.gate import OrderIntent, Purpose
from interlock_gatekeeper.state import OpenOrder
from interlock_gatekeeper.transport import Answer
from interlock_gatekeeper.vault import KeyPair
from interlock_gatekeeper.venues import binance, upbit
from interlock_gatekeeper.venues.readings import Absent, Accepted, Ambiguous, Ended, Refused

KEYS = KeyPair("key-0123456789abcdef", "secret-0123456789abcdef")
UPBIT = upbit.Upbit("http://127.0.0.1:1/upbit", KEYS)
PERP = binance.Binance(binance.PERP, "http://127.0.0.1:1", KEYS)
SPOT = binance.Binance(binance.SPOT, "http://127.0.0.1:1", KEYS)


def order(instrument, *, reducing=False, side=Side.BUY):
    intent = OrderIntent(
        schema=1,
        intent_id="intent-0001",
        group_id="group-0001",
        leg="a",
        purpose=Purpose.ENTRY,
        instrument=instrument,
        side=side,
        type="limit",
        time_in_force="ioc",
        quantity=Decimal("0.0010"),
        price=Decimal(14000000),
        quoted_price=Decimal(1),
        edge_bps=Decimal(1),
        created_boot_ns=1,
        epoch=1,
    )
    return OpenOrder("gkabcdefgh", "session-1", intent, "0", Decimal(1), reducing, unknown=False)


def answer(status, body):
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode())


def upbit_error(name):
    return {"error": {"name": name, "message": "why"}}


@pytest.mark.parametrize("name", sorted(upbit.DEFINITIVE))
@pytest.mark.parametrize("status", [400, 401, 403])
def test_upbit_named_errors_are_definite(status, name):
    """A documented business error proves that nothing was taken."""
    assert UPBIT.read_order(answer(status, upbit_error(name))) == Refused(name, "why")


@pytest.mark.parametrize("code", sorted(binance.DEFINITIVE))
@pytest.mark.parametrize("venue", [PERP, SPOT])
def test_binance_listed_codes_are_definite(venue, code):
    """A documented business code on a 4xx proves that nothing was taken."""
    body = {"code": code, "msg": "why"}
    assert venue.read_order(answer(400, body)) == Refused(str(code), "why")


@pytest.mark.parametrize(
    ("venue", "status", "body"),
    [
        (UPBIT, 500, upbit_error("validation_error")),
        (UPBIT, 400, upbit_error("something_new")),
        (UPBIT, 400, upbit_error("duplicated_identifier")),
        (UPBIT, 400, b"<html>"),
        (UPBIT, 201, {}),
        (UPBIT, 302, {}),
        (PERP, 503, {"code": -1013, "msg": "x"}),
        (PERP, 400, {"code": -1007, "msg": "Timeout"}),
        (PERP, 400, {"code": -1006, "msg": "Unexpected"}),
        (PERP, 400, {"code": -9999, "msg": "new"}),
        (PERP, 400, {"code": -4116, "msg": "ClientOrderId is duplicated."}),
        (SPOT, 400, {"code": -2010, "msg": "Duplicate order sent."}),
        (SPOT, 408, {}),
        (SPOT, 200, {"orderId": 1}),
        (SPOT, 200, {"orderId": 1, "executedQty": "NaN", "status": "FILLED"}),
        (SPOT, 200, b""),
    ],
)
def test_everything_else_is_in_doubt(venue, status, body):
    """5xx, unknown codes, duplicates, half an answer: never taken for a refusal."""
    assert isinstance(venue.read_order(answer(status, body)), Ambiguous)


@given(st.integers(100, 599), st.binary(max_size=100), st.sampled_from([UPBIT, PERP, SPOT]))
def test_no_bytes_read_as_a_refusal_or_an_end(status, body, venue):
    """Noise is in doubt, and reading is total."""
    reading = venue.read_order(Answer(status, body))
    assert isinstance(reading, Ambiguous) or (venue is UPBIT and status == 429)
    assert isinstance(venue.read_query(Answer(status, body)), Ambiguous)


def test_an_upbit_order_is_followed_until_its_trades_add_up():
    """The state says ended only together with all of its trades."""
    assert UPBIT.read_order(answer(201, {"uuid": "u", "state": "done"})) == Accepted("u")
    body = {
        "uuid": "u",
        "state": "cancel",
        "executed_volume": "0.3",
        "paid_fee": "2.1",
        "trades": [{"volume": "0.1", "funds": "1000"}, {"volume": "0.2", "funds": "2300"}],
    }
    assert UPBIT.read_query(answer(200, body)) == Ended(
        "u", Decimal("0.3"), Decimal(11000), Decimal("2.1"), "KRW"
    )
    assert UPBIT.read_query(answer(200, {**body, "trades": []})) == Accepted("u")
    assert UPBIT.read_query(answer(200, {**body, "state": "wait"})) == Accepted("u")
    none = {**body, "executed_volume": "0", "trades": []}
    assert UPBIT.read_query(answer(200, none)).filled_quantity == 0


def test_not_found_is_absent_and_nothing_more():
    """Absence now is not proof; other errors are not even absence."""
    assert UPBIT.read_query(answer(404, upbit_error("order_not_found"))) == Absent()
    assert PERP.read_query(answer(400, {"code": -2013, "msg": ""})) == Absent()
    assert isinstance(UPBIT.read_query(answer(404, upbit_error("x"))), Ambiguous)
    assert isinstance(PERP.read_query(answer(400, {"code": -2011})), Ambiguous)


def test_binance_price_and_fee_come_from_fills_that_add_up():
    """Until the fills make up what was executed, nothing is known."""
    ended = PERP.read_order(answer(200, {"orderId": 7, "executedQty": "0.3", "status": "EXPIRED"}))
    assert ended == Ended("7", Decimal("0.3"), Decimal(0), Decimal(0), None)
    fills = [
        {"qty": "0.1", "price": "10", "commission": "0.01", "commissionAsset": "USDT"},
        {"qty": "0.2", "price": "13", "commission": "0.02", "commissionAsset": "USDT"},
    ]
    assert PERP.read_fills(ended, answer(200, fills)) == Ended(
        "7", Decimal("0.3"), Decimal(12), Decimal("0.03"), "USDT"
    )
    assert isinstance(PERP.read_fills(ended, answer(200, fills[:1])), Ambiguous)
    mixed = [fills[0], {**fills[1], "commissionAsset": "BNB"}]
    assert isinstance(PERP.read_fills(ended, answer(200, mixed)), Ambiguous)
    assert isinstance(PERP.read_fills(ended, answer(500, fills)), Ambiguous)
    assert isinstance(PERP.read_fills(ended, answer(200, {})), Ambiguous)


def test_a_working_order_is_only_accepted():
    """NEW and PARTIALLY_FILLED are not ends."""
    for status in ("NEW", "PARTIALLY_FILLED", "PENDING_CANCEL"):
        body = {"orderId": 7, "executedQty": "0.1", "status": status}
        assert PERP.read_order(answer(200, body)) == Accepted("7")


def test_a_binance_order_is_signed_and_says_what_it_may_do():
    """The bytes carry our client id, IOC, reduceOnly where it reduces, and a valid signature."""
    request = PERP.order_request(order("BINANCE_PERP:BTCUSDT", reducing=True, side=Side.SELL))
    text = request.body.decode()
    payload, _, signature = text.rpartition("&signature=")
    expected = hmac.new(KEYS.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    fields = dict(parse_qsl(payload))
    assert signature == expected
    assert (request.method, request.target) == ("POST", "/fapi/v1/order")
    assert fields["newClientOrderId"] == "gkabcdefgh"
    assert (fields["side"], fields["type"], fields["timeInForce"]) == ("SELL", "LIMIT", "IOC")
    assert (fields["quantity"], fields["price"]) == ("0.001", "14000000")
    assert fields["reduceOnly"] == "true"
    assert fields["recvWindow"] == "2000"
    assert "secret" not in text


def test_spot_orders_never_carry_reduce_only():
    """Spot knows no such parameter."""
    request = SPOT.order_request(order("BINANCE:BTCUSDT", reducing=True))
    assert request.target == "/api/v3/order"
    assert b"reduceOnly" not in request.body


def test_an_upbit_order_carries_its_identifier_and_a_fresh_nonce():
    """Two requests of one order never share a token."""
    first = UPBIT.order_request(order("UPBIT:KRW-BTC"))
    second = UPBIT.order_request(order("UPBIT:KRW-BTC"))
    body = json.loads(first.body)
    assert (first.method, first.target) == ("POST", "/upbit/v1/orders")
    assert body["identifier"] == "gkabcdefgh"
    assert (body["side"], body["ord_type"], body["time_in_force"]) == ("bid", "limit", "ioc")
    assert dict(first.headers)["Authorization"] != dict(second.headers)["Authorization"]


def test_queries_ask_by_client_order_id():
    """The only question after a lost answer."""
    assert "identifier=gkabcdefgh" in UPBIT.query_request(order("UPBIT:KRW-BTC")).target
    target = PERP.query_request(order("BINANCE_PERP:BTCUSDT")).target
    assert "origClientOrderId=gkabcdefgh" in target
    assert UPBIT.fills_request(order("UPBIT:KRW-BTC"), "u") is None
    assert "orderId=7" in PERP.fills_request(order("BINANCE_PERP:BTCUSDT"), "7").target


def test_markets_and_prices_are_read_or_refused():
    """Only traded USDT perpetuals and KRW markets; crossed books are left out."""
    symbol = {
        "symbol": "BTCUSDT",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "status": "TRADING",
        "contractType": "PERPETUAL",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
            {"filterType": "MIN_NOTIONAL", "notional": "50"},
        ],
    }
    quarterly = {**symbol, "symbol": "BTCUSDT_261225", "contractType": "CURRENT_QUARTER"}
    found = PERP.read_instruments(answer(200, {"symbols": [symbol, quarterly]}))
    assert list(found) == ["BINANCE_PERP:BTCUSDT"]
    assert found["BINANCE_PERP:BTCUSDT"].min_notional == Decimal(50)
    broken = {**symbol, "filters": []}
    with pytest.raises(ValueError, match="expected"):
        PERP.read_instruments(answer(200, {"symbols": [broken]}))
    markets = [{"market": "KRW-BTC"}, {"market": "BTC-ETH"}]
    assert list(UPBIT.read_instruments(answer(200, markets))) == ["UPBIT:KRW-BTC"]
    rows = [
        {"symbol": "A", "bidPrice": "1", "askPrice": "2"},
        {"symbol": "B", "bidPrice": "2", "askPrice": "2"},
        {"symbol": "C", "bidPrice": "0", "askPrice": "2"},
    ]
    assert list(PERP.read_prices(answer(200, rows))) == ["A"]
    books = [
        {"market": "KRW-BTC", "orderbook_units": [{"bid_price": 1.65e8, "ask_price": 1.66e8}]},
        {"market": "KRW-ETH", "orderbook_units": []},
    ]
    assert UPBIT.read_prices(answer(200, books))["KRW-BTC"].bid == Decimal(165_000_000)
