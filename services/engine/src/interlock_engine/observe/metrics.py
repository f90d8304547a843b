"""Metrics made from one snapshot at each scrape: nothing is counted twice, nothing per message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from interlock_core.reasons import DenyReason
from interlock_engine.execute.order import GATE_LOST
from interlock_engine.observe.histogram import Histogram
from interlock_engine.observe.kpi import Snapshot

SESSION_LABELS = ("env", "stage", "universe")
STATES = ("starting", "standing_by", "trading", "stopping")
# Every code a veto may carry has a series from the start, so that a rate of it is never "no data".
VETO_CODES = (*(code.value for code in DenyReason), GATE_LOST, "NOT_FOUND")


@dataclass(frozen=True, slots=True)
class Live:
    """What metrics show beyond the KPIs; ages in seconds, -1 before the first message."""

    state: str
    frames: Mapping[str, int]
    ages_s: Mapping[str, float]
    premiums_bps: Mapping[str, float]
    store_dropped: Mapping[str, int]


class EngineCollector(Collector):
    """Answers a scrape."""

    def __init__(self, snapshot: Callable[[], Snapshot], live: Callable[[], Live]) -> None:
        self._snapshot = snapshot
        self._live = live

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not need a snapshot."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Yield every family of the engine."""
        snapshot, live = self._snapshot(), self._live()
        yield from _session_metrics(snapshot, live)
        yield from _market_metrics(snapshot, live)


def registry(snapshot: Callable[[], Snapshot], live: Callable[[], Live]) -> CollectorRegistry:
    """Return the engine's registry: its own metrics and the process's."""
    result = CollectorRegistry()
    ProcessCollector(registry=result)
    result.register(EngineCollector(snapshot, live))
    return result


def _session_metrics(snapshot: Snapshot, live: Live) -> Iterable[Metric]:
    facts, score = snapshot.facts, snapshot.score
    base = (facts.environment, facts.stage, facts.universe)

    def gauge(name: str, text: str, values: Mapping[str, float], label: str = "") -> Metric:
        return _filled(GaugeMetricFamily(name, text, labels=_labels(label)), values, base)

    def counter(name: str, text: str, values: Mapping[str, float], label: str) -> Metric:
        return _filled(CounterMetricFamily(name, text, labels=_labels(label)), values, base)

    pnl = {"realised": snapshot.realised_usd, "unrealised": snapshot.unrealised_usd}
    yield gauge("interlock_pnl_usd", "Result", {k: float(v) for k, v in pnl.items()}, "kind")
    trips = {"win": score.wins, "loss": score.losses}
    yield counter("interlock_round_trips", "Finished round trips", trips, "outcome")
    yield counter("interlock_trades", "Filled orders", score.trades, "side")
    yield counter("interlock_guard_triggers", "Guards that began to hold", score.guards, "guard")
    yield counter("interlock_alerts", "Alerts", score.alerts, "severity")
    vetoes = dict.fromkeys(VETO_CODES, 0) | score.vetoes
    yield counter("interlock_vetoes", "Orders the gatekeeper refused", vetoes, "code")
    states = {name: float(name == live.state) for name in STATES}
    yield gauge("interlock_engine_state", "1 for the current state", states, "state")
    yield gauge("interlock_open_positions", "Open positions", {"": snapshot.open_positions})
    residual = sum(
        float(item.value_usd) if item.value_usd.is_finite() else 0.0
        for item in snapshot.residuals
        if not item.resolved
    )
    yield gauge("interlock_residual_usd", "Unhedged after repair", {"": residual})
    yield gauge("interlock_orders_in_doubt", "Orders not proven", {"": len(score.in_doubt)})
    for name, text, histogram in (
        ("interlock_loop_latency_seconds", "Frame to decision", score.loop_latency),
        ("interlock_order_round_trip_seconds", "Decision to proven outcome", score.order_time),
    ):
        yield _histogram(name, text, histogram, base)


def _market_metrics(snapshot: Snapshot, live: Live) -> Iterable[Metric]:
    def gauge(name: str, text: str, values: Mapping[str, float], *labels: str) -> Metric:
        return _filled(GaugeMetricFamily(name, text, labels=labels), values, ())

    yield _filled(
        CounterMetricFamily("interlock_market_messages", "Frames", labels=("venue",)),
        live.frames,
        (),
    )
    yield gauge("interlock_market_age_seconds", "Age of the newest frame", live.ages_s, "venue")
    yield gauge("interlock_premium_bps", "Upbit over Binance", live.premiums_bps, "asset")
    yield gauge("interlock_fx_krw_per_usdt", "KRW per USDT, mid", {"": snapshot.krw_per_usd})
    source = GaugeMetricFamily(
        "interlock_market_source_info", "Where prices come from", labels=("source", "regime")
    )
    source.add_metric((snapshot.source.source, snapshot.source.regime or ""), 1.0)
    yield source
    yield _filled(
        CounterMetricFamily("interlock_store_dropped", "Records not kept", labels=("store",)),
        live.store_dropped,
        (),
    )


def _labels(label: str) -> tuple[str, ...]:
    return (label, *SESSION_LABELS) if label else SESSION_LABELS


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily,
    values: Mapping[str, float],
    base: tuple[str, ...],
) -> Metric:
    for label, value in values.items():
        family.add_metric((label, *base) if label else base, value)
    return family


def _histogram(name: str, text: str, histogram: Histogram, base: tuple[str, ...]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=SESSION_LABELS)
    family.add_metric(base, histogram.cumulative(), histogram.total_ns / 1e9)
    return family
