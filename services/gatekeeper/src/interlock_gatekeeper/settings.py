"""The gatekeeper's settings, read once at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from interlock_core.common_settings import (
    ATTESTATION,
    LOG_LEVEL,
    POSTGRES_DSN,
    SHARED,
    check_shared,
)
from interlock_core.digest import config_sha256
from interlock_core.instrument import parse_key
from interlock_core.money import ZERO, from_wire
from interlock_core.settings import (
    ConfigError,
    Setting,
    integer,
    load,
    optional_text,
    path,
    text,
)
from interlock_gatekeeper.limits import STAGE_CAPS, Lowered

_MAX_ID = 2**31 - 1
LIVE_SECRETS = ("UPBIT_ACCESS_KEY", "UPBIT_SECRET_KEY", "BINANCE_API_KEY", "BINANCE_API_SECRET")

LOWERING = {
    "LIMIT_ORDER_USD": "cap of one order",
    "LIMIT_UNHEDGED_USD": "cap of unhedged legs",
    "LIMIT_TURNOVER_USD": "turnover cap",
    "LIMIT_LOSS_USD": "loss limit",
}

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
    Setting(
        "KILL_FILE", optional_text, "", "a file here kills, also at start; empty: not looked at"
    ),
    Setting(
        "LIVE_ALLOCATION",
        optional_text,
        "",
        "assets that lie on the accounts for live sessions, e.g. UPBIT:KRW-BTC=0.01; "
        "anything else there refuses to arm",
    ),
    *(
        Setting(name, optional_text, "", f"lowers a session's {what}; empty: the stage's own")
        for name, what in LOWERING.items()
    ),
    *(
        Setting(f"{name}_FILE", optional_text, "", "file with the live trading key, mode 0400")
        for name in LIVE_SECRETS
    ),
    Setting("KEY_FILES_UID", optional_text, "", "user id that owns the key files; empty: own"),
    *ATTESTATION,
)


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Validated settings. `values` holds the shared ones by lower-case name."""

    environment: str
    stage: str
    venues: str
    binance_market: str
    simvenues_url: str
    config_sha256: str
    commit: str
    attestation_file: Path | None
    attestation_key_file: Path | None
    gate_socket: Path
    gate_socket_gid: int | None
    engine_uid: int
    operator_socket: Path
    host: str
    health_port: int
    console_host: str
    console_port: int
    state_dir: Path
    kill_file: Path | None
    allocation: Mapping[str, Decimal] | None
    lowered: Lowered
    secret_files: Mapping[str, Path]
    key_files_uid: int
    postgres_dsn: str | None = field(repr=False)
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
        venues=values["venues"],
        binance_market=values["binance_market"],
        simvenues_url=values["simvenues_url"],
        config_sha256=config_sha256(values),
        commit=values["interlock_commit"],
        attestation_file=values["attestation_file"],
        attestation_key_file=values["attestation_key_file"],
        gate_socket=values["gate_socket"],
        gate_socket_gid=_numeric_id(values, "gate_socket_gid"),
        engine_uid=_uid(values, "engine_uid"),
        operator_socket=values["operator_socket"],
        host=values["gate_host"],
        health_port=values["gate_health_port"],
        console_host=values["gate_console_host"],
        console_port=values["gate_console_port"],
        state_dir=values["gate_state_dir"],
        kill_file=Path(values["kill_file"]) if values["kill_file"] else None,
        allocation=_allocation(values["live_allocation"]),
        lowered=_lowered(values),
        secret_files={
            name: Path(values[f"{name.lower()}_file"])
            for name in LIVE_SECRETS
            if values[f"{name.lower()}_file"]
        },
        key_files_uid=_uid(values, "key_files_uid"),
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


def _uid(values: Mapping[str, Any], name: str) -> int:
    uid = _numeric_id(values, name)
    return os.getuid() if uid is None else uid


def _lowered(values: Mapping[str, Any]) -> Lowered:
    """Return the lowered caps; raise ConfigError where one would be raised instead."""
    caps, wishes, problems = STAGE_CAPS[values["stage"]], {}, []
    for name in LOWERING:
        limit, raw = name.removeprefix("LIMIT_").lower(), values[name.lower()]
        if raw is None:
            continue
        try:
            wish, cap = from_wire(raw), getattr(caps, limit)
        except ValueError as error:
            problems.append(f"{name}: {error}")
            continue
        if wish <= ZERO or (cap is not None and wish > cap):
            problems.append(f"{name}: expected above 0 and at most {cap}, was {raw}")
        wishes[limit] = wish
    if problems:
        raise ConfigError(problems)
    return Lowered(**wishes)


def _allocation(raw: str | None) -> dict[str, Decimal] | None:
    """Return the declared assets; None where nothing is declared: then what is there counts."""
    if raw is None:
        return None
    found: dict[str, Decimal] = {}
    for part in raw.replace(" ", "").split(","):
        key, _, quantity = part.partition("=")
        try:
            if part:
                parse_key(key)
                found[key] = from_wire(quantity)
        except ValueError as error:
            raise ConfigError([f"LIVE_ALLOCATION: {error}"]) from error
    return found
