"""Unmodified ccxt against the simulated Binance spot and USD-M over REST."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from tests.integration.simvenues.sim_server import BINANCE_KEYS, Server

pytestmark = pytest.mark.integration

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
QUICK = {"fetchCurrencies": False, "fetchMargins": False}


@pytest.fixture(scope="module")
def spot(server: Server) -> Iterator[Any]:
    """A spot client with every default: load_markets asks sapi, fapi and dapi too."""
    client = ccxt.binance(server.binance(enableRateLimit=False))
    client.load_markets()
    yield client
    client.session.close()


@pytest.fixture(scope="module")
def perp(server: Server) -> Iterator[Any]:
    """A USD-M client."""
    client = ccxt.binanceusdm(server.binance(enableRateLimit=False))
    client.load_markets()
    yield client
    client.session.close()


@pytest.fixture(params=["spot", "perp"])
def either(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """Both markets, one after the other."""
    return request.getfixturevalue(request.param), SPOT if request.param == "spot" else PERP


def _touch(client: Any, symbol: str) -> tuple[float, float]:
    book = client.fetch_order_book(symbol, 5)
    return book["bids"][0][0], book["asks"][0][0]


def test_market_data(either: tuple[Any, str]) -> None:
    """Books, tickers, trades, bars, time."""
    client, symbol = either
    bid, ask = _touch(client, symbol)
    assert bid < ask
    assert abs(client.fetch_time() - time.time() * 1000) < 2_000
    assert abs(client.fetch_ticker(symbol)["last"] / ask - 1) < 0.01
    assert len(client.fetch_tickers()) > 50
    assert len(client.fetch_bids_asks()) > 50
    assert len(client.fetch_last_prices()) > 50
    assert client.fetch_trades(symbol, limit=5)
    for timeframe in ("1m", "1h", "1d"):
        assert len(client.fetch_ohlcv(symbol, timeframe, limit=3)) == 3


def test_filters(spot: Any, perp: Any) -> None:
    """The ones that decide about sizes."""
    assert spot.market(SPOT)["precision"] == pytest.approx(
        {**spot.market(SPOT)["precision"], "amount": 0.00001, "price": 0.01}
    )
    assert perp.market(PERP)["precision"]["amount"] == 0.001
    assert perp.market(PERP)["precision"]["price"] == 0.1
    assert perp.market(PERP)["limits"]["cost"]["min"] == 50
    assert spot.market(SPOT)["limits"]["cost"]["min"] == 5


def test_a_spot_ioc_buy_pays_its_fee_in_the_asset(spot: Any) -> None:
    """Ten basis points of what was bought."""
    before = Decimal(str(spot.fetch_balance()["BTC"]["free"]))
    client_id = uuid.uuid4().hex
    _, ask = _touch(spot, SPOT)
    params = {"timeInForce": "IOC", "newClientOrderId": client_id}
    order = spot.create_order(SPOT, "limit", "buy", 0.002, round(ask * 1.002, 2), params)
    assert (order["status"], order["filled"], order["clientOrderId"]) == (
        "closed",
        0.002,
        client_id,
    )
    assert order["fees"][0]["currency"] == "BTC"
    assert sum(fee["cost"] for fee in order["fees"]) == pytest.approx(0.000002)
    after = Decimal(str(spot.fetch_balance()["BTC"]["free"]))
    assert after - before == Decimal("0.001998")
    assert spot.fetch_my_trades(SPOT)[-1]["order"] == order["id"]
    found = spot.fetch_order(None, SPOT, {"origClientOrderId": client_id})
    assert found["id"] == order["id"]


def test_a_perpetual_position_opens_and_closes(perp: Any) -> None:
    """Five basis points in USDT; reduce-only closes and then is refused."""
    # Other tests leave positions: this one has its own symbol.
    symbol = "ETH/USDT:USDT"
    _, ask = _touch(perp, symbol)
    params = {"timeInForce": "IOC", "newOrderRespType": "RESULT"}
    order = perp.create_order(symbol, "limit", "buy", 0.02, round(ask * 1.002, 1), params)
    assert (order["status"], order["filled"]) == ("closed", 0.02)
    trade = perp.fetch_my_trades(symbol)[-1]
    assert trade["fee"]["currency"] == "USDT"
    assert trade["fee"]["cost"] == pytest.approx(trade["cost"] * 0.0005, rel=1e-6)
    (position,) = [row for row in perp.fetch_positions() if row["symbol"] == symbol]
    assert (position["side"], position["contracts"]) == ("long", 0.02)
    close = {"reduceOnly": True}
    assert perp.create_order(symbol, "market", "sell", 0.02, None, close)["status"] == "closed"
    with pytest.raises(ccxt.ExchangeError, match="-2022"):
        perp.create_order(symbol, "market", "sell", 0.02, None, close)


def test_resting_orders(either: tuple[Any, str]) -> None:
    """Open, edit, cancel, cancel all, and a duplicate client id."""
    client, symbol = either
    bid, _ = _touch(client, symbol)
    low = round(bid * 0.97, 1)
    client_id = uuid.uuid4().hex
    order = client.create_order(symbol, "limit", "buy", 0.002, low, {"newClientOrderId": client_id})
    assert [row["id"] for row in client.fetch_open_orders(symbol)] == [order["id"]]
    with pytest.raises(ccxt.ExchangeError, match=r"-2010|-4116"):
        client.create_order(symbol, "limit", "buy", 0.002, low, {"newClientOrderId": client_id})
    client.edit_order(order["id"], symbol, "limit", "buy", 0.002, round(bid * 0.96, 1))
    (edited,) = client.fetch_open_orders(symbol)
    assert client.cancel_order(edited["id"], symbol)["status"] == "canceled"
    client.create_order(symbol, "limit", "buy", 0.002, low, {"postOnly": True})
    client.cancel_all_orders(symbol)
    assert client.fetch_open_orders(symbol) == []
    assert client.fetch_orders(symbol)[-1]["status"] == "canceled"


def test_refusals_carry_the_venues_codes(spot: Any, perp: Any) -> None:
    """Minimums, steps, funds, unknown orders."""
    bid, ask = _touch(spot, SPOT)
    with pytest.raises(ccxt.ExchangeError, match="NOTIONAL"):
        spot.create_order(SPOT, "limit", "buy", 0.00002, round(bid, 2))
    with pytest.raises(ccxt.InsufficientFunds, match="insufficient balance"):
        spot.create_order(SPOT, "limit", "buy", 5, round(bid, 2))
    with pytest.raises(ccxt.ExchangeError, match="immediately match"):
        spot.create_order(SPOT, "limit", "buy", 0.002, round(ask * 1.01, 2), {"postOnly": True})
    with pytest.raises(ccxt.ExchangeError, match="-4164"):
        perp.create_order("ETH/USDT:USDT", "limit", "buy", 0.005, 2_200)
    with pytest.raises(ccxt.ExchangeError, match="-5022"):
        perp.create_order(PERP, "limit", "buy", 0.002, round(ask * 1.01, 1), {"postOnly": True})
    with pytest.raises(ccxt.ExchangeError, match="-5021"):
        perp.create_order(PERP, "limit", "buy", 20, round(bid * 0.99, 1), {"timeInForce": "FOK"})
    with pytest.raises(ccxt.ExchangeError, match="-2019"):
        perp.create_order(PERP, "limit", "buy", 100, round(bid, 1))
    for client, symbol in ((spot, SPOT), (perp, PERP)):
        with pytest.raises(ccxt.OrderNotFound, match="-2013"):
            client.fetch_order("1", symbol)
        with pytest.raises(ccxt.OrderNotFound, match="-2011"):
            client.cancel_order("1", symbol)


def test_perpetual_account_settings(perp: Any) -> None:
    """Leverage, margin type, position mode, brackets, funding, countdown."""
    assert perp.set_leverage(10, PERP)["leverage"] in (10, "10")
    with pytest.raises(ccxt.ExchangeError, match="-4046"):
        perp.fapiPrivatePostMarginType({"symbol": "BTCUSDT", "marginType": "CROSSED"})
    assert perp.fetch_position_mode()["hedged"] is False
    with pytest.raises(ccxt.ExchangeError, match="-4059"):
        perp.set_position_mode(False)
    assert perp.fetch_leverage_tiers([PERP])[PERP]
    assert perp.fetch_leverages([PERP])[PERP]["longLeverage"] == 10
    assert perp.fetch_funding_rate(PERP)["fundingRate"] == 0.0001
    assert perp.fetch_open_interest(PERP)["openInterestAmount"] > 0
    answer = perp.fapiPrivatePostCountdownCancelAll({"symbol": "BTCUSDT", "countdownTime": 100_000})
    assert answer == {"symbol": "BTCUSDT", "countdownTime": "100000"}
    perp.fapiPrivatePostCountdownCancelAll({"symbol": "BTCUSDT", "countdownTime": 0})
    assert perp.fetch_trading_fee(PERP)["taker"] == 0.0005


def test_key_restrictions_are_told(spot: Any) -> None:
    """A trading key that cannot withdraw."""
    restrictions = spot.sapiGetAccountApiRestrictions()
    assert restrictions["enableWithdrawals"] is False
    assert restrictions["enableSpotAndMarginTrading"] is True


@pytest.mark.parametrize("name", ["binance", "binanceusdm"])
def test_wrong_keys_and_clocks_are_refused(server: Server, name: str) -> None:
    """Secret, key, permission, time stamp."""
    make = getattr(ccxt, name)
    kinds = {"types": ["spot" if name == "binance" else "linear"]}
    options = {**QUICK, "fetchMarkets": kinds}
    symbol = SPOT if name == "binance" else PERP
    read_only = {"apiKey": BINANCE_KEYS[0] + "-ro", "secret": BINANCE_KEYS[1] + "-ro"}
    wrong = make(server.binance(secret="y" * 20, options=options))
    unknown = make(server.binance(apiKey="nobody-knows-this", options=options))
    reader = make(server.binance(**read_only, options=options))
    late = make(server.binance(options={**options, "timeDifference": 20_000}))
    try:
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            wrong.fetch_balance()
        with pytest.raises(ccxt.AuthenticationError, match="-2015"):
            unknown.fetch_balance()
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            late.fetch_balance()
        assert reader.fetch_balance()["USDT"]["total"] > 0
        with pytest.raises((ccxt.AuthenticationError, ccxt.DDoSProtection), match="-2015"):
            reader.create_order(symbol, "limit", "buy", 0.002, 70_000)
    finally:
        for client in (wrong, unknown, reader, late):
            client.session.close()
