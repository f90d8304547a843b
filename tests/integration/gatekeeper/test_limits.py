"""What a face does with peers that are too many, too slow, too fast, or not speaking HTTP."""

import asyncio
import contextlib
import json
import logging
import tempfile
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from interlock_gatekeeper import protocol
from interlock_gatekeeper.protocol import RECEIVE_TIMEOUT_S
from interlock_gatekeeper.server import (
    FLOOD,
    MAX_PEER_CONNECTIONS,
    REQUESTS_PER_S,
    read_body,
    refuse,
    server,
    unix_socket,
)

pytestmark = pytest.mark.integration

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
BURST = 2 * REQUESTS_PER_S


async def hello(_request):
    return PlainTextResponse("hello")


async def body(request):
    return PlainTextResponse(str(len(await read_body(request))))


async def denied(_request):
    return refuse(403, "AUTH", "who are you?")


async def broken(_request):
    raise RuntimeError("a secret detail")


ROUTES = [
    Route("/", hello, methods=["GET"]),
    Route("/body", body, methods=["POST"]),
    Route("/auth", denied, methods=["GET"]),
    Route("/broken", broken, methods=["GET"]),
    Route("/v1/kill", hello, methods=["POST"]),
    Route("/v1/orders/{name}", hello, methods=["DELETE"]),
]


class Face:
    """A served Unix socket and the means to speak to it byte by byte."""

    def __init__(self, path):
        self.path = path
        self.floods = 0

    def flooded(self):
        self.floods += 1

    async def connect(self):
        return await asyncio.open_unix_connection(str(self.path))

    async def exchange(self, raw):
        """Return all that the face says to raw bytes until it closes."""
        reader, writer = await self.connect()
        writer.write(raw)
        return await until_closed(reader, writer)


async def until_closed(reader, writer):
    async with asyncio.timeout(RECEIVE_TIMEOUT_S + 5):
        said = b""
        with contextlib.suppress(ConnectionError):
            said = await reader.read()
    writer.close()
    return said


def code(raw):
    """Return status and problem code of a whole answer."""
    head, _, content = raw.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return int(head.split(b" ")[1]), json.loads(content)["code"]


@pytest.fixture
async def face():
    """Serve the routes above on a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="ilk-") as folder:
        made = Face(Path(folder) / "s" / "face.sock")
        serving = server(Starlette(routes=ROUTES), peers=True, on_flood=made.flooded)
        task = asyncio.create_task(serving.serve(sockets=[unix_socket(made.path, 0o600)]))
        async with asyncio.timeout(5):
            while not serving.started:
                await asyncio.sleep(0)
        yield made
        serving.should_exit = True
        async with asyncio.timeout(5):
            await task


@pytest.fixture
async def client(face):
    transport = httpx.AsyncHTTPTransport(uds=str(face.path))
    async with httpx.AsyncClient(transport=transport, base_url="http://face") as made:
        yield made


async def test_a_seventeenth_connection_is_refused(face):
    """It gets a 503 at once; when another leaves there is room again."""
    held = [await face.connect() for _ in range(MAX_PEER_CONNECTIONS)]
    for reader, writer in held:
        writer.write(GET)
        assert b"200 OK" in await reader.readuntil(b"hello")
    assert code(await face.exchange(b"")) == (503, "BUSY")
    held[0][1].close()
    async with asyncio.timeout(5):
        while b"200 OK" not in await face.exchange(GET.replace(b"\r\n\r\n", CLOSE)):
            pass
    for _, writer in held:
        writer.close()


CLOSE = b"\r\nConnection: close\r\n\r\n"
PARTS = [
    b"",
    b"G",
    b"GET / HTTP/1.1\r\nHost: x\r\n",
    b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab",
    b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n",
]


@pytest.mark.parametrize("part", PARTS)
async def test_half_a_request_is_cut(face, part):
    """Nothing, half a head, half a body: cut after two seconds, whatever was answered."""
    loop = asyncio.get_running_loop()
    reader, writer = await face.connect()
    began = loop.time()
    writer.write(part)
    said = await until_closed(reader, writer)
    assert RECEIVE_TIMEOUT_S - 0.1 < loop.time() - began < RECEIVE_TIMEOUT_S + 3
    assert b"200 OK" not in said


async def test_a_trickle_does_not_extend_the_deadline(face, monkeypatch):
    """A byte now and then keeps no connection open."""
    monkeypatch.setattr(protocol, "RECEIVE_TIMEOUT_S", 0.3)
    reader, writer = await face.connect()
    closed = asyncio.create_task(until_closed(reader, writer))
    async with asyncio.timeout(5):
        while not closed.done():
            with contextlib.suppress(ConnectionError):
                writer.write(b"G")
                await writer.drain()
            await asyncio.sleep(0.02)


async def test_an_answered_connection_may_stay(face, monkeypatch):
    """Between two requests there is no deadline but the keep-alive's."""
    monkeypatch.setattr(protocol, "RECEIVE_TIMEOUT_S", 0.05)
    reader, writer = await face.connect()
    for _ in range(2):
        writer.write(GET)
        assert b"200 OK" in await reader.readuntil(b"hello")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read(1)
    writer.write(GET[:5])
    assert await until_closed(reader, writer) == b""


@pytest.mark.parametrize(
    "raw", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"hello\r\n\r\n", GET[:16] + b"a" * 9000]
)
async def test_what_is_not_http_gets_a_problem_document(face, raw):
    """400, and the connection is closed."""
    assert code(await face.exchange(raw)) == (400, "BAD_HTTP")


async def test_a_body_that_is_not_http_ends_the_connection(face):
    """A broken chunk: no answer of the handler follows."""
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert code(await face.exchange(head + b"zz\r\n")) == (400, "BAD_HTTP")
    early = head.replace(b"/body", b"/nowhere")
    reader, writer = await face.connect()
    writer.write(early)
    assert b"404" in await reader.readuntil(b"}")
    writer.write(b"zz\r\n")
    assert await until_closed(reader, writer) == b""


@pytest.mark.parametrize("where", ["?" + "a" * 9000, "a" * 9000])
async def test_a_head_has_a_limit(client, where):
    """Eight KiB of target and headers, even where they arrive in one piece."""
    assert (await client.get("/" + where)).status_code in (400, 431)
    assert (await client.get("/", headers={"x": "a" * 9000})).status_code in (400, 431)


async def test_a_body_has_a_limit(client):
    """One byte more than any message may have is BAD_SCHEMA."""
    assert (await client.post("/body", content=b"x" * 8192)).text == "8192"
    answer = await client.post("/body", content=b"x" * 8193)
    assert (answer.status_code, answer.json()["code"]) == (403, "BAD_SCHEMA")


async def test_the_rate_is_limited_but_never_for_kill_and_cancel(client):
    """429 RATE over the burst; what stops something always passes."""
    answers = [await client.get("/") for _ in range(BURST + 20)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert all(answer.json()["code"] == "RATE" for answer in refused)
    for _ in range(BURST + 20):
        assert (await client.post("/v1/kill")).status_code == 200
        assert (await client.delete("/v1/orders/intent-0001")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nowhere", (404, "NOT_FOUND")),
        ("POST", "/", (405, "METHOD_NOT_ALLOWED")),
        ("BREW", "/", (405, "METHOD_NOT_ALLOWED")),
        ("GET", "/body/", (404, "NOT_FOUND")),
        ("GET", "/broken", (503, "INTERNAL")),
    ],
)
async def test_every_error_is_a_problem_document(client, caplog, method, path, expected):
    """No HTML, no redirect, no stack trace; what broke is in the log alone."""
    answer = await client.request(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == expected
    assert "secret detail" not in answer.text
    assert ("a secret detail" in caplog.text) == (path == "/broken")


async def test_malformed_requests_are_counted(face, client):
    """A hundred of any kind within a minute are one flood; good ones and 404 do not count."""
    for _ in range(FLOOD - 2):
        await face.exchange(b"nonsense\r\n\r\n")
    await client.get("/")
    await client.get("/nowhere")
    await client.get("/auth")
    assert face.floods == 0
    await client.post("/body", content=b"x" * 9000)
    assert face.floods == 1


async def test_a_peer_that_goes_away_breaks_nothing(face, client, caplog):
    """Half a body and gone: no answer, no error in the log."""
    _, writer = await face.connect()
    writer.write(PARTS[3])
    await writer.drain()
    assert (await client.get("/")).text == "hello"
    writer.close()
    assert (await client.get("/")).text == "hello"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
