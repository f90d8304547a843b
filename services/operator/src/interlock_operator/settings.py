"""The command line's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock_core.common_settings import POSTGRES_DSN, REDIS_URL, SHARED
from interlock_core.settings import Setting, environment, integer, load, optional_text, path, text

DAY_S = 86_400
UNIVERSE = next(setting for setting in SHARED if setting.name == "UNIVERSE")
STAGE = next(setting for setting in SHARED if setting.name == "STAGE")

SPEC = (
    UNIVERSE,
    STAGE,
    POSTGRES_DSN,
    REDIS_URL,
    Setting("DURATION", integer(0, 7 * DAY_S), "0", "seconds until an orderly end; 0: until told"),
    Setting(
        "POSTGRES_PORT", optional_text, "", "port of the embedded PostgreSQL; empty: a free one"
    ),
    Setting("REDIS_PORT", optional_text, "", "port of the embedded Valkey; empty: a free one"),
    Setting("RUNS_DIR", path, "runs", "folder of the sessions' logs and reports"),
    Setting("NATIVE_DIR", path, "var/native", "folder of the native stack's data"),
    Setting("LIVE_ARM_ACK", text, "", "for `interlock arm`: I_UNDERSTAND_LIVE_RISK"),
    Setting(
        "LIVE_ARM_AT", text, "", "for `interlock arm`: the time of arming, at most 10 minutes ago"
    ),
    Setting("LIVE_MAX_NOTIONAL_USD", text, "", "for `interlock arm`: 10..1000"),
)

# The native stack never holds them, and the gatekeeper refuses to start where it sees a key.
_NEVER_INHERITED = (
    "LIVE_",
    "UPBIT_",
    "BINANCE_API_",
    "TELEGRAM_",
    "POSTGRES_DSN",
    "REDIS_URL",
)


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Validated settings; folders are absolute."""

    universe: str
    stage: str
    postgres_dsn: str | None
    redis_url: str | None
    duration: int
    postgres_port: str | None
    redis_port: str | None
    runs_dir: Path
    native_dir: Path
    live_arm_ack: str
    live_arm_at: str
    live_max_notional_usd: str


def read_settings(environ: Mapping[str, str] | None = None) -> OperatorSettings:
    """Return the settings in environ (the process environment), or raise ConfigError."""
    values = load(SPEC, environment() if environ is None else environ)
    values["runs_dir"] = values["runs_dir"].absolute()
    values["native_dir"] = values["native_dir"].absolute()
    return OperatorSettings(**values)


def inherited_environment() -> dict[str, str]:
    """Return what a service of the native stack inherits: everything but secrets and stores."""
    return {
        name: value
        for name, value in environment().items()
        if not name.startswith(_NEVER_INHERITED)
    }


def secrets_environment() -> dict[str, str]:
    """Return what `inherited_environment` leaves out, for a check of this shell's settings."""
    return {
        name: value for name, value in environment().items() if name.startswith(_NEVER_INHERITED)
    }
