"""What the engine says of itself: to people, to Prometheus, to the gatekeeper."""

from __future__ import annotations

from typing import Any

from interlock_core.money import ZERO
from interlock_core.wire.gate import Telemetry
from interlock_engine.book.market import Market
from interlock_engine.decide.guards import EntryGuard
from interlock_engine.execute.gate_client import GateClient
from interlock_engine.execute.lease import Lease
from interlock_engine.execute.reconcile import Reconciler
from interlock_engine.execute.trader import Trader
from interlock_engine.observe import metrics
from interlock_engine.observe.kpi import Snapshots
from interlock_engine.observe.view import Standing, state_document
from interlock_engine.store.sinks import Stores


class Status:
    """Reads every part and changes none."""

    def __init__(
        self,
        *,
        market: Market,
        guard: EntryGuard,
        client: GateClient,
        lease: Lease,
        trader: Trader,
        snapshots: Snapshots,
        stores: Stores,
        reconciler: Reconciler,
        venue_stale_ns: int,
    ) -> None:
        self._market = market
        self._guard = guard
        self._client = client
        self._lease = lease
        self._trader = trader
        self._snapshots = snapshots
        self._stores = stores
        self._reconciler = reconciler
        self._venue_stale_ns = venue_stale_ns
        self._problem = "reading what the venues list"
        self._before_usd = ZERO

    def session_begun(self) -> None:
        """Take what was earned before as no result of the gatekeeper's present session.

        To be called when its books were compared, before the first order of it.
        """
        self._before_usd = self._snapshots.take().total_usd

    def tell(self, problem: str) -> None:
        """Take why the session cannot begin yet; empty once it can."""
        self._problem = problem

    def not_ready(self) -> list[str]:
        """Return why market data does not flow; empty where it does."""
        if self._problem:
            return [self._problem]
        market, now_ns = self._market, self._market.clock.boot_ns()
        silent = [v.name for v in market.venues if v.age_ns(now_ns) > self._venue_stale_ns]
        return [f"no data from {name}" for name in silent]

    def standing(self) -> Standing:
        """Return what the engine does now, and why not more."""
        state, reason = "trading", ""
        if self._guard.health.stopping:
            state = "stopping"
        elif not_ready := self.not_ready():
            state, reason = "starting", not_ready[0]
        elif not self._lease.ready:
            state, reason = "standing_by", self._lease.reason or "opening a session"
        return Standing(
            state=state,
            reason=reason,
            gate_state=self._lease.gate_state,
            gate_ready=self._lease.ready,
            epoch=self._client.epoch,
            order_notional_usd=self._trader.planner.notional_usd,
            guards=self._guard.holding(),
            books_at_wall_ns=self._reconciler.at_wall_ns,
            books_differ=tuple(str(d) for d in self._reconciler.differences),
        )

    def document(self) -> dict[str, Any]:
        """Return the `/state` document."""
        market = self._market
        return state_document(self._snapshots.take(), self.standing(), market, market.clock)

    def live(self) -> metrics.Live:
        """Return what metrics show beyond the KPIs."""
        market, now_ns = self._market, self._market.clock.boot_ns()
        return metrics.Live(
            state=self.standing().state,
            frames={v.name: v.frames for v in market.venues},
            ages_s={v.name: v.age_ns(now_ns) / 1e9 if v.last_ns else -1.0 for v in market.venues},
            premiums_bps={
                asset: state.premium.mid
                for asset, state in market.routes.items()
                if state.premium is not None
            },
            store_dropped=self._stores.dropped(),
        )

    def telemetry(self) -> Telemetry:
        """Return what every heartbeat tells the gatekeeper."""
        market, now_ns = self._market, self._market.clock.boot_ns()
        snapshot, age_ns = self._snapshots.take(), max(v.age_ns(now_ns) for v in market.venues)
        compared = self._reconciler.compared
        earned = snapshot.total_usd - self._before_usd if compared else ZERO
        return Telemetry(
            loop_p99_ms=self._guard.health.loop_p99_ms,
            cpu_percent=snapshot.recent_cpu_percent,
            memory_mb=snapshot.memory_mb,
            market_age_ms=age_ns / 1e6,
            pnl_usd=float(earned),
            open_positions=snapshot.open_positions,
        )
