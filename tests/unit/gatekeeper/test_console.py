"""The console's handlers: what they answer, how often they draw, and that nothing else is there."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
import pytest
from tests.browser.views import HOSTILE, PAPER, VIEWS

from interlock_gatekeeper import console
from interlock_gatekeeper.console import Console

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "ARM")
ARMING = ("arm", "disarm", "reset", "renew", "flatten", "approve", "session", "orders", "state")
PATHS = (
    *("/", "/events", "/kill", "/kill/", "/events/", "", "//", "//kill", "/KILL", "/kill/../arm"),
    *(f"{prefix}/{word}" for prefix in ("", "/v1", "/kill", "/events") for word in ARMING),
    *("/console.js", "/console.css", "/static/", "/health", "/metrics", "/docs", "/openapi.json"),
)
ALLOWED = {("GET", "/"), ("GET", "/events"), ("POST", "/kill")}


@dataclass
class Desk:
    """A console over a view that the test sets, and a record of every kill."""

    view: object = PAPER
    views: int = 0
    kills: list = field(default_factory=list)

    def __post_init__(self):
        self.console = Console(self.kill, self.look)
        self.app = self.console.app()
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app), base_url="http://console"
        )

    async def kill(self, cause, actor):
        self.kills.append((cause, actor))

    def look(self):
        self.views += 1
        return self.view

    async def press(self, page):
        return await self.http.post("/kill", data={"token": token_in(page.text)})

    async def ask(self, method, path):
        """Return the status of a request whose path no client has tidied up."""
        sent = []

        async def receive():
            return {"type": "http.request"}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": []}
        await self.app(scope, receive, send)
        return sent[0]["status"]

    @asynccontextmanager
    async def stream(self):
        """Open an event stream; yield its first message and a queue of its events."""
        sent, gone = asyncio.Queue(), asyncio.Event()
        scope = {"type": "http", "method": "GET", "path": "/events", "headers": []}
        asked = False

        async def receive():
            nonlocal asked
            if asked:
                await gone.wait()
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request"}

        serving = asyncio.create_task(self.app(scope, receive, sent.put))
        try:
            yield await sent.get(), sent
        finally:
            gone.set()
            await serving


def token_in(text):
    return re.search(r'name="token" value="([^"]+)"', text).group(1)


async def body_of(queue):
    return (await queue.get())["body"].decode()


@pytest.fixture
async def desk():
    made = Desk()
    async with made.http:
        yield made


async def test_a_page_kills_with_one_press(desk):
    """POST with the page's token; 303 back to the page."""
    pressed = await desk.press(await desk.http.get("/"))
    assert (pressed.status_code, pressed.headers["location"]) == (303, "/")
    assert desk.kills == [("CONSOLE", "console")]


@pytest.mark.parametrize(
    "body", [b"", b"token=", b"token=guess", b"token=\xff\xfe", b"token=%FF", b"[]", b"a=b&token"]
)
async def test_a_foreign_form_kills_nothing(desk, body):
    """403, with a fresh page, so that an old page is one press away from the kill."""
    refused = await desk.http.post("/kill", content=body)
    assert refused.status_code == 403
    assert desk.kills == []
    assert "Press KILL again" in refused.text
    assert (await desk.press(refused)).status_code == 303


async def test_a_page_of_another_process_kills_nothing(desk):
    """Each process has its own token."""
    other = Desk()
    async with other.http:
        page = await other.http.get("/")
    assert (await desk.press(page)).status_code == 403


async def test_a_body_that_is_too_large_is_refused(desk):
    """413 after 8 KiB, and no kill."""
    assert (await desk.http.post("/kill", content=b"token=" + b"x" * 9000)).status_code == 413
    assert desk.kills == []


@pytest.mark.parametrize("method", METHODS)
async def test_nothing_else_is_there(desk, method):
    """Every other method and path is refused: nothing arms, nothing resets, nothing redirects."""
    for path in PATHS:
        if (method, path) not in ALLOWED:
            assert await desk.ask(method, path) in (404, 405), (method, path)
    assert desk.kills == []


async def test_the_routes_are_these_three(desk):
    """Counted where they are made, so that a fourth one has to come through here."""
    routes = {(method, route.path) for route in desk.app.routes for method in route.methods}
    assert routes == ALLOWED


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", "/kill"), ("GET", "/nothing"), ("PUT", "/")]
)
async def test_every_answer_is_sealed(desk, method, path):
    """Never cached, framed, sniffed or referred, whatever it says."""
    headers = (await desk.http.request(method, path)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_the_policy_lets_only_this_pages_own_script_run(desk):
    """A fresh nonce for every page."""
    pages = [await desk.http.get("/") for _ in range(2)]
    found = [
        re.search(r"script-src 'nonce-([^']+)'", p.headers["content-security-policy"])
        for p in pages
    ]
    nonces = [match.group(1) for match in found]
    assert nonces[0] != nonces[1]
    for page, nonce in zip(pages, nonces, strict=True):
        assert f'<script nonce="{nonce}">' in page.text
        assert f'<style nonce="{nonce}">' in page.text


async def test_a_stream_shows_the_state_at_once_and_again_when_it_changes(desk, monkeypatch):
    """Neither the first event nor a change of state waits for the beat."""
    monkeypatch.setattr(console, "EVENT_EVERY_S", 3600)
    desk.view = VIEWS["live"]
    async with desk.stream() as (start, events):
        assert start["status"] == 200
        assert (b"content-type", b"text/event-stream; charset=utf-8") in start["headers"]
        assert await body_of(events) == "retry: 1000\n\n"
        assert "LIVE" in await body_of(events)
        desk.view = VIEWS["killed"]
        assert "KILLED" in await body_of(events)


async def test_a_stream_beats_once_a_second(desk):
    """What does not change the state waits for the beat."""
    async with desk.stream() as (_, events):
        await body_of(events)
        await body_of(events)
        desk.view = replace(PAPER, audit_seq=99_999)
        started = asyncio.get_running_loop().time()
        assert "99999" in await body_of(events)
        assert asyncio.get_running_loop().time() - started > 0.8


async def test_an_event_is_one_event_whatever_it_holds(desk):
    """Every line is data; the only empty line is the last."""
    desk.view = HOSTILE
    async with desk.stream() as (_, events):
        await body_of(events)
        *lines, last, end = (await body_of(events)).split("\n")
    assert (last, end) == ("", "")
    assert all(line.startswith("data: ") for line in lines)


async def test_the_ninth_stream_is_refused(desk):
    """503 with a reason; when one ends, there is room again."""
    streams = [desk.stream() for _ in range(console.MAX_STREAMS)]
    assert len(streams) == 8
    for stream in streams:
        start, _ = await stream.__aenter__()
        assert start["status"] == 200
    async with desk.stream() as (start, events):
        assert start["status"] == 503
        assert "8 streams are open" in await body_of(events)
    assert (await desk.http.get("/")).status_code == 200
    await streams[0].__aexit__(None, None, None)
    async with desk.stream() as (start, _):
        assert start["status"] == 200
    for stream in streams[1:]:
        await stream.__aexit__(None, None, None)


async def test_however_many_look_it_draws_ten_times_a_second(desk, monkeypatch):
    """Eight streams and a flood of page loads share the pictures."""
    drawn = 0
    draw = console.render_fragment

    def counted(view):
        nonlocal drawn
        drawn += 1
        return draw(view)

    monkeypatch.setattr(console, "render_fragment", counted)
    streams = [desk.stream() for _ in range(8)]
    for stream in streams:
        await stream.__aenter__()
    started = asyncio.get_running_loop().time()
    desk.views = drawn = 0
    while (took_s := asyncio.get_running_loop().time() - started) < 0.5:
        await asyncio.gather(*(desk.http.get("/") for _ in range(20)))
    for stream in streams:
        await stream.__aexit__(None, None, None)
    assert 0 < drawn <= desk.views <= took_s * 10 + 2


async def test_a_page_is_never_older_than_its_request(desk):
    """A kill that was acknowledged is on the next page."""
    await desk.http.get("/")
    desk.view = VIEWS["killed"]
    assert "LOSS_LIMIT" in (await desk.http.get("/")).text


async def test_closing_ends_the_streams(desk):
    """A server that stops does not wait for those who watch."""
    async with desk.stream() as (_, events):
        await body_of(events)
        desk.console.close()
        async with asyncio.timeout(1):
            while (await events.get()).get("more_body"):
                pass


async def test_a_view_that_fails_hurts_only_who_looked(desk):
    """The next look works again."""

    def fail():
        raise ValueError("no view")

    desk.console._easel._view = fail
    with pytest.raises(ValueError, match="no view"):
        await desk.http.get("/")
    desk.console._easel._view = desk.look
    assert (await desk.http.get("/")).status_code == 200
