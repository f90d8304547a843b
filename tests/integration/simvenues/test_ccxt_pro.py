"""Unmodified ccxt.pro and ccxt.async_support: books with deltas, tickers, user streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import ccxt.async_support
import ccxt.pro
import pytest
from tests.integration.simvenues.sim_server import Server

pytestmark = pytest.mark.integration

DEADLINE_S = 15.0
OPTIONS = {"fetchCurrencies": False, "fetchMargins": False}


@asynccontextmanager
async def _client(make: Any, config: dict[str, Any]) -> AsyncIterator[Any]:
    client = make({**config, "enableRateLimit": False})
    try:
        yield client
    finally:
        await client.close()


def _soon(awaitable: Awaitable[Any]) -> Awaitable[Any]:
    return asyncio.wait_for(awaitable, DEADLINE_S)


def _config(server: Server, name: str) -> dict[str, Any]:
    if name == "upbit":
        return server.upbit()
    kinds = {"types": ["spot" if name == "binance" else "linear"]}
    return server.binance(options={**OPTIONS, "fetchMarkets": kinds})


SYMBOLS = {"upbit": "BTC/KRW", "binance": "BTC/USDT", "binanceusdm": "BTC/USDT:USDT"}
ALL = pytest.mark.parametrize("name", list(SYMBOLS))


@ALL
async def test_async_rest(server: Server, name: str) -> None:
    """The same calls through ccxt.async_support."""
    symbol = SYMBOLS[name]
    async with _client(getattr(ccxt.async_support, name), _config(server, name)) as client:
        book = await client.fetch_order_book(symbol)
        assert book["bids"][0][0] < book["asks"][0][0]
        assert (await client.fetch_balance())["total"]


@ALL
async def test_order_book_stream_stays_in_step_with_rest(server: Server, name: str) -> None:
    """After a run of deltas the local book is a book the venue shows."""
    symbol = SYMBOLS[name]
    async with _client(getattr(ccxt.pro, name), _config(server, name)) as client:
        seen = set()
        for _ in range(12):
            book = await _soon(client.watch_order_book(symbol))
            seen.add((book["bids"][0][0], book["asks"][0][0], book["bids"][0][1]))
            assert book["bids"][0][0] < book["asks"][0][0]
        assert len(seen) > 1


@pytest.mark.parametrize("name", ["binance", "binanceusdm"])
async def test_no_delta_is_lost(server: Server, name: str) -> None:
    """Ccxt raises ChecksumError on a gap; the book equals a snapshot of the same update id."""
    symbol = SYMBOLS[name]
    async with _client(getattr(ccxt.pro, name), _config(server, name)) as client:
        for _ in range(200):
            book = await _soon(client.watch_order_book(symbol))
            nonce, bids = book["nonce"], [list(row[:2]) for row in book["bids"]]
            snapshot = await client.fetch_order_book(symbol, 1000)
            if snapshot["nonce"] == nonce:
                assert bids == [list(row[:2]) for row in snapshot["bids"]]
                return
    pytest.fail("the stream never stood where a snapshot stood")


@ALL
async def test_tickers_trades_and_bars(server: Server, name: str) -> None:
    """Each public channel speaks."""
    symbol = SYMBOLS[name]
    async with _client(getattr(ccxt.pro, name), _config(server, name)) as client:
        assert (await _soon(client.watch_ticker(symbol)))["last"] > 0
        assert (await _soon(client.watch_trades(symbol)))[0]["price"] > 0
        interval = "1s" if name == "upbit" else "1m"
        assert await _soon(client.watch_ohlcv(symbol, interval))
        if name != "upbit":
            assert (await _soon(client.watch_bids_asks([symbol])))[symbol]["bid"] > 0


async def _buy(client: Any, symbol: str) -> Any:
    ask = (await client.fetch_order_book(symbol, 5))["asks"][0][0]
    price = ask + 500_000 if symbol.endswith("KRW") else round(ask * 1.003, 1)
    return await client.create_order(symbol, "limit", "buy", 0.002, price, {"timeInForce": "IOC"})


async def _watched(client: Any, symbol: str, watch: Awaitable[Any]) -> Any:
    """Return what a user stream says about orders that are placed until it speaks."""
    task = asyncio.ensure_future(watch)
    async with asyncio.timeout(DEADLINE_S):
        while not task.done():
            await _buy(client, symbol)
            await asyncio.wait({task}, timeout=0.3)
    return task.result()


@ALL
async def test_user_streams(server: Server, name: str) -> None:
    """Orders, executions and balances arrive."""
    symbol = SYMBOLS[name]
    async with _client(getattr(ccxt.pro, name), _config(server, name)) as client:
        await client.load_markets()
        orders = await _watched(client, symbol, client.watch_orders())
        assert orders[-1]["symbol"] == symbol
        trades = await _watched(client, symbol, client.watch_my_trades())
        assert trades[-1]["side"] == "buy"
        assert trades[-1]["amount"] > 0
        balance = await _watched(client, symbol, client.watch_balance())
        quote = "KRW" if name == "upbit" else "USDT"
        assert balance[quote]["total"] > 0
        if name == "binanceusdm":
            positions = await _watched(client, symbol, client.watch_positions([symbol]))
            assert positions[-1]["side"] == "long"


async def test_websocket_api_of_spot(server: Server) -> None:
    """Orders by request and response over the socket."""
    async with _client(ccxt.pro.binance, _config(server, "binance")) as client:
        await client.load_markets()
        bid = (await client.fetch_order_book("BTC/USDT", 5))["bids"][0][0]
        low = round(bid * 0.97, 1)
        order = await _soon(client.create_order_ws("BTC/USDT", "limit", "buy", 0.002, low))
        found = await _soon(client.fetch_order_ws(order["id"], "BTC/USDT"))
        assert found["status"] == "open"
        canceled = await _soon(client.cancel_order_ws(order["id"], "BTC/USDT"))
        assert canceled["status"] == "canceled"
        assert (await _soon(client.fetch_balance_ws()))["info"]["balances"]


async def test_a_wrong_secret_opens_no_user_stream(server: Server) -> None:
    """The subscription is refused like a request."""
    config = {**_config(server, "binance"), "secret": "z" * 20}
    async with _client(ccxt.pro.binance, config) as client:
        # 4.5.90 hides its AuthenticationError behind a KeyError of its own clean-up.
        with pytest.raises((ccxt.AuthenticationError, KeyError)) as caught:
            await _soon(client.watch_orders())
        refusal = caught.value.__context__ or caught.value
        assert "-1022" in str(refusal)
