"""A venue on loopback whose every answer is scripted, and which counts what it received."""

import asyncio
import contextlib
from collections import defaultdict, deque
from email.utils import formatdate

DROP = "drop"
HANG = "hang"


class ScriptedVenue:
    """Answers each `METHOD path` from a queue.

    Its entries are (status, body), a function that returns one, DROP (close) or HANG (silence).

    The last entry of a queue repeats. `received` lists every whole request, in order.
    """

    def __init__(self):
        self.script = defaultdict(deque)
        self.received = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._leave = asyncio.Event()
        self._tasks = set()
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self._leave.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    def count(self, what):
        return sum(1 for name, _ in self.received if name == what)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        answering = asyncio.create_task(self._answer_all(reader, writer))
        leaving = asyncio.create_task(self._leave.wait())
        await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
        answering.cancel()
        leaving.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer_all(self, reader, writer):
        while await self._answer_one(reader, writer):
            pass

    async def _answer_one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split("\r\n")[0].split(" ")
        length = next(
            (
                int(line.split(":")[1])
                for line in head.split("\r\n")
                if "content-length" in line.lower()
            ),
            0,
        )
        body = await reader.readexactly(length)
        name = f"{method} {target.partition('?')[0]}"
        self.received.append((name, body or target.partition("?")[2].encode()))
        queue = self.script[name]
        action = queue.popleft() if len(queue) > 1 else queue[0]
        if action == DROP:
            return False
        if action == HANG:
            await asyncio.Event().wait()
        status, content = action() if callable(action) else action
        head = f"HTTP/1.1 {status} X\r\nDate: {formatdate(usegmt=True)}\r\n"
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        await writer.drain()
        return True
