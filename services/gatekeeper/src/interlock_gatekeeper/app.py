"""The composition root: the only place that names concrete adapters."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Coroutine, Mapping
from decimal import Decimal
from typing import Any

from interlock_core.clock import SystemClock
from interlock_core.endpoints import Endpoints, simulated
from interlock_core.instrument import Instrument
from interlock_core.redaction import Redactor
from interlock_gatekeeper.accounts import Accounts
from interlock_gatekeeper.attested import read_attestation
from interlock_gatekeeper.calls import Calls
from interlock_gatekeeper.console import Console
from interlock_gatekeeper.engine_api import EngineApi
from interlock_gatekeeper.gateway import Gateway
from interlock_gatekeeper.halting import Halting
from interlock_gatekeeper.health import Health
from interlock_gatekeeper.health_api import HealthApi
from interlock_gatekeeper.journal import Journal, new_boot_id
from interlock_gatekeeper.machine import Machine
from interlock_gatekeeper.market import Market
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.mirror import Mirror
from interlock_gatekeeper.operator_api import OperatorApi
from interlock_gatekeeper.seen import VenueSeen
from interlock_gatekeeper.server import (
    ENGINE_SOCKET_MODE,
    HEALTH_REQUESTS_PER_S,
    OPERATOR_SOCKET_MODE,
    QuietServer,
    server,
    tcp_socket,
    unix_socket,
)
from interlock_gatekeeper.settings import GateSettings
from interlock_gatekeeper.state import Killed, State
from interlock_gatekeeper.submit import Submitter
from interlock_gatekeeper.transport import Transport
from interlock_gatekeeper.vault import PAPER_VAULT, Vault
from interlock_gatekeeper.venues.binance import PERP, SPOT, Binance
from interlock_gatekeeper.venues.readings import Adapter
from interlock_gatekeeper.venues.upbit import Upbit
from interlock_gatekeeper.view import View, view_of

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 3
KILL_FILE_EVERY_S = 0.1
PREFLIGHT_EVERY_S = 1.0

Face = tuple[QuietServer, socket.socket]


class App:
    """One gatekeeper process: built from settings, run until told to stop."""

    def __init__(self, settings: GateSettings, vault: Vault | None, stage: str) -> None:
        self._settings = settings
        self._stage = stage
        self._stop = asyncio.Event()
        self._killing: set[asyncio.Future[None]] = set()
        self._boot_id = new_boot_id()
        self._has_secrets = vault is not None and settings.environment == "live"
        self._state = State(environment=settings.environment)
        self._metrics = Metrics(settings.environment, stage)
        self._clock = SystemClock()
        self._journal = Journal(
            settings.state_dir,
            boot_id=self._boot_id,
            config_sha256=settings.config_sha256,
            commit=settings.commit,
            observe_sync_s=self._metrics.sync.observe,
        )
        machine = Machine(
            self._state,
            config_sha256=settings.config_sha256,
            has_secrets=self._has_secrets,
            commit=settings.commit,
            lowered=settings.lowered,
        )
        keys = vault or PAPER_VAULT
        adapters = _adapters(settings, keys, simulated(settings.simvenues_url))
        redactor = Redactor(keys.secrets())
        self._transports = {a.venue: Transport(a.rest_url, redactor) for a in adapters}
        self._state.seen.venues.update({a.venue: VenueSeen() for a in adapters})
        # These answers list our own key's name, which is looked for; they go nowhere else.
        self._scopes = {a.venue: Transport(a.scopes_url) for a in adapters}
        calls = [
            Calls(
                a,
                self._transports[a.venue],
                self._state.seen.venues[a.venue],
                self._clock,
                scopes=self._scopes[a.venue],
            )
            for a in adapters
        ]
        submitters = {
            c.adapter.venue: Submitter(
                calls=c, machine=machine, clock=self._clock, metrics=self._metrics
            )
            for c in calls
        }
        self._accounts = Accounts(
            calls=calls,
            machine=machine,
            clock=self._clock,
            metrics=self._metrics,
            declared=_declared(settings),
        )
        self._halting = Halting(
            machine=machine,
            calls=calls,
            submitters=submitters,
            accounts=self._accounts,
            clock=self._clock,
            metrics=self._metrics,
        )
        self._gateway = Gateway(
            machine=machine,
            book=self._journal,
            clock=self._clock,
            metrics=self._metrics,
            boot_id=self._boot_id,
            submitters=submitters,
            halting=self._halting,
        )
        self._market = Market(
            adapters=adapters,
            transports=self._transports,
            state=self._state,
            clock=self._clock,
            metrics=self._metrics,
        )
        self._console = Console(self._gateway.kill, self.view)

    def stop(self) -> None:
        """Ask `run` to end in order."""
        self._stop.set()

    def health(self) -> Health:
        """Return the health as of now."""
        return Health(
            state=self._state,
            now=self._gateway.now(),
            boot_id=self._boot_id,
            config_sha256=self._settings.config_sha256,
            stage=self._stage,
            commit=self._settings.commit,
            has_secrets=self._has_secrets,
            venue_problems=tuple(self._market.problems()),
        )

    def view(self) -> View:
        """Return what the console shows as of now."""
        return view_of(self.health(), audit_seq=self._journal.seq)

    def instruments(self) -> Mapping[str, Instrument]:
        """Return the instruments that the venues list, for a drill."""
        return self._state.instruments

    def best(self, key: str) -> tuple[Decimal, Decimal]:
        """Return best bid and ask of an instrument of the running session, for a drill."""
        reference = self._state.references[key]
        return reference.bid, reference.ask

    def killed_ns(self) -> int:
        """Return the boot time of the latch, for a drill; raise LookupError where none is set."""
        phase = self._state.phase
        if isinstance(phase, Killed):
            return phase.since_ns
        raise LookupError("not killed")

    def cancel_ms(self) -> float | None:
        """Return how long after the kill its first cancel was answered, for a drill."""
        seconds = self._halting.phases_s.get("first_cancel")
        return None if seconds is None else seconds * 1e3

    async def run(self) -> None:
        """Recover, serve all faces, and stop in order on SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGUSR1, self._kill_by_signal)
        await self._gateway.recover()
        await self._look_for_kill_file()
        faces = self._faces()
        work = [asyncio.create_task(part) for part in self._work()]
        serving = [asyncio.create_task(face.serve(sockets=[sock])) for face, sock in faces]
        log.info("serving", extra={"state": self._state.phase_name, "boot_id": self._boot_id})
        stopped = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait(
            [stopped, *work, *serving], return_when=asyncio.FIRST_COMPLETED
        )
        await self._shut_down(work, serving, [face for face, _ in faces])
        for task in done - {stopped}:
            task.result()
            raise RuntimeError("a part of the gatekeeper ended by itself")

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        parts: list[Coroutine[Any, Any, None]] = [
            self._gateway.run(),
            self._market.run(),
            self._accounts.run(),
        ]
        if self._settings.kill_file is not None:
            parts.append(self._watch_kill_file())
        if self._has_secrets:
            parts.append(self._watch_preflight())
        if self._settings.postgres_dsn:
            dsn = self._settings.postgres_dsn
            mirror = Mirror(dsn, self._journal.folder, self._metrics, anchored=self._anchored)
            parts.append(mirror.run())
        return parts

    def _anchored(self, boot_ns: int) -> None:
        self._state.seen.self.anchor_ns = boot_ns

    def _kill_by_signal(self) -> None:
        self._kill_soon("SIGNAL", "SIGUSR1")

    def _kill_by_flood(self) -> None:
        self._kill_soon("FLOOD", "engine socket: 100 malformed requests in a minute")

    def _kill_soon(self, cause: str, actor: str) -> None:
        task = asyncio.ensure_future(self._gateway.kill(cause, actor))
        self._killing.add(task)
        task.add_done_callback(self._killing.discard)

    async def _watch_kill_file(self) -> None:
        while True:
            await self._look_for_kill_file()
            await asyncio.sleep(KILL_FILE_EVERY_S)

    async def _look_for_kill_file(self) -> None:
        """Kill while the file is there: a reset does not last before it is removed."""
        path = self._settings.kill_file
        if path is not None and await asyncio.to_thread(os.path.lexists, path):
            await self._gateway.kill("KILL_FILE", str(path))

    async def _watch_preflight(self) -> None:
        """Keep the state's word on the preflight's attestation true, second by second."""
        settings = self._settings
        while True:
            found = await asyncio.to_thread(
                read_attestation,
                settings.attestation_file,
                settings.attestation_key_file,
                now_wall_ns=self._clock.wall_ns(),
                config_sha256=settings.config_sha256,
                commit=settings.commit,
            )
            self._state.seen.self.preflight_problem = found if isinstance(found, str) else None
            await asyncio.sleep(PREFLIGHT_EVERY_S)

    def _faces(self) -> list[Face]:
        settings, gateway, health = self._settings, self._gateway, self.health
        engine = EngineApi(gateway, self._market, self._accounts, engine_uid=settings.engine_uid)
        return [
            (
                server(engine.app(), peers=True, on_flood=self._kill_by_flood),
                unix_socket(settings.gate_socket, ENGINE_SOCKET_MODE, settings.gate_socket_gid),
            ),
            (
                server(OperatorApi(gateway, self._accounts, health).app(), peers=True),
                unix_socket(settings.operator_socket, OPERATOR_SOCKET_MODE),
            ),
            (
                server(
                    HealthApi(health, self._metrics).app(), requests_per_s=HEALTH_REQUESTS_PER_S
                ),
                tcp_socket(settings.host, settings.health_port),
            ),
            (
                server(self._console.app()),
                tcp_socket(settings.console_host, settings.console_port),
            ),
        ]

    async def _shut_down(
        self,
        work: list[asyncio.Task[None]],
        serving: list[asyncio.Task[None]],
        faces: list[QuietServer],
    ) -> None:
        await self._gateway.stop()
        self._console.close()
        for face in faces:
            face.should_exit = True
        await asyncio.wait(serving, timeout=STOP_TIMEOUT_S)
        for task in (*work, *serving):
            task.cancel()
        await asyncio.gather(*work, *serving, return_exceptions=True)
        for transport in (*self._transports.values(), *self._scopes.values()):
            transport.close()
        self._journal.close()
        log.info("stopped")


def throw_away(settings: GateSettings) -> App:
    """Return a gatekeeper on the simulated venues, with nothing but their keys, for a drill."""
    return App(settings, PAPER_VAULT, settings.stage)


def _declared(settings: GateSettings) -> Mapping[str, Decimal] | None:
    """Return what lies on the accounts; on simulated venues, where unset, whatever is there."""
    if settings.allocation is None and settings.venues == "real":
        return {}
    return settings.allocation


def _adapters(settings: GateSettings, vault: Vault, where: Endpoints) -> list[Adapter]:
    upbit = Upbit(where.upbit_rest, vault.upbit)
    if settings.binance_market == "spot":
        return [upbit, Binance(SPOT, where.binance_rest, vault.binance)]
    # The futures origin does not tell what a key may do: the spot origin does.
    return [
        upbit,
        Binance(PERP, where.binance_perp_rest, vault.binance, scopes_url=where.binance_rest),
    ]
