"""The gatekeeper's metrics, in one registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from interlock_core.instrument import Venue
from interlock_core.reasons import DenyReason
from interlock_gatekeeper.state import PHASE_NAMES

FAST = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
NETWORK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
APPROVED = "APPROVED"


class Metrics:
    """Every series the gatekeeper exports, its labels created at start."""

    def __init__(self, environment: str, stage: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        prefix = "interlock_gatekeeper_"

        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(prefix + name, text, labels, registry=self.registry)

        self.info = gauge("info", "1; what this gatekeeper guards", ("env", "stage"))
        self.info.labels(environment, stage).set(1)
        self.state = gauge("state", "1 for the current state", ("state",))
        self.armed = gauge("armed", "1 where the engine may trade")
        self.latched = gauge("latched", "1 while the kill latch is set")
        self.epoch = gauge("epoch", "Fencing epoch of the newest session")
        self.lease = gauge("lease_remaining_seconds", "Seconds until the session's lease lapses")
        self.reserved = gauge("reserved_usd", "Worst-case notional of orders not proven ended")
        self.exposure = gauge("exposure_usd", "Worst-case value of positions")
        self.limit = gauge("limit_usd", "Gross cap of the running session")
        self.unknown = gauge("unknown_orders", "Orders whose outcome is in doubt")
        self.audit_seq = gauge("audit_seq", "Number of the last journal line")
        self.mirror_lag = gauge("mirror_lag_lines", "Journal lines not yet in PostgreSQL")
        self.reference_age = gauge("ref_age_seconds", "Age of own prices", ("venue",))
        self.venue_up = gauge("venue_up", "1 where the venue answers", ("venue",))
        self.decisions = Counter(
            prefix + "decisions", "Decisions by code", ("code",), registry=self.registry
        )
        for code in (APPROVED, *DenyReason):
            self.decisions.labels(code)
        self.kills = Counter(
            prefix + "kill", "Kill latches set", ("cause",), registry=self.registry
        )
        self.decide = Histogram(
            prefix + "decide_seconds", "One decision", buckets=FAST, registry=self.registry
        )
        self.sync = Histogram(
            prefix + "journal_fsync_seconds", "One fdatasync", buckets=FAST, registry=self.registry
        )
        self.send = Histogram(
            prefix + "send_seconds",
            "First byte to the venue's answer",
            ("venue",),
            buckets=NETWORK,
            registry=self.registry,
        )
        for venue in Venue:
            self.send.labels(venue)

    def show_phase(self, name: str) -> None:
        """Set the state gauge to exactly one state."""
        for phase in PHASE_NAMES.values():
            self.state.labels(phase).set(1 if phase == name else 0)
        self.latched.set(1 if name == "KILLED" else 0)
