"""Settings that more than one service reads, declared once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from interlock_core.settings import (
    ConfigError,
    Setting,
    choice,
    http_url,
    optional_path,
    optional_text,
)
from interlock_core.universe import UNIVERSE_SIZES

STAGES = ("paper", "smoke", "pilot", "hour", "continuous")
UNKNOWN_COMMIT = "unknown"


def commit_id(raw: str) -> str:
    """Accept a commit's hex id, abbreviated or whole, or `unknown`."""
    if raw != UNKNOWN_COMMIT and not re.fullmatch(r"[0-9a-f]{7,40}", raw):
        raise ValueError(f"expected 7 to 40 of [0-9a-f], or {UNKNOWN_COMMIT}, was {raw!r}")
    return raw


SHARED = (
    Setting(
        "ARBITRAGE_ENV", choice("paper", "live"), "paper", "paper: simulated money; live: real"
    ),
    Setting("STAGE", choice(*STAGES), "paper", "step of the ramp-up; paper outside live"),
    Setting(
        "VENUES",
        choice("simulated", "real"),
        "simulated",
        "which venues orders and market data go to; paper is always simulated",
    ),
    Setting(
        "BINANCE_MARKET",
        choice("perp", "spot"),
        "perp",
        "the Binance side of every route: USDT-margined perpetual or spot",
    ),
    Setting("UNIVERSE", choice(*UNIVERSE_SIZES), "top10", "how many assets are traded"),
    Setting("SIMVENUES_URL", http_url, "http://127.0.0.1:8090", "address of the simulated venues"),
    Setting(
        "INTERLOCK_COMMIT",
        commit_id,
        UNKNOWN_COMMIT,
        "commit that the running code was built from; images and the native stack set it",
    ),
)

ATTESTATION = (
    Setting(
        "ATTESTATION_FILE",
        optional_path,
        "",
        "file in which the preflight attests that all seven checks passed; empty: none",
    ),
    Setting(
        "ATTESTATION_KEY_FILE",
        optional_path,
        "",
        "file with the key of ATTESTATION_FILE, at least 32 bytes, mode 0400 or 0440; "
        "preflight and gatekeeper alone have it",
    ),
)

LOG_LEVEL = Setting(
    "LOG_LEVEL", choice("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "least severe line logged"
)

POSTGRES_DSN = Setting(
    "POSTGRES_DSN", optional_text, "", "PostgreSQL connection string; empty: not used", secret=True
)
REDIS_URL = Setting(
    "REDIS_URL", optional_text, "", "Redis or Valkey URL; empty: not used", secret=True
)


def check_shared(values: Mapping[str, Any]) -> None:
    """Raise ConfigError where shared settings contradict each other."""
    problems = []
    environment, stage = values["arbitrage_env"], values["stage"]
    if environment == "paper" and values["venues"] != "simulated":
        problems.append("VENUES: paper trades on simulated venues only, was 'real'")
    if environment == "paper" and stage != "paper":
        problems.append(f"STAGE: expected paper with ARBITRAGE_ENV=paper, was {stage!r}")
    if environment == "live" and stage == "paper":
        problems.append("STAGE: expected smoke, pilot, hour or continuous with ARBITRAGE_ENV=live")
    if problems:
        raise ConfigError(problems)
