"""Stream faults over real WebSockets: what a client receives, venue by venue."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from tests.integration.simvenues.fault_client import VENUES, FaultClient
from tests.integration.simvenues.sim_server import BINANCE_KEYS, Server

pytestmark = pytest.mark.integration
every_venue = pytest.mark.parametrize("venue", VENUES)
BINANCE = ("binance", "binance_perp")
PATHS = {
    "upbit": "/upbit/websocket/v1",
    "binance": "/stream/ws/btcusdt@depth@100ms",
    "binance_perp": "/fstream/public/ws/btcusdt@depth@100ms",
}
ASK = '[{"ticket":"t"},{"type":"orderbook","codes":["KRW-BTC"]}]'
WAIT_S = 5
QUIET_S = 0.6


@pytest.fixture
def client(server: Server) -> Iterator[FaultClient]:
    """The session's simulator, without rules before and after."""
    made = FaultClient(server)
    made.clear()
    yield made
    made.clear()


@asynccontextmanager
async def _books(client: FaultClient, venue: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Subscribe to the BTC book of a venue and yield the socket after a first frame."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(client.server.ws + PATHS[venue]) as socket,
    ):
        if venue == "upbit":
            await socket.send_str(ASK)
        await socket.receive(timeout=WAIT_S)
        yield socket


async def _frames(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[Any]:
    return [json.loads((await socket.receive(timeout=WAIT_S)).data) for _ in range(count)]


async def _is_quiet(socket: aiohttp.ClientWebSocketResponse) -> bool:
    """Drop what is on its way, then say whether nothing comes."""
    await _drain(socket)
    try:
        await socket.receive(timeout=QUIET_S)
    except TimeoutError:
        return True
    return False


async def _drain(socket: aiohttp.ClientWebSocketResponse) -> None:
    end = asyncio.get_running_loop().time() + 0.3
    while asyncio.get_running_loop().time() < end:
        try:
            await socket.receive(timeout=0.1)
        except TimeoutError:
            continue


@every_venue
async def test_stall(client: FaultClient, venue: str) -> None:
    """Silent but open: no frame, no answer to a message; the next connection is well."""
    async with _books(client, venue) as socket:
        client.add(kind="stall", venue=venue, count=1)
        assert await _is_quiet(socket)
        await socket.send_str("PING" if venue == "upbit" else '{"method":"LIST_SUBSCRIPTIONS"}')
        assert await _is_quiet(socket)
        assert not socket.closed
        async with _books(client, venue) as other:
            assert await _frames(other, 2)
        client.clear()
        assert await _frames(socket, 1)


@every_venue
async def test_disconnect_without_a_close_frame(client: FaultClient, venue: str) -> None:
    """1006, as a cut connection looks."""
    async with _books(client, venue) as socket:
        client.add(kind="disconnect", venue=venue, count=1)
        async for _ in socket:
            pass
        assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
    async with _books(client, venue) as again:
        assert await _frames(again, 1)


@every_venue
async def test_disconnect_with_a_code(client: FaultClient, venue: str) -> None:
    """The close frame carries the code."""
    async with _books(client, venue) as socket:
        client.add(kind="disconnect", venue=venue, count=1, code=1001)
        async for _ in socket:
            pass
        assert socket.close_code == 1001


@every_venue
async def test_malformed_frame(client: FaultClient, venue: str) -> None:
    """One frame is half a frame; the stream goes on."""
    async with _books(client, venue) as socket:
        client.add(kind="malformed_frame", venue=venue, count=1)
        bad = 0
        for _ in range(20):
            message = await socket.receive(timeout=WAIT_S)
            try:
                json.loads(message.data)
            except json.JSONDecodeError:
                bad += 1
            if bad and (await _frames(socket, 1)):
                break
        assert bad == 1


@pytest.mark.parametrize("venue", BINANCE)
async def test_sequence_gap(client: FaultClient, venue: str) -> None:
    """One update is missing: exactly one frame does not join the one before."""
    async with _books(client, venue) as socket:
        (last,) = await _frames(socket, 1)
        client.add(kind="sequence_gap", venue=venue, symbol="BTCUSDT", count=1)
        gaps = 0
        for frame in await _frames(socket, 12):
            joined = frame["U"] == last["u"] + 1
            if venue == "binance_perp":
                assert (frame["pu"] == last["u"]) is joined
            gaps += not joined
            last = frame
        assert gaps == 1


@pytest.mark.parametrize("venue", BINANCE)
async def test_a_gap_of_another_symbol_is_none_here(client: FaultClient, venue: str) -> None:
    """Rules that name a symbol leave the others alone."""
    async with _books(client, venue) as socket:
        client.add(kind="sequence_gap", venue=venue, symbol="ETHUSDT")
        frames = await _frames(socket, 5)
        pairs = itertools.pairwise(frames)
        assert all(second["U"] == first["u"] + 1 for first, second in pairs)


@every_venue
async def test_stale_book(client: FaultClient, venue: str) -> None:
    """No book frame and one REST answer, while the connection still answers messages."""
    async with _books(client, venue) as socket:
        client.add(kind="stale_book", venue=venue)
        assert await _is_quiet(socket)
        shown = [_book(client, venue) for _ in range(2)]
        assert shown[0] == shown[1]
        await socket.send_str(
            "PING" if venue == "upbit" else '{"method":"LIST_SUBSCRIPTIONS","id":1}'
        )
        (answer,) = await _frames(socket, 1)
        assert "status" in answer or answer["id"] == 1
        client.clear()
        assert await _frames(socket, 2)
        assert _book(client, venue) != shown[0]


@every_venue
async def test_crossed_book(client: FaultClient, venue: str) -> None:
    """The best bid is over the best ask, in streams and in REST."""
    async with _books(client, venue) as socket:
        client.add(kind="crossed_book", venue=venue)
        await _drain(socket)
        if venue == "upbit":
            (frame,) = await _frames(socket, 1)
            best = frame["orderbook_units"][0]
            assert best["bid_price"] > best["ask_price"]
        body = client.book(venue).json
        if venue == "upbit":
            best = body[0]["orderbook_units"][0]
            assert best["bid_price"] > best["ask_price"]
        else:
            assert float(body["bids"][0][0]) > float(body["asks"][0][0])


@every_venue
async def test_no_connection_under_maintenance(client: FaultClient, venue: str) -> None:
    """The upgrade is answered with the page."""
    client.add(kind="maintenance", venue=venue)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(client.server.ws + PATHS[venue])
    assert refused.value.status == 503


async def test_the_words_of_a_prevented_trade_on_the_private_stream(client: FaultClient) -> None:
    """USD-M: EXPIRED_IN_MATCH after NEW, and no trade."""
    name = f"f-{uuid.uuid4().hex[:24]}"
    key = client.request(
        "POST", "/fapi/v1/listenKey", headers={"X-MBX-APIKEY": BINANCE_KEYS[0]}
    ).json["listenKey"]
    path = f"{client.server.ws}/fstream/private/ws?listenKey={key}"
    async with aiohttp.ClientSession() as session, session.ws_connect(path) as socket:
        client.add(kind="self_trade", venue="binance_perp")
        assert client.buy("binance_perp", name).status == 200
        states = [frame["o"]["X"] for frame in await _frames(socket, 2)]
    assert states == ["NEW", "EXPIRED_IN_MATCH"]


async def test_a_stall_of_the_account_leaves_market_data_alone(client: FaultClient) -> None:
    """The operation tells the private from the public connection."""
    key = client.request(
        "POST", "/fapi/v1/listenKey", headers={"X-MBX-APIKEY": BINANCE_KEYS[0]}
    ).json["listenKey"]
    path = f"{client.server.ws}/fstream/private/ws?listenKey={key}"
    async with (
        _books(client, "binance_perp") as books,
        aiohttp.ClientSession() as session,
        session.ws_connect(path) as private,
    ):
        client.add(kind="stall", venue="binance_perp", operation="account")
        assert client.buy("binance_perp", f"f-{uuid.uuid4().hex[:24]}").status == 200
        assert await _is_quiet(private)
        assert await _frames(books, 2)


def _book(client: FaultClient, venue: str) -> Any:
    body = client.book(venue).json
    if venue == "upbit":
        return body[0]["orderbook_units"], body[0]["timestamp"]
    return body["lastUpdateId"], body["bids"], body["asks"]
