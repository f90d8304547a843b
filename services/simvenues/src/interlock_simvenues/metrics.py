"""Prometheus metrics of the simulator; each process (and each test) has its own registry."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, ProcessCollector


class Metrics:
    """The metrics named in the contract, and the process's own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.requests = Counter(
            "interlock_sim_requests",
            "REST requests answered",
            ["venue", "status"],
            registry=self.registry,
        )
        self.orders = Counter(
            "interlock_sim_orders",
            "Orders by what became of them: accepted, refused",
            ["venue", "outcome"],
            registry=self.registry,
        )
        self.faults = Counter(
            "simvenues_faults",
            "Faults injected, by venue and kind",
            ["venue", "kind"],
            registry=self.registry,
        )
        self.source = Gauge(
            "interlock_sim_market_source_info",
            "1 for the market source and regime in use",
            ["source", "regime"],
            registry=self.registry,
        )
        self.fallback = Gauge(
            "interlock_sim_market_fallback_info",
            "1 with the reason where MARKET_SOURCE=auto fell back to synthetic",
            ["reason"],
            registry=self.registry,
        )
        self.connections = Gauge(
            "interlock_sim_ws_connections",
            "Open WebSocket connections",
            ["venue"],
            registry=self.registry,
        )
        self.steps = Counter(
            "interlock_sim_market_steps", "Market steps taken", registry=self.registry
        )
