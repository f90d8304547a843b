"""The native stack's services: what runs, with which settings, after what."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from interlock_operator.native.commit import checked_out_commit
from interlock_operator.native.gates import http_ok
from interlock_operator.native.ports import LOOPBACK, PortWish
from interlock_operator.native.stores import StoreFiles, postgres_services, redis_services
from interlock_operator.native.supervisor import Service
from interlock_operator.settings import OperatorSettings
from interlock_operator.stack_file import Stack

PORTS = (
    PortWish("simvenues", "SIM_PORT", 8090),
    PortWish("gatekeeper", "GATE_HEALTH_PORT", 8081),
    PortWish("console", "GATE_CONSOLE_PORT", 8082),
    PortWish("engine", "ENGINE_PORT", 8083),
    PortWish("postgres", "POSTGRES_PORT", 5432),
    PortWish("redis", "REDIS_PORT", 6379),
)
# The engine closes its positions before it ends; the gatekeeper must outlive that.
ENGINE_STOP_S = 3.2


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the operator chose for one run; None leaves a service's own default."""

    duration_s: int | None
    universe: str
    regime: str | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one run keeps its files and listens."""

    session_id: str
    session_dir: Path
    runs_dir: Path
    native_dir: Path
    runtime_dir: Path
    universe: str
    ports: Mapping[str, int]

    def url(self, name: str) -> str:
        """Return the address of a service's HTTP port."""
        return f"http://{LOOPBACK}:{self.ports[name]}"

    @property
    def gate_socket(self) -> Path:
        """Return the socket that the engine opens."""
        return self.runtime_dir / "engine.sock"

    @property
    def operator_socket(self) -> Path:
        """Return the socket of the operator's commands."""
        return self.runtime_dir / "operator.sock"

    @property
    def store_files(self) -> StoreFiles:
        """Return the files with the stores' addresses."""
        return StoreFiles(self.native_dir / "secrets")

    @property
    def gate_state_dir(self) -> Path:
        """Return the folder of the gatekeeper's journal."""
        return self.native_dir / "gatekeeper"

    def stack(self, pid: int) -> Stack:
        """Return what `stack.json` says of this run."""
        return Stack(
            pid=pid,
            session_dir=str(self.session_dir),
            gate_socket=str(self.gate_socket),
            operator_socket=str(self.operator_socket),
            gatekeeper_url=self.url("gatekeeper"),
            engine_url=self.url("engine"),
            console_url=self.url("console"),
            simvenues_url=self.url("simvenues"),
            postgres_dsn_file=str(self.store_files.owner_dsn),
            redis_url_file=str(self.store_files.redis_url),
            universe=self.universe,
        )


def services(
    layout: Layout,
    options: UpOptions,
    settings: OperatorSettings,
    *,
    inherited: Mapping[str, str],
    client: httpx.AsyncClient,
) -> tuple[Service, ...]:
    """Return every service of the stack, in the order of their start."""
    files, native_dir = layout.store_files, layout.native_dir
    stores = (
        *postgres_services(files, native_dir, layout.ports["postgres"], settings.postgres_dsn),
        *redis_services(files, native_dir, layout.ports["redis"], settings.redis_url),
    )
    env = shared_environment(layout, options, inherited)
    names = tuple(store.name for store in stores)
    return (
        *stores,
        *_jobs_and_venues(layout, env, client, names),
        *_traders(layout, env, client, names),
    )


def shared_environment(
    layout: Layout, options: UpOptions, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return the settings that every project service of the native stack is given."""
    chosen = {} if options.regime is None else {"SIM_REGIME": options.regime}
    if options.duration_s is not None:
        chosen["DURATION"] = str(options.duration_s)
    return {
        "INTERLOCK_COMMIT": checked_out_commit(Path(__file__).parent),
        **inherited,
        **chosen,
        "PYTHONUNBUFFERED": "1",
        "ARBITRAGE_ENV": "paper",
        "STAGE": "paper",
        "VENUES": "simulated",
        "UNIVERSE": layout.universe,
        "SESSION_ID": layout.session_id,
        "RUNS_DIR": str(layout.runs_dir),
        "SIMVENUES_URL": layout.url("simvenues"),
        "GATEKEEPER_URL": layout.url("gatekeeper"),
        "GATE_SOCKET": str(layout.gate_socket),
        **{wish.setting: str(layout.ports[wish.name]) for wish in PORTS},
    }


def _jobs_and_venues(
    layout: Layout, env: Mapping[str, str], client: httpx.AsyncClient, stores: tuple[str, ...]
) -> tuple[Service, ...]:
    files = layout.store_files
    return (
        Service(
            name="simvenues",
            argv=_module("interlock_simvenues"),
            env=env,
            gate=http_ok(client, f"{layout.url('simvenues')}/health"),
        ),
        Service(
            name="migrate",
            argv=_module("interlock_migrate"),
            env={
                **env,
                **files.migrate_environment(),
                "POSTGRES_DSN_FILE": str(files.owner_dsn),
            },
            gate=None,
            after=stores,
        ),
    )


def _traders(
    layout: Layout, env: Mapping[str, str], client: httpx.AsyncClient, stores: tuple[str, ...]
) -> tuple[Service, ...]:
    return (
        Service(
            name="gatekeeper",
            argv=_module("interlock_gatekeeper"),
            env={
                **env,
                "OPERATOR_SOCKET": str(layout.operator_socket),
                "GATE_STATE_DIR": str(layout.gate_state_dir),
                "KILL_FILE": str(layout.gate_state_dir / "KILL"),
                **_stores(layout, "gatekeeper"),
            },
            gate=http_ok(client, f"{layout.url('gatekeeper')}/health/live"),
            # Beside the venues and the migration: it waits for both, and is ready only then.
            after=stores,
            restarts=True,
        ),
        Service(
            name="preflight",
            argv=_module("interlock_preflight"),
            env={**env, **_stores(layout, "preflight")},
            gate=None,
            after=("gatekeeper", "migrate", "simvenues"),
            # The whole table: what failed may stand in its first row.
            tail_lines=40,
        ),
        Service(
            name="engine",
            argv=_module("interlock_engine"),
            env={**env, **_stores(layout, "engine")},
            gate=http_ok(client, f"{layout.url('engine')}/health/live"),
            after=("preflight",),
            stop_grace_s=ENGINE_STOP_S,
            main=True,
            # Killed from outside, it goes on with its session.
            restarts=True,
        ),
    )


def _stores(layout: Layout, role: str) -> dict[str, str]:
    files = layout.store_files
    return {
        "POSTGRES_DSN_FILE": str(files.role_dsn(role)),
        "REDIS_URL_FILE": str(files.redis_url),
    }


def _module(name: str) -> tuple[str, ...]:
    # The interpreter that runs this command, and never a module of the current folder (-P).
    return (sys.executable, "-P", "-m", name)
