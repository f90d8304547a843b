"""Placing and asking: what goes on the wire, and what the answers about one order prove."""

import json
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest
from tests.unit.gatekeeper.venues.conftest import (
    INSTRUMENT,
    OWN,
    PERP,
    SPOT,
    UPBIT,
    answer,
    order,
    upbit_error,
)

from interlock_core.instrument import Side
from interlock_gatekeeper.venues import parse
from interlock_gatekeeper.venues.readings import Absent, Accepted, Ambiguous, Ended


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
    assert isinstance(PERP.read_query(answer(503, {"code": -2013, "msg": ""})), Ambiguous)
    assert isinstance(UPBIT.read_query(answer(500, upbit_error("order_not_found"))), Ambiguous)


def test_binance_price_and_fee_come_from_fills_that_add_up():
    """Until the fills make up what was executed, nothing is known."""
    ended = PERP.read_order(answer(200, {"orderId": 7, "executedQty": "0.3", "status": "EXPIRED"}))
    assert ended == Ended("7", Decimal("0.3"), Decimal(0), Decimal(0), None)
    fills = [
        {"orderId": 7, "commissionAsset": "USDT", **row}
        for row in (
            {"qty": "0.1", "price": "10", "commission": "0.01"},
            {"qty": "0.2", "price": "13", "commission": "0.02"},
        )
    ]
    assert PERP.read_fills(ended, answer(200, fills)) == Ended(
        "7", Decimal("0.3"), Decimal(12), Decimal("0.03"), "USDT"
    )
    assert isinstance(PERP.read_fills(ended, answer(200, fills[:1])), Ambiguous)
    mixed = [fills[0], {**fills[1], "commissionAsset": "BNB"}]
    assert isinstance(PERP.read_fills(ended, answer(200, mixed)), Ambiguous)
    another = [fills[0], {**fills[1], "orderId": 8}]
    assert isinstance(PERP.read_fills(ended, answer(200, another)), Ambiguous)
    assert isinstance(PERP.read_fills(ended, answer(500, fills)), Ambiguous)
    assert isinstance(PERP.read_fills(ended, answer(200, {})), Ambiguous)


@pytest.mark.parametrize(
    ("status", "ordered", "executed", "proven"),
    [
        ("FILLED", "0.3", "0.3", True),
        ("FILLED", "0.3", "0.2", False),
        ("FILLED", "0.3", "0.4", False),
        ("EXPIRED", "0.3", "0.2", True),
        ("EXPIRED", "0.3", "0.4", False),
    ],
)
def test_an_end_that_contradicts_what_was_ordered_proves_nothing(status, ordered, executed, proven):
    """Filled is all of it, and no end is more than all of it."""
    body = {"orderId": 7, "origQty": ordered, "executedQty": executed, "status": status}
    for reading in (PERP.read_order(answer(200, body)), SPOT.read_query(answer(200, body))):
        assert isinstance(reading, Ended if proven else Ambiguous)


@pytest.mark.parametrize(
    ("venue", "body"),
    [
        (UPBIT, {"uuid": "u", "state": "wait", "identifier": "gkother"}),
        (SPOT, {"orderId": 7, "executedQty": "0", "status": "NEW", "clientOrderId": "gkother"}),
        (PERP, {"orderId": 7, "executedQty": "0", "status": "NEW", "clientOrderId": "gkother"}),
    ],
)
def test_an_answer_about_another_order_proves_nothing(venue, body):
    """The id that the venue names is ours, or it does not name one."""
    for read in (venue.read_order, venue.read_query, venue.read_cancel):
        assert isinstance(read(answer(200, body), OWN), Ambiguous)
        assert isinstance(read(answer(200, body), "gkother"), Accepted)
        assert isinstance(read(answer(200, body)), Accepted)
        nameless = {k: v for k, v in body.items() if v != "gkother"}
        assert isinstance(read(answer(200, nameless), OWN), Accepted)


@pytest.mark.parametrize(
    ("venue", "body"),
    [
        (UPBIT, {"uuid": "u", "state": "prevented"}),
        (UPBIT, {"uuid": "u"}),
        (SPOT, {"orderId": 7, "executedQty": "0", "status": "NEW_INSURANCE"}),
        (SPOT, {"orderId": 7, "executedQty": "-1", "status": "FILLED"}),
        (SPOT, {"orderId": 7, "executedQty": "100000000000000000001", "status": "FILLED"}),
        (PERP, {"orderId": 7, "executedQty": "0"}),
        (PERP, []),
    ],
)
def test_an_unknown_state_proves_nothing(venue, body):
    """Only documented states are read."""
    assert isinstance(venue.read_query(answer(200, body)), Ambiguous)


def test_an_average_price_beyond_reason_proves_nothing():
    """A price that no message can carry is not taken for one."""
    trades = [{"volume": "1e-300", "funds": "1"}]
    body = {"uuid": "u", "state": "done", "executed_volume": "1e-300", "paid_fee": "0"}
    assert isinstance(UPBIT.read_query(answer(200, {**body, "trades": trades})), Ambiguous)
    largest = {"orderId": 7, "executedQty": "1e20", "status": "FILLED"}
    assert SPOT.read_query(answer(200, largest)).filled_quantity == Decimal("1e20")


def test_a_working_order_is_only_accepted():
    """NEW and PARTIALLY_FILLED are not ends."""
    for status in ("NEW", "PARTIALLY_FILLED", "PENDING_CANCEL"):
        body = {"orderId": 7, "executedQty": "0.1", "status": status}
        assert PERP.read_order(answer(200, body)) == Accepted("7")


def test_a_binance_order_says_what_it_may_do():
    """The bytes carry our client id, the terms, and reduceOnly where it reduces."""
    request = PERP.order_request(order("BINANCE_PERP:BTCUSDT", reducing=True, side=Side.SELL))
    fields = dict(parse_qsl(request.body.decode()))
    del fields["timestamp"], fields["signature"]
    assert (request.method, request.target) == ("POST", "/fapi/v1/order")
    assert fields == {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": "0.001",
        "price": "14000000",
        "newClientOrderId": OWN,
        "newOrderRespType": "RESULT",
        "selfTradePreventionMode": "EXPIRE_TAKER",
        "reduceOnly": "true",
        "recvWindow": "2000",
    }


@pytest.mark.parametrize("venue", [UPBIT, SPOT, PERP])
def test_only_orders_that_cannot_rest_are_sent(venue):
    """Fill-or-kill is said on the wire; anything else than ioc and fok is never built."""
    text = venue.order_request(order(INSTRUMENT[venue], time_in_force="fok")).body.decode()
    assert '"time_in_force":"fok"' in text if venue is UPBIT else "timeInForce=FOK" in text
    with pytest.raises((KeyError, ValueError)):
        venue.order_request(order(INSTRUMENT[venue], time_in_force="gtc"))


def test_opening_orders_are_not_reduce_only():
    """Only what the gatekeeper found to reduce is bound to reduce."""
    assert b"reduceOnly" not in PERP.order_request(order("BINANCE_PERP:BTCUSDT")).body


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
    assert body == {
        "market": "KRW-BTC",
        "side": "bid",
        "ord_type": "limit",
        "time_in_force": "ioc",
        "volume": "0.001",
        "price": "14000000",
        "identifier": OWN,
        "smp_type": "cancel_taker",
    }
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
    still = [{"filterType": "PRICE_FILTER", "tickSize": "0"}, *symbol["filters"][1:]]
    for wrong in (broken, {**symbol, "filters": still}):
        with pytest.raises(ValueError, match="expected"):
            PERP.read_instruments(answer(200, {"symbols": [wrong]}))
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
    books.append(
        {"market": "KRW-XRP", "orderbook_units": [{"bid_price": 0, "ask_price": 1}]},
    )
    prices = UPBIT.read_prices(answer(200, books))
    assert list(prices) == ["KRW-BTC"]
    assert prices["KRW-BTC"].bid == Decimal(165_000_000)


def test_markets_and_prices_are_asked_in_bulk():
    """Public, unsigned, one request for all."""
    requests = [venue.instruments_request() for venue in (UPBIT, SPOT, PERP)]
    requests += [venue.prices_request(["A", "B"]) for venue in (UPBIT, SPOT, PERP)]
    assert [request.target for request in requests] == [
        "/upbit/v1/market/all",
        "/api/v3/exchangeInfo",
        "/fapi/v1/exchangeInfo",
        "/upbit/v1/orderbook?markets=A,B&count=1",
        "/api/v3/ticker/bookTicker",
        "/fapi/v1/ticker/bookTicker",
    ]
    assert not any(request.headers for request in requests)


def test_upbits_fills_come_with_the_query():
    """There is nothing more to ask; nothing filled has no price."""
    ended = Ended("u", Decimal(1), Decimal(2), Decimal(3), "KRW")
    assert UPBIT.read_fills(ended, answer(200, [])) is ended
    assert parse.average(Decimal(0), Decimal(0)) == 0
