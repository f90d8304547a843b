"""`interlock up`: one run of the native stack, from the lock to the summary."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from interlock_core.clock import NS_PER_S, monotonic_ns, wall_ns
from interlock_core.ids import new_session_id
from interlock_operator import stack_file
from interlock_operator.errors import (
    Interrupted,
    OperatorError,
    ServiceFailedError,
)
from interlock_operator.native import ports
from interlock_operator.native.plan import PORTS, Layout, UpOptions, services
from interlock_operator.native.process import describe_exit
from interlock_operator.native.supervisor import Supervisor
from interlock_operator.observe.presenter import Presenter
from interlock_operator.settings import OperatorSettings, inherited_environment

RUNTIME_PREFIX = "ilk-"
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_up(settings: OperatorSettings, options: UpOptions, presenter: Presenter) -> int:
    """Run the stack until the engine ends or the operator stops it; return the engine's code.

    Raises OperatorError where it cannot start or a service fails.
    """
    began_ns = monotonic_ns()
    if not sys.platform.startswith("linux"):
        raise OperatorError("the native stack needs Linux; `docker compose up` works elsewhere")
    descriptor = stack_file.lock(settings.native_dir)
    try:
        _sweep(settings.native_dir)
        with _layout(settings, options.universe) as layout:
            try:
                return asyncio.run(_Run(layout, options, settings, presenter, began_ns).run())
            finally:
                presenter.summary(layout.session_dir)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _layout(settings: OperatorSettings, universe: str) -> Iterator[Layout]:
    with ports.choose(PORTS, inherited_environment()) as chosen:
        session_id = new_session_id(wall_ns(), "paper")
        session_dir = settings.runs_dir / session_id
        session_dir.mkdir(parents=True)
        # Short and private: a Unix socket's path is at most 107 bytes, a checkout's may be longer.
        runtime_dir = Path(tempfile.mkdtemp(prefix=RUNTIME_PREFIX))
        layout = Layout(
            session_id=session_id,
            session_dir=session_dir,
            runs_dir=settings.runs_dir,
            native_dir=settings.native_dir,
            runtime_dir=runtime_dir,
            universe=universe,
            ports=chosen,
        )
        layout.gate_state_dir.mkdir(mode=0o700, exist_ok=True)
        try:
            yield layout
        finally:
            (settings.native_dir / stack_file.FILE_NAME).unlink(missing_ok=True)
            shutil.rmtree(runtime_dir, ignore_errors=True)


def _sweep(native_dir: Path) -> None:
    """Remove what a supervisor that was killed left behind."""
    left = stack_file.read(native_dir)
    if left is None:
        return
    runtime_dir = Path(left.gate_socket).parent
    if runtime_dir.name.startswith(RUNTIME_PREFIX):
        shutil.rmtree(runtime_dir, ignore_errors=True)
    (native_dir / stack_file.FILE_NAME).unlink()


class _Run:
    """One run: start, watch and show, stop."""

    def __init__(
        self,
        layout: Layout,
        options: UpOptions,
        settings: OperatorSettings,
        presenter: Presenter,
        began_ns: int,
    ) -> None:
        self._layout = layout
        self._options = options
        self._settings = settings
        self._presenter = presenter
        self._began_ns = began_ns

    async def run(self) -> int:
        """Return the engine's exit code, or raise OperatorError."""
        async with httpx.AsyncClient(trust_env=False) as client:
            plan = services(
                self._layout,
                self._options,
                self._settings,
                inherited=inherited_environment(),
                client=client,
            )
            supervisor = Supervisor(plan, log_dir=self._layout.session_dir, say=self._presenter.say)
            loop = asyncio.get_running_loop()
            for number in ENDING_SIGNALS:
                loop.add_signal_handler(number, supervisor.ask_to_stop)
            stack_file.write(self._layout.native_dir, self._layout.stack(os.getpid()))
            self._presenter.say(
                f"session {self._layout.session_id}, logs {self._layout.session_dir}"
            )
            return await self._run_to_the_end(supervisor, client)

    async def _run_to_the_end(self, supervisor: Supervisor, client: httpx.AsyncClient) -> int:
        code: int | None = None
        try:
            await supervisor.start()
            code = await self._watch(supervisor, client)
        except Interrupted:
            self._presenter.say("stopping")
        except ServiceFailedError as error:
            self._presenter.say(f"stopping everything: {error}")
            raise
        finally:
            codes = await supervisor.stop()
        if code is None:
            if "engine" not in codes:
                raise OperatorError("stopped before the engine had started")
            code = codes["engine"]
        if code < 0:
            raise OperatorError(f"the engine ended with {describe_exit(code)}")
        if code > 0:
            log_path = self._layout.session_dir / "engine.log"
            self._presenter.say(f"the engine ended with {describe_exit(code)}; its log: {log_path}")
        return code

    async def _watch(self, supervisor: Supervisor, client: httpx.AsyncClient) -> int:
        watching = asyncio.create_task(supervisor.watch())
        showing = asyncio.create_task(
            self._presenter.run(
                client,
                self._layout.stack(os.getpid()),
                restarts=supervisor.restarts,
                since_start_s=lambda: (monotonic_ns() - self._began_ns) / NS_PER_S,
            )
        )
        try:
            await asyncio.wait({watching, showing}, return_when=asyncio.FIRST_COMPLETED)
            if not watching.done():
                showing.result()
            return await watching
        finally:
            for task in (watching, showing):
                task.cancel()
            await asyncio.gather(watching, showing, return_exceptions=True)
