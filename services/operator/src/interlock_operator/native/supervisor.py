"""Start services in order, watch them, stop them in reverse order. Knows nothing of trading."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from interlock_core.clock import NS_PER_S, monotonic_ns
from interlock_operator.errors import Interrupted, ServiceFailedError
from interlock_operator.native.process import Child, describe_exit

TICK_S = 0.05
# Ctrl+C to prompt in less than 5 s, whatever hangs.
STOP_BUDGET_S = 4.4
MIN_GRACE_S = 0.1
BACK_OFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)
# Past this many restarts in a minute it is broken, not unlucky.
MAX_RESTARTS_A_MINUTE = 5

Gate = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the stack.

    `gate` says whether it is healthy; a job has none and is done when it exits with 0. `main`
    marks the service whose end is the end of the session; where it may restart, only an end of
    its own is. `fatal_codes` are exit codes after which a restart would change nothing.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    gate: Gate | None
    after: tuple[str, ...] = ()
    start_timeout_s: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace_s: float = 1.0
    main: bool = False
    restarts: bool = False
    fatal_codes: tuple[int, ...] = (2, 75)
    tail_lines: int = 12


@dataclass(slots=True)
class _Running:
    child: Child
    started_ns: int
    healthy: bool = False


class Supervisor:
    """Runs one set of services."""

    def __init__(
        self, services: Sequence[Service], *, log_dir: Path, say: Callable[[str], None]
    ) -> None:
        self._services = tuple(services)
        self._log_dir = log_dir
        self._say = say
        self._running: dict[str, _Running] = {}
        self._done: set[str] = set()
        self._restart_at_ns: dict[str, int] = {}
        self._restarted_ns: dict[str, list[int]] = {}
        self._stop_asked = asyncio.Event()

    def ask_to_stop(self) -> None:
        """Make `start` and `watch` raise Interrupted at their next tick."""
        self._stop_asked.set()

    def pids(self) -> dict[str, int]:
        """Return the process ids of what runs, by service."""
        return {name: running.child.pid for name, running in self._running.items()}

    def restarts(self) -> dict[str, int]:
        """Return how often each service was restarted."""
        return {name: len(times) for name, times in self._restarted_ns.items()}

    async def start(self) -> None:
        """Start every service once all that it comes after are healthy or done.

        Raises ServiceFailedError where one ends or does not become healthy in time, and
        Interrupted where a stop was asked for.
        """
        while not self._all_up():
            self._check_stop()
            for service in self._services:
                if service.name in self._running:
                    await self._look(service, self._running[service.name])
                elif service.name not in self._done and self._may_start(service):
                    self._spawn(service)
            await asyncio.sleep(TICK_S)

    async def watch(self) -> int:
        """Return the exit code of the main service when it ends.

        A service that may restart is restarted after a back-off. The end of any other raises
        ServiceFailedError, a stop that was asked for raises Interrupted.
        """
        while True:
            self._check_stop()
            for service in self._services:
                running = self._running.get(service.name)
                if running is None:
                    self._restart_when_due(service)
                    continue
                code = running.child.exit_code()
                if code is None:
                    await self._note_recovery(service, running)
                elif service.main and not (service.restarts and code < 0):
                    return code
                else:
                    self._ended(service, running, code)
            await asyncio.sleep(TICK_S)

    async def stop(self) -> dict[str, int]:
        """Stop what runs, in reverse order, within STOP_BUDGET_S; return exit codes by service."""
        until_ns = monotonic_ns() + int(STOP_BUDGET_S * NS_PER_S)
        codes: dict[str, int] = {}
        for service in reversed(self._services):
            running = self._running.pop(service.name, None)
            if running is None:
                continue
            left_s = (until_ns - monotonic_ns()) / NS_PER_S
            grace_s = min(service.stop_grace_s, max(left_s, MIN_GRACE_S))
            codes[service.name] = await running.child.stop(service.stop_signal, grace_s)
        return codes

    def _all_up(self) -> bool:
        return all(
            service.name in self._done
            or (service.name in self._running and self._running[service.name].healthy)
            for service in self._services
        )

    def _may_start(self, service: Service) -> bool:
        return all(
            name in self._done or (name in self._running and self._running[name].healthy)
            for name in service.after
        )

    def _check_stop(self) -> None:
        if self._stop_asked.is_set():
            raise Interrupted

    def _spawn(self, service: Service) -> None:
        log_path = self._log_dir / f"{service.name}.log"
        try:
            child = Child(service.name, service.argv, env=service.env, log_path=log_path)
        except OSError as error:
            raise ServiceFailedError(
                f"{service.name} cannot be started: {error.strerror} ({service.argv[0]})", tail=()
            ) from error
        self._running[service.name] = _Running(child, monotonic_ns())

    async def _look(self, service: Service, running: _Running) -> None:
        """Take one look at a service while the stack starts."""
        code = running.child.exit_code()
        took_s = (monotonic_ns() - running.started_ns) / NS_PER_S
        if code == 0 and service.gate is None:
            del self._running[service.name]
            self._done.add(service.name)
            self._say(f"{service.name} done ({took_s:.1f} s)")
        elif code is not None:
            raise _failed(service, running.child, f"ended with {describe_exit(code)}")
        elif running.healthy:
            return
        elif service.gate is not None and await service.gate():
            running.healthy = True
            self._say(f"{service.name} ready ({took_s:.1f} s)")
        elif took_s > service.start_timeout_s:
            raise _failed(
                service, running.child, f"was not ready within {service.start_timeout_s:.0f} s"
            )

    async def _note_recovery(self, service: Service, running: _Running) -> None:
        if running.healthy or service.gate is None:
            return
        if await service.gate():
            running.healthy = True
            self._say(f"{service.name} ready again (restart {self.restarts()[service.name]})")

    def _ended(self, service: Service, running: _Running, code: int) -> None:
        what = f"ended with {describe_exit(code)}"
        if not service.restarts or code in service.fatal_codes:
            raise _failed(service, running.child, what)
        now_ns = monotonic_ns()
        times = self._restarted_ns.setdefault(service.name, [])
        lately = sum(1 for at_ns in times if now_ns - at_ns < 60 * NS_PER_S)
        if lately >= MAX_RESTARTS_A_MINUTE:
            raise _failed(
                service, running.child, f"{what}, {lately} restarts in a minute did not help"
            )
        back_off_s = BACK_OFF_S[min(lately, len(BACK_OFF_S) - 1)]
        del self._running[service.name]
        self._restart_at_ns[service.name] = now_ns + int(back_off_s * NS_PER_S)
        self._say(f"{service.name} {what}: no new orders; restart in {back_off_s:g} s")

    def _restart_when_due(self, service: Service) -> None:
        due_ns = self._restart_at_ns.get(service.name)
        if due_ns is None or monotonic_ns() < due_ns:
            return
        del self._restart_at_ns[service.name]
        self._restarted_ns[service.name].append(monotonic_ns())
        self._spawn(service)


def _failed(service: Service, child: Child, what: str) -> ServiceFailedError:
    return ServiceFailedError(
        f"{service.name} {what}; its log: {child.log_path}", tail=child.tail(service.tail_lines)
    )
