"""Unmodified ccxt against the simulated Upbit over REST."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from tests.integration.simvenues.sim_server import UPBIT_KEYS, Server

pytestmark = pytest.mark.integration

BTC = "BTC/KRW"


@pytest.fixture(scope="module")
def upbit(server: Server) -> Iterator[Any]:
    """A loaded trading client."""
    client = ccxt.upbit(server.upbit(enableRateLimit=False))
    client.load_markets()
    yield client
    client.session.close()


def _ask(client: Any) -> float:
    return client.fetch_order_book(BTC, 1)["asks"][0][0]


def test_market_data(upbit: Any) -> None:
    """Markets, books, tickers, trades and candles parse and agree."""
    assert {BTC, "ETH/KRW", "USDT/KRW"} <= set(upbit.markets)
    book = upbit.fetch_order_book(BTC)
    assert book["bids"][0][0] < book["asks"][0][0]
    assert set(upbit.fetch_order_books([BTC, "ETH/KRW"])) == {BTC, "ETH/KRW"}
    assert abs(upbit.fetch_ticker(BTC)["last"] / book["asks"][0][0] - 1) < 0.02
    assert len(upbit.fetch_tickers()) > 50
    assert upbit.fetch_trades(BTC, limit=5)[0]["price"] > 0
    for timeframe in ("1s", "1m", "1h", "1d", "1w", "1M"):
        bars = upbit.fetch_ohlcv(BTC, timeframe, limit=3)
        assert [bar[0] for bar in bars] == sorted(bar[0] for bar in bars)
        assert len(bars) == 3


def test_an_ioc_order_fills_and_is_charged_five_basis_points(upbit: Any) -> None:
    """The answer says wait; the query says what filled, in KRW and to the last digit."""
    before = upbit.fetch_balance()["BTC"]["free"]
    identifier = str(uuid.uuid4())
    params = {"timeInForce": "IOC", "clientOrderId": identifier}
    placed = upbit.create_order(BTC, "limit", "buy", 0.001, _ask(upbit) + 300_000, params)
    assert placed["info"]["state"] == "wait"
    order = upbit.fetch_order(placed["id"])
    assert order["status"] == "closed"
    assert order["filled"] == 0.001
    info = order["info"]
    funds = sum(Decimal(row["funds"]) for row in info["trades"])
    assert Decimal(info["paid_fee"]) == funds * Decimal("0.0005")
    assert info["locked"] == "0"
    same = upbit.private_get_order({"identifier": identifier})
    assert same["uuid"] == placed["id"]
    assert upbit.fetch_balance()["BTC"]["free"] == pytest.approx(before + 0.001)
    with pytest.raises(ccxt.ExchangeError, match="duplicated_identifier"):
        upbit.create_order(BTC, "limit", "buy", 0.001, _ask(upbit), params)


def test_a_resting_order_locks_money_until_it_is_canceled(upbit: Any) -> None:
    """Cancel is accepted in state wait and done right after."""
    low = _ask(upbit) - 5_000_000
    free = upbit.fetch_balance()["KRW"]["free"]
    order = upbit.create_order(BTC, "limit", "buy", 0.001, low)
    assert upbit.fetch_balance()["KRW"]["free"] == pytest.approx(free - low * 0.001 * 1.0005)
    assert order["id"] in [row["id"] for row in upbit.fetch_open_orders(BTC)]
    assert upbit.cancel_order(order["id"])["info"]["state"] == "wait"
    assert upbit.fetch_order(order["id"])["status"] == "canceled"
    assert upbit.fetch_balance()["KRW"]["free"] == pytest.approx(free)


def test_market_orders(upbit: Any) -> None:
    """A buy by cost ends as cancel with its remainder returned; a sell by volume is done."""
    placed = upbit.create_order(BTC, "market", "buy", 0.001, None, {"cost": 20_000})
    bought = upbit.fetch_order(placed["id"])
    assert bought["info"]["state"] == "cancel"
    assert bought["filled"] > 0
    sold = upbit.fetch_order(upbit.create_order(BTC, "market", "sell", 0.001)["id"])
    assert sold["info"]["state"] == "done"


def test_the_rest_of_the_order_api(upbit: Any) -> None:
    """Edit, post-only, test orders, closed orders, keys, chance, list cancel."""
    low = _ask(upbit) - 5_000_000
    order = upbit.create_order(BTC, "limit", "buy", 0.001, low, {"postOnly": True})
    assert order["info"]["time_in_force"] == "post_only"
    edited = upbit.edit_order(order["id"], BTC, "limit", "buy", 0.001, low - 1_000_000)
    assert edited["id"] != order["id"]
    body = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit"}
    tested = upbit.private_post_orders_test({**body, "volume": "0.001", "price": str(int(low))})
    assert tested["state"] == "wait"
    canceled = upbit.private_delete_orders_open({"cancel_side": "all"})
    assert int(canceled["success"]["count"]) >= 1
    assert upbit.fetch_open_orders() == []
    assert upbit.fetch_canceled_orders(BTC)
    assert upbit.private_get_api_keys()[0]["access_key"] == UPBIT_KEYS[0]
    assert upbit.fetch_trading_fee(BTC)["taker"] == 0.0005


def _place(client: Any, price: float, amount: float = 0.001, **params: Any) -> Any:
    return client.create_order(BTC, "limit", "buy", amount, price, params)


def test_refusals_carry_the_venues_names(upbit: Any) -> None:
    """Tick, minimum, funds, unknown order."""
    ask = _ask(upbit)
    with pytest.raises(ccxt.ExchangeError, match="invalid_price_bid"):
        _place(upbit, ask - 1)
    with pytest.raises(ccxt.ExchangeError, match="under_min_total_bid"):
        _place(upbit, ask, 0.00001)
    with pytest.raises(ccxt.ExchangeError, match="insufficient_funds_bid"):
        _place(upbit, ask, 7)
    with pytest.raises(ccxt.OrderNotFound, match="order_not_found"):
        upbit.fetch_order(str(uuid.uuid4()))
    with pytest.raises(ccxt.ExchangeError, match="Code not found"):
        upbit.public_get_ticker({"markets": "KRW-NOPE"})


def test_wrong_keys_are_refused(server: Server) -> None:
    """Secret, key and permission."""
    wrong = ccxt.upbit(server.upbit(secret="x" * 20))
    unknown = ccxt.upbit(server.upbit(apiKey="nobody-knows-this"))
    reader = ccxt.upbit(server.upbit(apiKey=UPBIT_KEYS[0] + "-ro", secret=UPBIT_KEYS[1] + "-ro"))
    try:
        with pytest.raises(ccxt.AuthenticationError, match="jwt_verification"):
            wrong.fetch_balance()
        with pytest.raises(ccxt.AuthenticationError, match="invalid_access_key"):
            unknown.fetch_balance()
        assert reader.fetch_balance()["KRW"]["total"] > 0
        with pytest.raises(ccxt.PermissionDenied, match="out_of_scope"):
            reader.create_order(BTC, "limit", "buy", 0.001, 1_000_000)
    finally:
        for client in (wrong, unknown, reader):
            client.session.close()
