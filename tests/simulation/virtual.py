"""An event loop whose time jumps to the next timer as soon as nothing is left to be done.

Everything runs in one thread, sockets included: TCP is led over Unix sockets, where a byte that was
sent is there before the next question for it. What asks for another thread is run at once. So a
run depends on its seed alone, and takes as long as its work does.
"""

import asyncio
import contextvars
import gc
import os
import selectors
import socket
import tempfile
import types
import weakref
from asyncio import base_events
from email.utils import formatdate
from pathlib import Path

import ccxt
from aiohttp import web_response

from interlock_core import clock as clock_module
from interlock_engine.observe import process
from interlock_gatekeeper import self_watch

EPOCH_NS = 1_764_000_000 * 1_000_000_000
BOOT_NS = 1_000 * 1_000_000_000
OWNER = contextvars.ContextVar("OWNER", default="test")


class DeadlockError(Exception):
    """Nothing is ready, no timer runs, and no byte is on its way: nothing can ever happen."""


class DeadError(ConnectionError):
    """The component was killed: it reaches nothing any more."""


class _Selector(selectors.DefaultSelector):
    """Never waits: where the loop would, it moves the loop's time instead."""

    loop = None

    def select(self, timeout=None):
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is None:
            raise DeadlockError("nothing can ever happen")
        self.loop.advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A selector loop on virtual time; each task and each socket belongs to a component."""

    def __init__(self):
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self
        self._ports = tempfile.TemporaryDirectory(prefix="ilk-")
        self._virtual_s = 0.0
        self._owners = {}
        self._connections = weakref.WeakKeyDictionary()
        self.dead = set()
        self.set_task_factory(self._make_task)

    def time(self):
        return self._virtual_s

    def advance(self, seconds):
        """Move time forward."""
        self._virtual_s += seconds

    def _make_task(self, loop, work, **options):
        task = asyncio.Task(work, loop=loop, **options)
        self._owners[task] = OWNER.get()
        task.add_done_callback(lambda done: self._owners.pop(done, None))
        return task

    def run_in_executor(self, _executor, function, *arguments):
        future = self.create_future()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits it
            future.set_exception(error)
        return future

    def _place(self, port):
        return f"{self._ports.name}/{port}"

    async def create_server(self, factory, _host=None, port=None, *, sock=None, **_options):
        """Listen on the Unix socket that stands for a TCP port."""
        if sock is not None and sock.family == socket.AF_UNIX:
            return await super().create_unix_server(factory, sock=sock)
        port = port if sock is None else sock.getsockname()[1]
        return await super().create_unix_server(factory, self._place(port))

    async def sock_connect(self, sock, address):
        """Connect to the Unix socket that stands for a TCP port; a dead component reaches none."""
        if OWNER.get() in self.dead:
            raise DeadError("killed")
        if sock.family == socket.AF_UNIX:
            await super().sock_connect(sock, address)
            return
        with socket.socket(socket.AF_UNIX) as stand_in:
            try:
                stand_in.connect(self._place(address[1]))
            except FileNotFoundError as error:
                raise ConnectionRefusedError(f"port {address[1]}") from error
            os.dup2(stand_in.fileno(), sock.fileno())
            sock.setblocking(False)  # noqa: FBT003

    def close(self):
        super().close()
        self._ports.cleanup()

    def _make_socket_transport(self, sock, protocol, *arguments, **options):
        transport = super()._make_socket_transport(sock, protocol, *arguments, **options)
        self._connections[transport] = OWNER.get()
        if OWNER.get() in self.dead:
            transport.abort()
        return transport

    def kill(self, owner, folders):
        """End a component as SIGKILL does: from here on nothing of it reaches disk or network.

        `folders` are where its files lie. Its tasks are cancelled; what they still do is lost.
        """
        self.dead.add(owner)
        _deafen(folders)
        for transport, whose in list(self._connections.items()):
            if whose == owner:
                transport.abort()
        for key in list(self._selector.get_map().values()):
            handles = [handle for handle in key.data if handle is not None]
            if any(handle._context.get(OWNER, "test") == owner for handle in handles):
                self._deaf_to_new(key.fd)
        for task, whose in list(self._owners.items()):
            if whose == owner:
                task.cancel()

    def _deaf_to_new(self, descriptor):
        """Stop listening; whoever waits in the queue is refused, as by a closed socket."""
        if self._transports.get(descriptor) is not None:
            return
        self._remove_reader(descriptor)
        self._remove_writer(descriptor)
        with socket.socket(fileno=os.dup(descriptor)) as listening:
            listening.shutdown(socket.SHUT_RDWR)

    async def bury(self, owner):
        """Wait until every task of a dead component has ended."""
        while left := [task for task, whose in self._owners.items() if whose == owner]:
            await asyncio.gather(*left, return_exceptions=True)


def _deafen(folders):
    """Make every open file below the folders a hole: what is written from now on is nowhere."""
    hole = os.open(os.devnull, os.O_RDWR)
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if any(target.startswith(f"{folder}/") for folder in folders):
            os.dup2(hole, int(link.name))
    os.close(hole)


def clocks(loop):
    """Return what stands in for the `time` module: every clock of ours is the loop's time."""

    def passed_ns():
        return round(loop.time() * 1e9)

    return types.SimpleNamespace(
        CLOCK_BOOTTIME=7,
        time_ns=lambda: EPOCH_NS + passed_ns(),
        clock_gettime_ns=lambda _which: BOOT_NS + passed_ns(),
        perf_counter_ns=passed_ns,
    )


def run(main, monkeypatch):
    """Run a coroutine function on a fresh virtual loop and return its result."""
    loop = VirtualLoop()
    stand_in = clocks(loop)
    monkeypatch.setattr(clock_module, "time", stand_in)
    # ccxt signs with a clock of its own.
    signing_ms = staticmethod(lambda: stand_in.time_ns() // 1_000_000)
    monkeypatch.setattr(ccxt.Exchange, "milliseconds", signing_ms)
    # The Date header of the simulated venues is the only clock that Upbit has.
    monkeypatch.setattr(
        web_response,
        "rfc822_formatted_time",
        lambda: formatdate(stand_in.time_ns() / 1e9, usegmt=True),
    )
    # One process plays all parts: what it costs says nothing of any of them.
    monkeypatch.setattr(process, "memory_bytes", lambda: 64_000_000)
    monkeypatch.setattr(process, "cpu_seconds", lambda: 0.0)
    monkeypatch.setattr(self_watch, "time", types.SimpleNamespace(process_time_ns=lambda: 0))
    # A Unix socket in a TCP socket's place knows no delay to be switched off.
    monkeypatch.setattr(base_events, "_set_nodelay", lambda _sock: None)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        asyncio.set_event_loop(None)
        loop.close()
        # What a killed process left open is closed here, where it belongs to this test.
        gc.collect()
