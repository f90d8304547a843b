"""The gatekeeper's settings, read once at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock_core.common_settings import LOG_LEVEL, POSTGRES_DSN, SHARED, check_shared
from interlock_core.digest import config_sha256
from interlock_core.settings import (
    ConfigError,
    Setting,
    integer,
    load,
    optional_text,
    path,
    text,
)

_MAX_ID = 2**31 - 1
LIVE_SECRETS = ("UPBIT_ACCESS_KEY", "UPBIT_SECRET_KEY", "BINANCE_API_KEY", "BINANCE_API_SECRET")

SPEC = (
    *SHARED,
    LOG_LEVEL,
    POSTGRES_DSN,
    Setting(
        "GATE_SOCKET", path, "/run/interlock/engine/engine.sock", "Unix socket the engine opens"
    ),
    Setting("GATE_SOCKET_GID", optional_text, "", "group that may open GATE_SOCKET; empty: own"),
    Setting("ENGINE_UID", optional_text, "", "user id the engine must have; empty: own"),
    Setting(
        "OPERATOR_SOCKET",
        path,
        "/run/interlock/operator/operator.sock",
        "Unix socket of the operator's commands, never visible to the engine",
    ),
    Setting("GATE_HOST", text, "127.0.0.1", "address of the health port"),
    Setting("GATE_HEALTH_PORT", integer(1, 65535), "8081", "read-only health and metrics port"),
    Setting("GATE_CONSOLE_HOST", text, "127.0.0.1", "address of the console"),
    Setting("GATE_CONSOLE_PORT", integer(1, 65535), "8082", "console port: see all, KILL only"),
    Setting("GATE_STATE_DIR", path, "/var/lib/interlock", "folder of the journal"),
    *(
        Setting(f"{name}_FILE", optional_text, "", "file with the live trading key, mode 0400")
        for name in LIVE_SECRETS
    ),
)


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Validated settings. `values` holds the shared ones by lower-case name."""

    environment: str
    stage: str
    binance_market: str
    simvenues_url: str
    config_sha256: str
    gate_socket: Path
    gate_socket_gid: int | None
    engine_uid: int
    operator_socket: Path
    host: str
    health_port: int
    console_host: str
    console_port: int
    state_dir: Path
    secret_files: Mapping[str, Path]
    postgres_dsn: str | None
    log_level: str


def read_settings(environ: Mapping[str, str]) -> GateSettings:
    """Return the settings in environ, or raise ConfigError naming every problem."""
    in_the_open = [name for name in LIVE_SECRETS if environ.get(name)]
    if in_the_open:
        problems = [f"{name}: keys come from a file only, set {name}_FILE" for name in in_the_open]
        raise ConfigError(problems)
    values = load(SPEC, environ)
    check_shared(values)
    if values["venues"] == "real":
        raise ConfigError(["VENUES: this release trades on simulated venues only, was 'real'"])
    return GateSettings(
        environment=values["arbitrage_env"],
        stage=values["stage"],
        binance_market=values["binance_market"],
        simvenues_url=values["simvenues_url"],
        config_sha256=config_sha256(values),
        gate_socket=values["gate_socket"],
        gate_socket_gid=_numeric_id(values, "gate_socket_gid"),
        engine_uid=_engine_uid(values),
        operator_socket=values["operator_socket"],
        host=values["gate_host"],
        health_port=values["gate_health_port"],
        console_host=values["gate_console_host"],
        console_port=values["gate_console_port"],
        state_dir=values["gate_state_dir"],
        secret_files={
            name: Path(values[f"{name.lower()}_file"])
            for name in LIVE_SECRETS
            if values[f"{name.lower()}_file"]
        },
        postgres_dsn=values["postgres_dsn"],
        log_level=values["log_level"],
    )


def _numeric_id(values: Mapping[str, Any], name: str) -> int | None:
    raw = values[name]
    if raw is None:
        return None
    try:
        return integer(0, _MAX_ID)(raw)
    except ValueError as error:
        raise ConfigError([f"{name.upper()}: {error}"]) from error


def _engine_uid(values: Mapping[str, Any]) -> int:
    uid = _numeric_id(values, "engine_uid")
    return os.getuid() if uid is None else uid
