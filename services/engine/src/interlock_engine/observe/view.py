"""What people see of a running engine: the `/state` document."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from interlock_core.clock import Clock, rfc3339
from interlock_engine.account.leg import LEGS
from interlock_engine.account.round_trip import signed_text
from interlock_engine.book.market import Market
from interlock_engine.book.route import RouteState
from interlock_engine.decide.exits import net_edge_bps
from interlock_engine.observe.kpi import Snapshot, ten_kpis
from interlock_engine.observe.scoreboard import trip_line


@dataclass(frozen=True, slots=True)
class Standing:
    """What the engine does now, and why not more; what the gatekeeper last said."""

    state: str
    reason: str
    gate_state: str
    gate_ready: bool
    epoch: int
    order_notional_usd: Decimal
    guards: dict[str, str]
    books_at_wall_ns: int | None
    books_differ: tuple[str, ...]


def state_document(
    snapshot: Snapshot, standing: Standing, market: Market, clock: Clock
) -> dict[str, Any]:
    """Return the JSON of `GET /state`.

    state: starting | standing_by | trading | stopping; reason: why it does not trade, or "".
    session_id, environment, stage, universe, started_at, uptime_s.
    market: {source, regime, fallback_reason, krw_per_usdt, age_ms: {venue: ms or null}}.
    gate: {state: the gatekeeper's word, ready, epoch}; order_notional_usd: of one leg.
    guards: {where: trigger} of what holds now.
    kpis: the ten KPIs by name (`observe.kpi.ten_kpis`).
    last_round_trips: at most 10, newest last (`observe.scoreboard.trip_line`).
    open_positions: [{asset, direction, opened_at, age_s, notional_usd, held: {instrument: text},
    net_bps: what closing now would earn, or null}].
    assets: [{asset, premium_bps, baseline_bps, warm, busy}] largest first, null where unknown.
    residuals: as in the KPI JSON.
    books: {compared_at: when they were last compared with the gatekeeper's or null, differ: lines}.
    """
    now_ns, facts = clock.boot_ns(), snapshot.facts
    return {
        "state": standing.state,
        "reason": standing.reason,
        "session_id": facts.session_id,
        "environment": facts.environment,
        "stage": facts.stage,
        "universe": facts.universe,
        "started_at": rfc3339(facts.started_wall_ns),
        "uptime_s": round(snapshot.duration_s, 1),
        "market": _market(snapshot, market, now_ns),
        "gate": {
            "state": standing.gate_state,
            "ready": standing.gate_ready,
            "epoch": standing.epoch,
        },
        "order_notional_usd": float(standing.order_notional_usd),
        "guards": standing.guards,
        "kpis": ten_kpis(snapshot),
        "last_round_trips": [trip_line(trip) for trip in snapshot.score.last_trips],
        "open_positions": [_position(state, now_ns) for state in market.open_positions()],
        "assets": [_asset(state, now_ns) for state in market.routes.values()],
        "residuals": [item.plain() for item in snapshot.residuals],
        "books": {
            "compared_at": rfc3339(standing.books_at_wall_ns)
            if standing.books_at_wall_ns
            else None,
            "differ": list(standing.books_differ),
        },
    }


def _market(snapshot: Snapshot, market: Market, now_ns: int) -> dict[str, Any]:
    return {
        "source": snapshot.source.source,
        "regime": snapshot.source.regime,
        "fallback_reason": snapshot.source.fallback_reason,
        "krw_per_usdt": snapshot.krw_per_usd,
        "age_ms": {
            venue.name: round(venue.age_ns(now_ns) / 1e6, 1) if venue.last_ns else None
            for venue in market.venues
        },
    }


def _position(state: RouteState, now_ns: int) -> dict[str, Any]:
    position = state.position
    if position is None:
        raise ValueError("expected a route with a position")
    net = None
    if state.held is not None and state.premium is not None:
        net = round(net_edge_bps(state.held, state.premium, state.fees), 2)
    return {
        "asset": position.route.asset,
        "direction": position.direction.value,
        "opened_at": rfc3339(position.opened_wall_ns),
        "age_s": round((now_ns - position.opened_boot_ns) / 1e9, 1),
        "notional_usd": round(float(position.notional_usd), 2),
        "held": {position.instrument(leg).key: signed_text(position.held[leg]) for leg in LEGS},
        "net_bps": net,
    }


def _asset(state: RouteState, now_ns: int) -> dict[str, Any]:
    premium = state.premium
    return {
        "asset": state.route.asset,
        "premium_bps": round(premium.mid, 2) if premium else None,
        "baseline_bps": round(state.baseline.value, 2) if state.baseline.since_ns else None,
        "warm": state.baseline.is_warm(now_ns),
        "busy": state.busy,
    }
