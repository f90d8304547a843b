"""The composition root: the only place that names concrete adapters."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Coroutine
from typing import Any

from interlock_core.clock import SystemClock
from interlock_core.endpoints import Endpoints, simulated
from interlock_gatekeeper.console import Console
from interlock_gatekeeper.engine_api import EngineApi
from interlock_gatekeeper.gateway import Gateway
from interlock_gatekeeper.health import Health
from interlock_gatekeeper.health_api import HealthApi
from interlock_gatekeeper.journal import Journal
from interlock_gatekeeper.machine import Machine, new_boot_id
from interlock_gatekeeper.market import Market
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.mirror import Mirror
from interlock_gatekeeper.operator_api import OperatorApi
from interlock_gatekeeper.server import (
    ENGINE_SOCKET_MODE,
    OPERATOR_SOCKET_MODE,
    QuietServer,
    server,
    tcp_socket,
    unix_socket,
)
from interlock_gatekeeper.settings import GateSettings
from interlock_gatekeeper.state import State
from interlock_gatekeeper.submit import Submitter
from interlock_gatekeeper.transport import Transport
from interlock_gatekeeper.vault import PAPER_VAULT, Vault
from interlock_gatekeeper.venues.binance import PERP, SPOT, Binance
from interlock_gatekeeper.venues.readings import Adapter
from interlock_gatekeeper.venues.upbit import Upbit

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 3

Face = tuple[QuietServer, socket.socket]


class App:
    """One gatekeeper process: built from settings, run until told to stop."""

    def __init__(self, settings: GateSettings, vault: Vault | None, stage: str) -> None:
        self._settings = settings
        self._stage = stage
        self._stop = asyncio.Event()
        self._boot_id = new_boot_id()
        self._has_secrets = vault is not None and settings.environment == "live"
        self._state = State(environment=settings.environment)
        self._metrics = Metrics(settings.environment, stage)
        self._clock = SystemClock()
        self._journal = Journal(
            settings.state_dir, boot_id=self._boot_id, observe_sync_s=self._metrics.sync.observe
        )
        machine = Machine(
            self._state, config_sha256=settings.config_sha256, has_secrets=self._has_secrets
        )
        adapters = _adapters(settings, vault or PAPER_VAULT, simulated(settings.simvenues_url))
        self._transports = {a.venue: Transport(a.rest_url) for a in adapters}
        self._gateway = Gateway(
            machine=machine,
            book=self._journal,
            clock=self._clock,
            metrics=self._metrics,
            boot_id=self._boot_id,
            submitters={
                a.venue: Submitter(
                    adapter=a,
                    transport=self._transports[a.venue],
                    machine=machine,
                    clock=self._clock,
                    metrics=self._metrics,
                )
                for a in adapters
            },
        )
        self._market = Market(
            adapters=adapters,
            transports=self._transports,
            state=self._state,
            clock=self._clock,
            metrics=self._metrics,
        )

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
            has_secrets=self._has_secrets,
            venue_problems=tuple(self._market.problems()),
        )

    async def run(self) -> None:
        """Recover, serve all faces, and stop in order on SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self._gateway.recover()
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
        parts: list[Coroutine[Any, Any, None]] = [self._gateway.run(), self._market.run()]
        if self._settings.postgres_dsn:
            dsn = self._settings.postgres_dsn
            parts.append(Mirror(dsn, self._journal.path, self._metrics).run())
        return parts

    def _faces(self) -> list[Face]:
        settings, gateway, health = self._settings, self._gateway, self.health
        engine = EngineApi(gateway, self._market, self._metrics, engine_uid=settings.engine_uid)
        return [
            (
                server(engine.app(), peers=True),
                unix_socket(settings.gate_socket, ENGINE_SOCKET_MODE, settings.gate_socket_gid),
            ),
            (
                server(OperatorApi(gateway, health).app(), peers=True),
                unix_socket(settings.operator_socket, OPERATOR_SOCKET_MODE),
            ),
            (
                server(HealthApi(health, self._metrics).app()),
                tcp_socket(settings.host, settings.health_port),
            ),
            (
                server(Console(gateway, health).app()),
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
        for face in faces:
            face.should_exit = True
        await asyncio.wait(serving, timeout=STOP_TIMEOUT_S)
        for task in (*work, *serving):
            task.cancel()
        await asyncio.gather(*work, *serving, return_exceptions=True)
        for transport in self._transports.values():
            transport.close()
        self._journal.close()
        log.info("stopped")


def _adapters(settings: GateSettings, vault: Vault, where: Endpoints) -> list[Adapter]:
    upbit = Upbit(where.upbit_rest, vault.upbit)
    if settings.binance_market == "spot":
        return [upbit, Binance(SPOT, where.binance_rest, vault.binance)]
    return [upbit, Binance(PERP, where.binance_perp_rest, vault.binance)]
