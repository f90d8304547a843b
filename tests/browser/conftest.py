"""A real console on a free port, fed with views by the test, and a real browser in front of it."""

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright
from tests.browser.views import VIEWS

from interlock_gatekeeper.console import Console
from interlock_gatekeeper.server import server, tcp_socket

MISSING = "no chromium: apt-get install chromium, or name another one with CHROMIUM=/path/to/chrome"


@dataclass
class Desk:
    """A served console whose view the test sets; KILL does what the gatekeeper's would."""

    view: object = VIEWS["paper"]
    kills: list = field(default_factory=list)
    url: str = ""

    async def kill(self, cause, actor):
        self.kills.append((cause, actor))
        self.view = replace(VIEWS["killed"], cause=cause)

    @property
    def streams(self):
        """Return how many event streams are open."""
        return self.console._events._open

    @asynccontextmanager
    async def served(self, port=0):
        """Serve until the block ends, on the same port where one is named."""
        self.console = console = Console(self.kill, lambda: self.view)
        sock = tcp_socket("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
        face = server(console.app())
        serving = asyncio.create_task(face.serve(sockets=[sock]))
        try:
            yield
        finally:
            console.close()
            face.should_exit = True
            await serving


@dataclass
class Look:
    """A page, and what it did that a page of ours must never do."""

    page: object
    url: str
    strayed: list = field(default_factory=list)
    complaints: list = field(default_factory=list)

    def __post_init__(self):
        self.page.on("request", self.asked)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def asked(self, request):
        if not request.url.startswith((self.url, "data:")):
            self.strayed.append(request.url)

    async def go(self, path=""):
        return await self.page.goto(self.url + path, wait_until="domcontentloaded")

    async def reads(self, text, part="main"):
        """Wait until a part of the page reads a text."""
        await self.page.locator(part).get_by_text(text).first.wait_for()

    @property
    def port(self):
        return urlsplit(self.url).port


def executable():
    """Return the browser's path, or say what to install."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not found:
        pytest.fail(MISSING, pytrace=False)
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium():
    path = executable()
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=root)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def desk():
    made = Desk()
    async with made.served():
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def look(chromium, desk):
    """Return a function that opens a page; each page must be clean at the end."""
    opened, contexts = [], []

    async def make(width=1280, scheme="light", *, script=True):
        context = await chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            java_script_enabled=script,
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        opened.append(Look(await context.new_page(), desk.url))
        return opened[-1]

    yield make
    for context in contexts:
        await context.close()
    assert [seen.strayed for seen in opened if seen.strayed] == []
    assert [seen.complaints for seen in opened if seen.complaints] == []
