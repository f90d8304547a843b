"""The two servers that are measured, each in a process of its own: a whole gatekeeper, and an echo.

Both are forked from one clean server process that has everything imported, so that a new
gatekeeper for each drill costs a fraction of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.report import BenchmarkError
from interlock_core import logs
from interlock_core.wire import gate
from interlock_gatekeeper.app import App
from interlock_gatekeeper.server import ENGINE_SOCKET_MODE, read_body, server, unix_socket
from interlock_gatekeeper.settings import GateSettings, read_settings
from interlock_gatekeeper.vault import open_vault

ECHO_SOCKET = "echo.sock"
LOG_NAME = "stdout.log"
STOP_TIMEOUT_S = 15.0
_PORTS = iter(range(20_000 + os.getpid() % 10_000, 32_768))


def prepare() -> None:
    """Have the fork server import what the children need."""
    multiprocessing.set_forkserver_preload([__name__])


@contextlib.contextmanager
def folders(journal_parent: Path) -> Iterator[tuple[Path, Path]]:
    """Yield a folder for sockets, with a short path, and one for journals; remove both after."""
    journal_parent.mkdir(parents=True, exist_ok=True)
    sockets = Path(tempfile.mkdtemp(prefix="ilk-"))
    journals = Path(tempfile.mkdtemp(prefix="run-", dir=journal_parent))
    try:
        yield sockets, journals
    finally:
        shutil.rmtree(sockets)
        shutil.rmtree(journals)


def gate_settings(venue_url: str, sockets: Path, state_dir: Path) -> dict[str, str]:
    """Return the environment of a gatekeeper on free ports."""
    return {
        "SIMVENUES_URL": venue_url,
        "GATE_SOCKET": str(sockets / "e" / "engine.sock"),
        "OPERATOR_SOCKET": str(sockets / "o" / "operator.sock"),
        "GATE_HEALTH_PORT": str(_free_port()),
        "GATE_CONSOLE_PORT": str(_free_port()),
        "GATE_STATE_DIR": str(state_dir),
    }


def _free_port() -> int:
    """Return a port nobody listens on, each once in a run.

    They lie below the range that the kernel hands out to outgoing connections of others.
    """
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise BenchmarkError("no free port is left")


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """A gatekeeper in a child process."""

    settings: GateSettings
    process: BaseProcess

    def check(self) -> None:
        """Raise with the last line of its log where it has ended."""
        if not self.process.is_alive():
            log = self.settings.state_dir / LOG_NAME
            lines = log.read_text("utf-8").splitlines() if log.exists() else []
            last = lines[-1:] or ["it said nothing"]
            raise BenchmarkError(f"the gatekeeper ended by itself: {last[0]}")


@contextlib.contextmanager
def gatekeeper(settings: dict[str, str]) -> Iterator[Gatekeeper]:
    """Run a whole gatekeeper in a child; it is killed at the end, as a crash would."""
    process = multiprocessing.get_context("forkserver").Process(
        target=_gatekeeper, args=(settings,)
    )
    with _running(process):
        yield Gatekeeper(read_settings(settings), process)


@contextlib.contextmanager
def echo(sockets: Path, folder: Path) -> Iterator[Path]:
    """Run the echo in a child; yield its socket."""
    path = sockets / ECHO_SOCKET
    process = multiprocessing.get_context("forkserver").Process(target=_echo, args=(path, folder))
    with _running(process):
        yield path


@contextlib.contextmanager
def _running(process: BaseProcess) -> Iterator[None]:
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join(STOP_TIMEOUT_S)


def _gatekeeper(environ: dict[str, str]) -> None:
    """Do what the gatekeeper's own command does, with its log in its journal's folder."""
    settings = read_settings(environ)
    _log_into(settings.state_dir)
    logs.configure("gatekeeper", settings.log_level)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    asyncio.run(App(settings, open_vault(settings), settings.stage).run())


def _log_into(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


def _echo(path: Path, folder: Path) -> None:
    """Serve the gatekeeper's own stack with one handler: body in, one durable line, body out."""
    _log_into(folder)
    fd = os.open(folder / "echo.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    pool = ThreadPoolExecutor(max_workers=1)

    async def handle(request: Request) -> Response:
        body = await read_body(request)
        os.write(fd, body + b"\n")
        await asyncio.get_running_loop().run_in_executor(pool, os.fdatasync, fd)
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route(gate.PATH_ORDERS, handle, methods=["POST"])])
    listening = unix_socket(path, ENGINE_SOCKET_MODE)
    asyncio.run(server(app, peers=True).serve(sockets=[listening]))
