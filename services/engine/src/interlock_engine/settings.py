"""The engine's settings, read once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from interlock_core.common_settings import (
    LOG_LEVEL,
    POSTGRES_DSN,
    REDIS_URL,
    SHARED,
    check_shared,
)
from interlock_core.digest import config_sha256
from interlock_core.endpoints import Endpoints, endpoints
from interlock_core.ids import is_id
from interlock_core.settings import (
    ConfigError,
    Setting,
    choice,
    decimal,
    http_url,
    integer,
    load,
    number,
    optional_text,
    path,
    text,
)
from interlock_core.universe import UNIVERSE_SIZES
from interlock_engine.decide.exits import ExitSettings
from interlock_engine.decide.guards import GuardSettings
from interlock_engine.decide.signal import SignalSettings
from interlock_engine.execute.legs import LegSettings
from interlock_engine.loop import Strategy

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
DAY_S = 86_400

# Just below the gatekeeper's caps of each stage, with room for its worst-case valuation.
NOTIONAL_BY_STAGE = {
    "smoke": Decimal(19),
    "pilot": Decimal(38),
    "hour": Decimal(95),
    "continuous": Decimal(190),
}
NOTIONAL_USD = Decimal(250)

SPEC = (
    *SHARED,
    LOG_LEVEL,
    POSTGRES_DSN,
    REDIS_URL,
    Setting(
        "GATE_SOCKET",
        path,
        "/run/interlock/engine/engine.sock",
        "the gatekeeper's Unix socket for orders",
    ),
    Setting("GATEKEEPER_URL", http_url, "http://127.0.0.1:8081", "the gatekeeper's health port"),
    Setting("ENGINE_HOST", text, "127.0.0.1", "address of health, metrics and state"),
    Setting("ENGINE_PORT", integer(1, 65535), "8083", "port of health, metrics and state"),
    Setting("RUNS_DIR", path, "runs", "folder of the KPI JSON, one folder a session"),
    Setting("DURATION", integer(0, 7 * DAY_S), "0", "seconds until an orderly end; 0: until told"),
    Setting(
        "SESSION_ID",
        optional_text,
        "",
        "name of this run: a new one, or one that did not end, to go on with; empty: the newest "
        "that did not end under these settings, else made up",
    ),
    Setting(
        "ORDER_NOTIONAL_USD",
        lambda raw: decimal("5", "1000")(raw) if raw else None,
        "",
        "notional of one leg, lowered where the session's order cap is smaller; empty: "
        + ", ".join(f"{stage} {usd}" for stage, usd in NOTIONAL_BY_STAGE.items())
        + f", else {NOTIONAL_USD}",
    ),
    Setting("MAX_POSITIONS", integer(1, 50), "5", "positions open at once"),
    Setting(
        "LEG_POLICY",
        choice("sequential", "simultaneous"),
        "sequential",
        "sequential: Upbit first, then hedge what filled; simultaneous: faster, more repair",
    ),
    Setting(
        "LEGGING_S",
        number(0.0, 5.0),
        "3",
        "longest wait of a leg for the other one; later it is undone, not extended",
    ),
    Setting("COLLAR_BPS", decimal("1", "45"), "15", "an entry's limit beyond the touch"),
    Setting("EXIT_COLLAR_BPS", decimal("1", "280"), "40", "an exit's limit beyond the touch"),
    Setting(
        "ENTRY_THRESHOLD_BPS",
        number(0.0, 300.0),
        "12",
        "expected net gain, after four fees and both spreads, that an entry needs",
    ),
    Setting("TAKE_PROFIT_BPS", number(0.1, 300.0), "12", "net gain at which a position is closed"),
    Setting(
        "STOP_LOSS_BPS",
        number(1.0, 1000.0),
        "200",
        "loss beyond the cost of entering and leaving at which a position is closed",
    ),
    Setting("TIME_LIMIT_S", number(1.0, 86400.0), "180", "longest life of a position"),
    Setting(
        "REVERSAL_BPS",
        number(0.0, 300.0),
        "5",
        "how far past its baseline the premium must be to close without the profit target",
    ),
    Setting(
        "BASELINE_HALF_LIFE_S", number(1.0, 86400.0), "300", "half-life of the premium's baseline"
    ),
    Setting(
        "BASELINE_POOL_S",
        number(0.0, 86400.0),
        "60",
        "history after which a route's own baseline outweighs the one common to all routes",
    ),
    Setting("WARM_UP_S", number(0.0, 86400.0), "10", "seconds of data before the first entry"),
    Setting("COOLDOWN_S", number(0.0, 3600.0), "10", "pause of an asset after a failed entry"),
    Setting("VENUE_STALE_MS", integer(100, 600_000), "3000", "venue silence that stops entries"),
    Setting("BOOK_STALE_MS", integer(100, 600_000), "8000", "age of a book that stops entries"),
    Setting(
        "FX_STALE_MS", integer(100, 600_000), "30000", "age of KRW per USDT that stops entries"
    ),
    Setting("CHECKPOINT_S", number(0.5, 3600.0), "60", "seconds between KPI checkpoints"),
)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Validated settings."""

    environment: str
    stage: str
    universe: str
    universe_size: int
    perp: bool
    simulated: bool
    simvenues_url: str
    endpoints: Endpoints
    config_sha256: str
    gate_socket: Path
    gatekeeper_url: str
    host: str
    port: int
    runs_dir: Path
    duration_s: int
    session_id: str | None
    order_notional_usd: Decimal
    strategy: Strategy
    guards: GuardSettings
    legs: LegSettings
    cooldown_s: float
    checkpoint_s: float
    postgres_dsn: str | None
    redis_url: str | None
    log_level: str

    def secrets(self) -> tuple[str, ...]:
        """Return every text that must never appear in a log."""
        return tuple(text for text in (self.postgres_dsn, self.redis_url) if text)


def read_settings(environ: Mapping[str, str]) -> EngineSettings:
    """Return the settings in environ, or raise ConfigError naming every problem."""
    values = load(SPEC, environ)
    check_shared(values)
    _check_session_id(values)
    return EngineSettings(
        environment=values["arbitrage_env"],
        stage=values["stage"],
        universe=values["universe"],
        universe_size=UNIVERSE_SIZES[values["universe"]],
        perp=values["binance_market"] == "perp",
        simulated=values["venues"] == "simulated",
        simvenues_url=values["simvenues_url"],
        endpoints=endpoints(values["venues"], values["simvenues_url"]),
        config_sha256=config_sha256(values),
        gate_socket=values["gate_socket"],
        gatekeeper_url=values["gatekeeper_url"],
        host=values["engine_host"],
        port=values["engine_port"],
        runs_dir=values["runs_dir"],
        duration_s=values["duration"],
        session_id=values["session_id"],
        order_notional_usd=values["order_notional_usd"]
        or NOTIONAL_BY_STAGE.get(values["stage"], NOTIONAL_USD),
        strategy=_strategy(values),
        guards=GuardSettings(
            venue_stale_ns=values["venue_stale_ms"] * NS_PER_MS,
            book_stale_ns=values["book_stale_ms"] * NS_PER_MS,
            fx_stale_ns=values["fx_stale_ms"] * NS_PER_MS,
            max_positions=values["max_positions"],
        ),
        legs=LegSettings(
            sequential=values["leg_policy"] == "sequential",
            entry_collar_bps=values["collar_bps"],
            exit_collar_bps=values["exit_collar_bps"],
            legging_ns=round(values["legging_s"] * NS_PER_S),
        ),
        cooldown_s=values["cooldown_s"],
        checkpoint_s=values["checkpoint_s"],
        postgres_dsn=values["postgres_dsn"],
        redis_url=values["redis_url"],
        log_level=values["log_level"],
    )


def _strategy(values: Mapping[str, Any]) -> Strategy:
    return Strategy(
        SignalSettings(
            half_life_s=values["baseline_half_life_s"],
            warm_up_s=values["warm_up_s"],
            pool_s=values["baseline_pool_s"],
            threshold_bps=values["entry_threshold_bps"],
        ),
        ExitSettings(
            take_profit_bps=values["take_profit_bps"],
            stop_loss_bps=values["stop_loss_bps"],
            time_limit_s=values["time_limit_s"],
            reversal_bps=values["reversal_bps"],
        ),
    )


def _check_session_id(values: Mapping[str, Any]) -> None:
    name: str | None = values["session_id"]
    if name is None:
        return
    if not is_id(name):
        raise ConfigError(["SESSION_ID: expected 8 to 40 of [A-Za-z0-9_-]"])
