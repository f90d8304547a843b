"""The simulator's settings: the only module that knows variable names and default accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from interlock_core.common_settings import LOG_LEVEL
from interlock_core.settings import (
    ConfigError,
    Setting,
    choice,
    decimal,
    http_url,
    integer,
    load,
    number,
    optional_path,
    path,
    text,
)
from interlock_simvenues.binance.auth import Key as BinanceKey
from interlock_simvenues.faults.rule import RuleError
from interlock_simvenues.faults.scenario import Scenario
from interlock_simvenues.faults.scenario import load as load_scenario
from interlock_simvenues.upbit.auth import Key as UpbitKey

SOURCES = ("auto", "mirror", "synthetic", "recording")
# Simulated accounts hold simulated money: their keys are published on purpose.
_UPBIT_KEY = "sim-upbit-access-key"
_UPBIT_SECRET = "sim-upbit-secret-key-0123456789abcdef"  # noqa: S105
_BINANCE_KEY = "sim-binance-api-key"
_BINANCE_SECRET = "sim-binance-api-secret-0123456789abcdef"  # noqa: S105
READ_ONLY = "-ro"

SPEC = (
    Setting("SIM_HOST", text, "127.0.0.1", "address to listen on; 0.0.0.0 inside a container"),
    Setting("SIM_PORT", integer(0, 65_535), "8090", "port of every REST and WebSocket path"),
    Setting(
        "MARKET_SOURCE",
        choice(*SOURCES),
        "auto",
        "where prices come from: mirror (real public feeds), synthetic (seeded model), "
        "recording (files), or auto (mirror where both venues answer, else synthetic)",
    ),
    Setting(
        "SIM_REGIME",
        choice("lively", "calibrated"),
        "lively",
        "synthetic premiums: calibrated to recordings, or lively enough for quick round trips",
    ),
    Setting("SIM_SEED", integer(0, 2**31), "7", "seed of the synthetic market and of faults"),
    Setting(
        "SIM_SCENARIO",
        optional_path,
        "",
        "a TOML file of faults that the simulated venues start with (config/scenarios has some); "
        "empty for none",
    ),
    Setting(
        "SIM_RECORDING_PATH",
        path,
        "recordings",
        "a Parquet or CSV recording, or a folder that holds one (recording only); read only",
    ),
    Setting(
        "SIM_RECORDING_SPEED", number(0.1, 1000.0), "1", "recorded seconds played in one second"
    ),
    Setting(
        "SIM_MIRROR_TIMEOUT_S", number(0.1, 60.0), "5", "how long auto waits for the real venues"
    ),
    Setting(
        "SIM_MIRROR_ASSETS", integer(1, 100), "10", "how many assets the mirror source follows"
    ),
    Setting(
        "SIM_MIRROR_URL",
        lambda raw: http_url(raw) if raw else None,
        "",
        "mirror another simulator at this address instead of the real venues (tests)",
    ),
    Setting("SIM_RATE_LIMITS", choice("on", "off"), "on", "answer 429 beyond the venues' limits"),
    Setting("SIM_UPBIT_ACCESS_KEY", text, _UPBIT_KEY, "access key of the simulated Upbit account"),
    Setting(
        "SIM_UPBIT_SECRET_KEY",
        text,
        _UPBIT_SECRET,
        "its secret; the read-only pair is the same with -ro appended to each",
        secret=True,
    ),
    Setting("SIM_BINANCE_API_KEY", text, _BINANCE_KEY, "API key of the simulated Binance account"),
    Setting(
        "SIM_BINANCE_API_SECRET",
        text,
        _BINANCE_SECRET,
        "its secret; the read-only pair is the same with -ro appended to each",
        secret=True,
    ),
    Setting("SIM_BALANCE_KRW", decimal("0", "1e12"), "100000000", "KRW on Upbit at the start"),
    Setting("SIM_BALANCE_USDT", decimal("0", "1e9"), "100000", "USDT on Binance spot at the start"),
    Setting(
        "SIM_BALANCE_USDT_PERP", decimal("0", "1e9"), "100000", "USDT on Binance USD-M at the start"
    ),
    Setting(
        "SIM_INVENTORY_USD",
        decimal("0", "1e9"),
        "2000",
        "USD worth of every asset held on Upbit and on Binance spot at the start",
    ),
    LOG_LEVEL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The parsed settings."""

    host: str
    port: int
    market_source: str
    regime: str
    seed: int
    scenario: Scenario
    recording_path: Path
    recording_speed: float
    mirror_timeout_s: float
    mirror_assets: int
    mirror_url: str | None
    rate_limits: bool
    upbit_keys: tuple[UpbitKey, ...]
    binance_keys: tuple[BinanceKey, ...]
    krw: Decimal
    usdt: Decimal
    usdt_perp: Decimal
    inventory_usd: Decimal
    log_level: str


def read(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment, or raise ConfigError with every problem."""
    values: dict[str, Any] = load(SPEC, environ)
    upbit = (values["sim_upbit_access_key"], values["sim_upbit_secret_key"])
    binance = (values["sim_binance_api_key"], values["sim_binance_api_secret"])
    if values["market_source"] == "recording" and not values["sim_recording_path"].exists():
        missing = f"SIM_RECORDING_PATH: {values['sim_recording_path']} does not exist"
        raise ConfigError([missing])
    return Settings(
        host=values["sim_host"],
        port=values["sim_port"],
        market_source=values["market_source"],
        regime=values["sim_regime"],
        seed=values["sim_seed"],
        scenario=_scenario(values["sim_scenario"]),
        recording_path=values["sim_recording_path"],
        recording_speed=values["sim_recording_speed"],
        mirror_timeout_s=values["sim_mirror_timeout_s"],
        mirror_assets=values["sim_mirror_assets"],
        mirror_url=values["sim_mirror_url"],
        rate_limits=values["sim_rate_limits"] == "on",
        upbit_keys=(
            UpbitKey(upbit[0], upbit[1], may_trade=True),
            UpbitKey(upbit[0] + READ_ONLY, upbit[1] + READ_ONLY, may_trade=False),
        ),
        binance_keys=(
            BinanceKey(binance[0], binance[1], may_trade=True),
            BinanceKey(binance[0] + READ_ONLY, binance[1] + READ_ONLY, may_trade=False),
        ),
        krw=values["sim_balance_krw"],
        usdt=values["sim_balance_usdt"],
        usdt_perp=values["sim_balance_usdt_perp"],
        inventory_usd=values["sim_inventory_usd"],
        log_level=values["log_level"],
    )


def _scenario(file: Path | None) -> Scenario:
    if file is None:
        return Scenario()
    try:
        return load_scenario(file)
    except RuleError as error:
        raise ConfigError([f"SIM_SCENARIO: {problem}" for problem in error.problems]) from error
