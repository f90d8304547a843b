"""The preflight's settings, read once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock_core.common_settings import (
    ATTESTATION,
    LOG_LEVEL,
    POSTGRES_DSN,
    REDIS_URL,
    SHARED,
    check_shared,
)
from interlock_core.digest import config_sha256
from interlock_core.settings import ConfigError, Setting, http_url, load, optional_text, path

TRADING_KEYS = ("UPBIT_ACCESS_KEY", "UPBIT_SECRET_KEY", "BINANCE_API_KEY", "BINANCE_API_SECRET")
ARM_FACTS = ("LIVE_ARM_ACK", "LIVE_ARM_AT", "LIVE_MAX_NOTIONAL_USD")

SPEC = (
    *SHARED,
    LOG_LEVEL,
    POSTGRES_DSN,
    REDIS_URL,
    *ATTESTATION,
    Setting(
        "GATEKEEPER_URL", http_url, "http://127.0.0.1:8081", "address of the gatekeeper's health"
    ),
    Setting("RUNS_DIR", path, "runs", "folder of the sessions' logs and reports"),
    *(
        Setting(f"{name}_FILE", optional_text, "", "file with the live trading key, mode 0400")
        for name in TRADING_KEYS
    ),
)


@dataclass(frozen=True, slots=True)
class PreflightSettings:
    """Validated settings. `exposed` names secrets and arm facts that stand in the environment."""

    environment: str
    stage: str
    venues: str
    binance_market: str
    universe: str
    simvenues_url: str
    gatekeeper_url: str
    runs_dir: Path
    commit: str
    attestation_file: Path | None
    attestation_key_file: Path | None
    config_sha256: str
    postgres_dsn: str | None = field(repr=False)
    redis_url: str | None = field(repr=False)
    key_files: Mapping[str, Path]
    exposed: tuple[str, ...]
    contradictions: tuple[str, ...]
    log_level: str


def read_settings(environ: Mapping[str, str]) -> PreflightSettings:
    """Return the settings in environ, or raise ConfigError naming every one that is unreadable.

    Settings that contradict each other do not raise: the environment check reports them.
    """
    values = load(SPEC, environ)
    try:
        check_shared(values)
        contradictions: tuple[str, ...] = ()
    except ConfigError as error:
        contradictions = error.problems
    return PreflightSettings(
        environment=values["arbitrage_env"],
        stage=values["stage"],
        venues=values["venues"],
        binance_market=values["binance_market"],
        universe=values["universe"],
        simvenues_url=values["simvenues_url"],
        gatekeeper_url=values["gatekeeper_url"],
        runs_dir=values["runs_dir"],
        commit=values["interlock_commit"],
        attestation_file=values["attestation_file"],
        attestation_key_file=values["attestation_key_file"],
        config_sha256=config_sha256(values),
        postgres_dsn=values["postgres_dsn"],
        redis_url=values["redis_url"],
        key_files={
            name: Path(values[f"{name.lower()}_file"])
            for name in TRADING_KEYS
            if values[f"{name.lower()}_file"]
        },
        exposed=tuple(name for name in (*TRADING_KEYS, *ARM_FACTS) if environ.get(name)),
        contradictions=contradictions,
        log_level=values["log_level"],
    )
