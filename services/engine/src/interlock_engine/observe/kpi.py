"""The one snapshot of a session from which the KPI JSON, the metrics and the terminal view come."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from interlock_core.clock import Clock, rfc3339
from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_core.reasons import ExitReason
from interlock_core.wire import kpi
from interlock_engine.account.pnl import Fx
from interlock_engine.account.round_trip import signed_text
from interlock_engine.book.market import Market
from interlock_engine.execute.residual import Residual
from interlock_engine.observe.process import ProcessMeter
from interlock_engine.observe.scoreboard import Scoreboard

ALWAYS_SHOWN = (
    ExitReason.TAKE_PROFIT,
    ExitReason.STOP_LOSS,
    ExitReason.TIME_LIMIT,
    ExitReason.SPREAD_REVERSAL,
)


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What names a session and never changes."""

    session_id: str
    environment: str
    stage: str
    universe: str
    config_sha256: str
    started_wall_ns: int
    started_boot_ns: int


@dataclass(slots=True)
class MarketSource:
    """Where the market data comes from; `real` unless the simulator says otherwise."""

    source: str
    regime: str | None = None
    fallback_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The session at one instant; USD, percent, ms."""

    facts: SessionFacts
    at_wall_ns: int
    duration_s: float
    realised_usd: Decimal
    unrealised_usd: Decimal
    equity_usd: Decimal
    krw_per_usd: float
    open_positions: int
    loop_mean_ms: float
    cpu_percent: float
    recent_cpu_percent: float
    memory_mean_mb: float
    memory_mb: float
    score: Scoreboard
    residuals: tuple[Residual, ...]
    source: MarketSource

    @property
    def total_usd(self) -> Decimal:
        """Return the session's result: realised and unrealised."""
        return self.realised_usd + self.unrealised_usd

    @property
    def loop_p99_ms(self) -> float:
        """Return the loop latency's p99; sorted when asked, so that a heartbeat need not."""
        return self.score.loop_latency.p99_ms()

    @property
    def win_rate(self) -> float:
        """Return the share of round trips that won; 0 before the first."""
        trips = self.score.round_trips
        return self.score.wins / trips if trips else 0.0

    def per_hour(self, count: int) -> float:
        """Return a count as a rate by the hour."""
        return count * 3600.0 / self.duration_s if self.duration_s > 0 else 0.0


class Snapshots:
    """Takes snapshots."""

    def __init__(
        self,
        facts: SessionFacts,
        *,
        score: Scoreboard,
        market: Market,
        meter: ProcessMeter,
        source: MarketSource,
        residuals: list[Residual],
        clock: Clock,
    ) -> None:
        self.facts = facts
        self.score = score
        self.market = market
        self._meter = meter
        self.source = source
        self._residuals = residuals
        self._clock = clock
        self.equity_usd = ZERO

    def take(self) -> Snapshot:
        """Return the session as it is now."""
        now_boot, score, fx = self._clock.boot_ns(), self.score, self.market.fx()
        return Snapshot(
            facts=self.facts,
            at_wall_ns=self._clock.wall_ns(),
            duration_s=(now_boot - self.facts.started_boot_ns) / 1e9,
            realised_usd=score.realised_usd,
            unrealised_usd=_unrealised(self.market, fx),
            equity_usd=self.equity_usd,
            krw_per_usd=float((fx.bid + fx.ask) / 2) if fx else 0.0,
            open_positions=len(self.market.open_positions()),
            loop_mean_ms=score.loop_latency.mean_ms,
            cpu_percent=self._meter.mean_cpu_percent,
            recent_cpu_percent=self._meter.recent_cpu_percent,
            memory_mean_mb=self._meter.mean_memory_mb,
            memory_mb=self._meter.memory_mb,
            score=score,
            residuals=tuple(self._residuals),
            source=self.source,
        )


def _unrealised(market: Market, fx: Fx | None) -> Decimal:
    total = ZERO
    for state in market.open_positions():
        position = state.position
        marks = market.marks(state)
        if position is not None and marks is not None and fx is not None:
            total += position.value_usd(marks, fx, with_fee=True)
    return total


def document(snapshot: Snapshot, *, final: bool, exit_code: int) -> dict[str, Any]:
    """Return the KPI JSON: 32 fields that keep their names, and what follows them."""
    result = _session(snapshot, exit_code) | _results(snapshot) | _quality(snapshot)
    result |= _more(snapshot, final=final)
    return {name: result[name] for name in (*kpi.FIELDS, *kpi.MORE_FIELDS)}


def _session(snapshot: Snapshot, exit_code: int) -> dict[str, Any]:
    facts = snapshot.facts
    return {
        "session_id": facts.session_id,
        "start_time": rfc3339(facts.started_wall_ns),
        "end_time": rfc3339(snapshot.at_wall_ns),
        "start_timestamp": round(facts.started_wall_ns / 1e9, 3),
        "end_timestamp": round(snapshot.at_wall_ns / 1e9, 3),
        "duration_seconds": round(snapshot.duration_s, 3),
        "exit_code": exit_code,
        "universe_mode": facts.universe,
        "environment": facts.environment,
        "config_digest": facts.config_sha256,
    }


def _results(snapshot: Snapshot) -> dict[str, Any]:
    score, total, equity = snapshot.score, snapshot.total_usd, snapshot.equity_usd
    shown = {reason.value for reason in ALWAYS_SHOWN}
    return {
        "round_trips_completed": score.round_trips,
        "entry_trades": score.trades["entry"],
        "exit_trades": score.trades["exit"],
        "wins": score.wins,
        "losses": score.losses,
        "win_rate": round(snapshot.win_rate, 6),
        "win_rate_pct": round(snapshot.win_rate * 100, 4),
        "total_pnl_usd": round(float(total), 6),
        "total_pnl_krw": round(float(total) * snapshot.krw_per_usd, 2),
        "initial_equity_usd": float(equity),
        "final_equity_usd": round(float(equity + total), 6),
        "roi_pct": round(float(total / equity * 100), 6) if equity else 0.0,
        "exit_reasons": {k: v for k, v in score.exit_reasons.items() if v or k in shown},
    }


def _quality(snapshot: Snapshot) -> dict[str, Any]:
    score = snapshot.score
    return {
        "avg_loop_latency_ms": round(snapshot.loop_mean_ms, 4),
        "loop_latency_p99_ms": round(snapshot.loop_p99_ms, 4),
        "avg_cpu_percent": round(snapshot.cpu_percent, 2),
        "avg_memory_mb": round(snapshot.memory_mean_mb, 2),
        "avg_buy_slippage_bps": round(score.slippage[Side.BUY].value, 4),
        "avg_sell_slippage_bps": round(score.slippage[Side.SELL].value, 4),
        "avg_buy_fill_ratio": round(score.fill_ratio[Side.BUY].value, 6),
        "avg_sell_fill_ratio": round(score.fill_ratio[Side.SELL].value, 6),
        "guard_triggers": sum(score.guards.values()),
    }


def _more(snapshot: Snapshot, *, final: bool) -> dict[str, Any]:
    score, source = snapshot.score, snapshot.source
    doubts = [
        {"intent_id": name, "instrument": order.instrument.key, "why": "outcome not proven"}
        for name, order in score.in_doubt.items()
    ]
    return {
        "schema_version": kpi.SCHEMA_VERSION,
        "final": final,
        "stage": snapshot.facts.stage,
        "market_source": source.source,
        "market_regime": source.regime,
        "market_fallback_reason": source.fallback_reason,
        "alerts": dict(score.alerts),
        "vetoes": dict(score.vetoes),
        "per_asset": {
            asset: {"round_trips": count, "pnl_usd": round(float(pnl), 6)}
            for asset, (count, pnl) in sorted(score.per_asset.items())
        },
        "residuals": [item.plain() for item in snapshot.residuals] + doubts,
        "dust": {key: signed_text(quantity) for key, quantity in sorted(score.dust.items())},
        "resumed": score.resumed,
    }


def ten_kpis(snapshot: Snapshot) -> dict[str, Any]:
    """Return the ten KPIs by name, as the terminal view shows them."""
    score = snapshot.score
    return {
        "total_pnl_usd": round(float(snapshot.total_usd), 4),
        "win_rate_pct": round(snapshot.win_rate * 100, 2),
        "round_trips": score.round_trips,
        "trades_per_hour": round(snapshot.per_hour(sum(score.trades.values())), 1),
        "loop_latency_mean_ms": round(snapshot.loop_mean_ms, 4),
        "loop_latency_p99_ms": round(snapshot.loop_p99_ms, 4),
        "memory_mb": round(snapshot.memory_mb, 1),
        "cpu_percent": round(snapshot.recent_cpu_percent, 1),
        "guard_triggers_per_hour": round(snapshot.per_hour(sum(score.guards.values())), 1),
        "alerts": dict(score.alerts),
    }
