"""The gatekeeper's metrics, in one registry of its own."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from interlock_core.instrument import Venue, parse_key
from interlock_core.money import ZERO
from interlock_core.reasons import DenyReason
from interlock_gatekeeper import budget, guards
from interlock_gatekeeper.state import PHASE_NAMES, Now, State

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
        self.unhedged = gauge("unhedged_usd", "Worst-case unhedged notional of all round trips")
        self.unhedged_age = gauge("unhedged_age_seconds", "Age of the oldest unhedged leg")
        self.unknown = gauge("unknown_orders", "Orders whose outcome is in doubt")
        self.unknown_oldest = gauge("unknown_oldest_seconds", "Age of the oldest order in doubt")
        self.open_orders = gauge("open_orders", "Orders not proven ended", ("venue",))
        self.session_pnl = gauge("session_pnl_usd", "Own result of the running session")
        self.drawdown = gauge("drawdown_usd", "Fall of the session's result from its peak")
        self.turnover = gauge("turnover_usd", "What the running session traded")
        self.recon_age = gauge("recon_age_seconds", "Since books and venues were compared")
        self.recon_mismatches = Counter(
            prefix + "recon_mismatch", "Differences to a venue", registry=self.registry
        )
        self.foreign_orders = gauge(
            "foreign_orders", "Open orders at the venue without a SENT record", ("venue",)
        )
        self.holds = Counter(
            prefix + "hold", "Holds of new risk", ("cause",), registry=self.registry
        )
        self.kill_phase = gauge("kill_phase_seconds", "Duration of a halt's phases", ("phase",))
        self.residual = gauge("residual_usd", "Worst-case value of what a halt left")
        self.clock_offset = gauge("clock_offset_ms", "Venue's clock less ours", ("venue",))
        self.anchor_age = gauge("anchor_age_seconds", "Since PostgreSQL took an anchor")
        self.selftest_age = gauge("selftest_age_seconds", "Since the last self-test")
        self.selftest_failures = Counter(
            prefix + "selftest_failures", "Vectors not denied", registry=self.registry
        )
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
        # A counter that first shows up at 1 never rose, as far as a rate can tell.
        for rule in guards.RULES:
            self.holds.labels(rule.cause)
            self.kills.labels(rule.cause)
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

    def show(self, state: State, now: Now) -> None:
        """Set every gauge that follows from the state."""
        session, seen = state.session, state.seen
        for phase in PHASE_NAMES.values():
            self.state.labels(phase).set(1 if phase == state.phase_name else 0)
        self.latched.set(1 if state.phase_name == "KILLED" else 0)
        self.epoch.set(state.epoch)
        self.lease.set(_seconds(session.lease_until_ns - now.boot_ns) if session else 0.0)
        self.limit.set(float(session.caps.gross_usd) if session else 0.0)
        reserved, exposure = float(budget.reserved_usd(state)), _usd(budget.exposure_usd(state))
        self.reserved.set(reserved)
        self.exposure.set(exposure)
        self.residual.set(reserved + exposure if state.residual else 0.0)
        self.unhedged.set(_usd(budget.unhedged_usd(state)))
        self.unhedged_age.set(
            _oldest((g.unhedged_since_ns for g in state.ledger.open_groups.values()), now)
        )
        self.unknown.set(len(state.unknown_orders))
        self.unknown_oldest.set(_oldest((o.doubt_since_ns for o in state.unknown_orders), now))
        self._show_orders(state)
        pnl = budget.pnl_usd(state)
        self.session_pnl.set(_usd(pnl))
        self.drawdown.set(_usd(None if pnl is None else max(seen.pnl_peak_usd - pnl, ZERO)))
        self.turnover.set(float(state.ledger.turnover_usd))
        self.recon_age.set(_age(seen.recon.at_ns, now))
        self.anchor_age.set(_age(seen.self.anchor_ns, now))
        self.selftest_age.set(_age(seen.self.selftest_ns, now))

    def _show_orders(self, state: State) -> None:
        venues = [parse_key(o.intent.instrument)[0] for o in state.open_orders.values()]
        for venue in state.seen.venues:
            self.open_orders.labels(venue).set(venues.count(venue))


def _usd(value: Decimal | None) -> float:
    return float("nan") if value is None else float(value)


def _seconds(ns: int) -> float:
    return max(ns, 0) / 1e9


def _age(at_ns: int | None, now: Now) -> float:
    return float("inf") if at_ns is None else _seconds(now.boot_ns - at_ns)


def _oldest(since_ns: Iterable[int | None], now: Now) -> float:
    return max((_seconds(now.boot_ns - at) for at in since_ns if at is not None), default=0.0)
