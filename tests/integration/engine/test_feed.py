"""Feeds against a venue that misbehaves, and the question whether trading is armed."""

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import web
from tests.ports import free_port

from interlock_core.clock import SystemClock
from interlock_core.wire import strict
from interlock_core.wire.health import ArmedStatus, NotArmed
from interlock_engine.book.book import Book
from interlock_engine.book.market import Venue
from interlock_engine.execute.armed import ArmedQuestion
from interlock_engine.feed import socket as feed_socket
from interlock_engine.feed.books import BinanceFrames, UpbitFrames
from interlock_engine.feed.socket import Subscription, VenueSocket

pytestmark = pytest.mark.integration

BOOK = (
    b'{"ty":"orderbook","cd":"KRW-BTC","tms":1,"obu":[{"ap":1.1E8,"bp":1.0E8,"as":1.0,"bs":1.0}]}'
)
ERROR = b'{"error":{"name":"WRONG_FORMAT","message":"no"}}'


@contextlib.asynccontextmanager
async def listening(handler):
    """Serve one handler on every path; yield its address without a scheme."""
    app, port = web.Application(), free_port()
    app.router.add_route("*", "/{rest:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await runner.cleanup()


class Script:
    """Each connection plays the next list of frames and then closes or hangs."""

    def __init__(self, *connections):
        self.connections = list(connections)
        self.hellos = []

    async def play(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.hellos.append(await socket.receive_bytes())
        frames = self.connections.pop(0) if self.connections else ["hang"]
        for frame in frames:
            if frame == "hang":
                await socket.receive()
            else:
                await socket.send_bytes(frame)
        await socket.close()
        return socket


@contextlib.asynccontextmanager
async def feed(script, monkeypatch):
    """Run an Upbit feed against a script; yield the book, the venue and what was touched."""
    monkeypatch.setattr(feed_socket, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(feed_socket, "MAX_DELAY_S", 0.05)
    book, venue, touched = Book(), Venue("UPBIT"), []
    frames = UpbitFrames({"KRW-BTC": (book, touched.append)})
    async with listening(script.play) as address, aiohttp.ClientSession() as http:
        runner = VenueSocket(
            venue,
            http,
            Subscription(f"ws://{address}/", b"hello"),
            on_connect=lambda: None,
            on_frame=frames,
            clock=SystemClock(),
        )
        task = asyncio.create_task(runner.run())
        try:
            yield book, venue, touched, frames
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(question):
    async with asyncio.timeout(10):
        while not question():
            await asyncio.sleep(0.005)


async def test_frames_reach_their_book_and_others_are_left_out(monkeypatch):
    other = BOOK.replace(b"KRW-BTC", b"KRW-ETH")
    suffixed = BOOK.replace(b"KRW-BTC", b"KRW-BTC.5")
    script = Script([BOOK, other, suffixed, "hang"])
    async with feed(script, monkeypatch) as (book, venue, touched, _):
        await until(lambda: venue.frames == 3)
        assert (book.bid, book.ask, book.usable) == (1e8, 1.1e8, True)
        assert len(touched) == 2
        assert script.hellos == [b"hello"]


async def test_garbage_is_counted_and_the_stream_goes_on(monkeypatch):
    script = Script([b"\xff\x00garbage", b"[1]", BOOK, "hang"])
    async with feed(script, monkeypatch) as (book, _, touched, frames):
        await until(lambda: touched)
        assert (frames.garbage, book.usable) == (2, True)


@pytest.mark.parametrize("first", [[ERROR, "hang"], [], [BOOK]], ids=["error", "close", "cut"])
async def test_a_connection_that_ends_is_opened_and_subscribed_again(monkeypatch, first):
    script = Script(first, first, [BOOK, "hang"])
    async with feed(script, monkeypatch) as (book, _, _, _):
        await until(lambda: len(script.hellos) == 3 and book.usable)


async def test_a_silent_connection_is_opened_again(monkeypatch):
    monkeypatch.setattr(feed_socket, "SILENT_S", 0.05)
    script = Script(["hang"], [BOOK, "hang"])
    async with feed(script, monkeypatch) as (book, _, _, _):
        await until(lambda: book.usable)


def test_an_older_partial_depth_does_not_overwrite_a_newer_one():
    book, touched = Book(), []
    frames = BinanceFrames({"x": (book, touched.append)}, perp=False)

    def frame(update, bid):
        return (
            b'{"stream":"x","data":{"lastUpdateId":%d,"bids":[["%d","1"]],"asks":[["200","1"]]}}'
            % (update, bid)
        )

    for update, bid in ((5, 100), (4, 90), (5, 101)):
        frames(frame(update, bid), 1)
    assert book.bid == 101.0
    frames.forget()
    frames(frame(1, 80), 2)
    assert book.bid == 80.0


STATUS = ArmedStatus(
    armed=True,
    state="PAPER",
    hold=False,
    reasons=(),
    stage="paper",
    n_usd="0",
    epoch=1,
    lease_ms=0,
    hard_ms=None,
    boot_id="b",
    config_sha256="c" * 64,
    nonce="",
)


async def _ask(answer):
    async with listening(answer) as address:
        question = ArmedQuestion(f"http://{address}", "c" * 64)
        try:
            return await question.ask()
        finally:
            await question.close()


def _body(request, **changes):
    fields = {**strict.plain(STATUS), "nonce": request.query["nonce"], **changes}
    return strict.canonical(fields)


async def test_armed_is_a_positive_fresh_answer_to_this_very_question():
    async def answer(request):
        return web.Response(body=_body(request))

    assert isinstance(await _ask(answer), ArmedStatus)


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (200, {"nonce": "old"}),
        (200, {"config_sha256": "d" * 64}),
        (200, {"armed": False}),
        (200, {"armed": 1}),
        (200, {"extra": 1}),
        (423, {}),
        (503, {}),
        (302, {}),
    ],
)
async def test_anything_else_is_not_armed(status, changes):
    async def answer(request):
        headers = {"Location": "/armed"} if status == 302 else {}
        return web.Response(status=status, body=_body(request, **changes), headers=headers)

    assert isinstance(await _ask(answer), NotArmed)


async def test_silence_is_not_armed_within_half_a_second():
    never = asyncio.Event()

    async def answer(_request):
        await never.wait()

    async with asyncio.timeout(2):
        got = await _ask(answer)
    assert isinstance(got, NotArmed)
    assert "0.5 s" in got.reason


async def test_nobody_there_is_not_armed():
    question = ArmedQuestion(f"http://127.0.0.1:{free_port()}", "c" * 64)
    assert isinstance(await question.ask(), NotArmed)
    await question.close()
