"""What tests and operators may look at: market label, audit log of orders, accounts, health."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from prometheus_client import generate_latest

from interlock_core.clock import rfc3339
from interlock_core.instrument import Venue
from interlock_simvenues.market.choose import Choice
from interlock_simvenues.matching.orders import ZERO, Order
from interlock_simvenues.units import NS_PER_S, plain
from interlock_simvenues.world import World

MARKET_STALE_NS = 2 * NS_PER_S


class Admin:
    """Serves /admin, /health and /metrics. Read only."""

    def __init__(self, world: World, choice: Choice, *, seed: int) -> None:
        self._world = world
        self._choice = choice
        self._seed = seed

    def add_routes(self, app: web.Application) -> None:
        """Add every path."""
        app.router.add_get("/admin/market", self._market)
        app.router.add_get("/admin/orders", self._orders)
        app.router.add_get("/admin/accounts", self._accounts)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)

    async def _market(self, _request: web.Request) -> web.Response:
        label = self._choice.source.label
        names = [
            item.base
            for item in self._world.instruments.of(Venue.UPBIT).values()
            if item.asset is not None
        ]
        return web.json_response(
            {
                "source": label.source,
                "regime": label.regime,
                "detail": label.detail,
                "requested": self._choice.requested,
                "fallback_reason": self._choice.fallback_reason,
                "seed": self._seed,
                "assets": names,
            }
        )

    async def _orders(self, request: web.Request) -> web.Response:
        venue = request.query.get("venue")
        rows = [
            audit_row(item_venue, order)
            for item_venue, order in self._world.audit
            if venue is None or venue == item_venue
        ]
        return web.json_response({"count": len(rows), "orders": rows})

    async def _accounts(self, _request: web.Request) -> web.Response:
        world = self._world
        account = world.perp_account
        ledgers = {Venue.UPBIT: world.upbit_ledger, Venue.BINANCE: world.spot_ledger}
        body: dict[str, Any] = {
            venue: {
                asset: {"free": plain(held.free), "locked": plain(held.locked)}
                for asset, held in ledger.balances.items()
            }
            for venue, ledger in ledgers.items()
        }
        body[Venue.BINANCE_PERP] = {
            "wallet_usdt": plain(account.wallet),
            "unrealized_usdt": plain(account.total_unrealized()),
            "positions": [
                {
                    "symbol": position.symbol,
                    "side": position.side,
                    "amount": plain(position.amount),
                    "entry": plain(position.entry),
                }
                for position in account.positions.values()
                if position.amount != ZERO
            ],
        }
        return web.json_response(body)

    async def _health(self, _request: web.Request) -> web.Response:
        label = self._choice.source.label
        age_ns = self._world.clock.wall_ns() - self._world.last_step_ns
        ticking = age_ns < MARKET_STALE_NS and self._choice.source.is_live(
            self._world.clock.wall_ns()
        )
        body = {
            "status": "ok" if ticking else "stale",
            "market_age_s": round(age_ns / NS_PER_S, 3),
            "source": label.source,
            "regime": label.regime,
        }
        return web.json_response(body, status=200 if ticking else 503)

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._world.metrics.registry),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )


def audit_row(venue: Venue, order: Order) -> dict[str, Any]:
    """Return one accepted order as the audit log shows it."""
    new = order.new
    return {
        "venue": venue,
        "order_id": order.order_id,
        "client_id": new.client_id,
        "time": rfc3339(order.created_ns),
        "time_ns": order.created_ns,
        "symbol": new.symbol,
        "side": new.side,
        "type": new.kind,
        "time_in_force": new.time_in_force,
        "reduce_only": new.reduce_only,
        "quantity": None if new.quantity is None else plain(new.quantity),
        "price": None if new.price is None else plain(new.price),
        "budget": None if new.budget is None else plain(new.budget),
        "outcome": order.state,
        "filled": plain(order.filled),
        "funds": plain(order.funds),
        "fee": plain(order.fee),
        "fee_asset": order.fills[-1].fee_asset if order.fills else None,
    }
