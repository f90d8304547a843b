"""Upbit's exchange API: accounts, orders, cancels, keys."""

from __future__ import annotations

import uuid as uuid_module
from collections.abc import Mapping
from typing import Any

from interlock_core.instrument import Side, Venue
from interlock_simvenues.account.spot import SpotLedger
from interlock_simvenues.matching.orders import (
    EventKind,
    NewOrder,
    Order,
    OrderEvent,
    OrderState,
    RefusedError,
)
from interlock_simvenues.units import plain
from interlock_simvenues.upbit import encode
from interlock_simvenues.upbit.auth import Key
from interlock_simvenues.upbit.errors import UpbitError, not_found, order_error, validation
from interlock_simvenues.upbit.orders import SIDES, read_order
from interlock_simvenues.world import UPBIT_FEE_RATE, World

Params = Mapping[str, Any]
Row = dict[str, Any]

MAX_LISTED = 100
MAX_CLOSED = 1_000
MAX_CANCELED = 300
_STATES = {
    "wait": (OrderState.OPEN,),
    "watch": (),
    "done": (OrderState.FILLED,),
    "cancel": (OrderState.CANCELED, OrderState.EXPIRED, OrderState.PREVENTED),
}
_KEY_LIFE = "2027-10-01T00:00:00+09:00"
_NAMESPACE = uuid_module.UUID("6f6b8f0e-51a7-4d4f-9a39-3d0f3a8f1b52")


class Trading:
    """Answers private calls; each method takes the parameters and returns what JSON shows."""

    def __init__(self, world: World, keys: tuple[Key, ...]) -> None:
        self._world = world
        self._keys = keys
        self._exchange = world.exchanges[Venue.UPBIT]
        self._markets = frozenset(world.instruments.of(Venue.UPBIT))
        self._by_uuid: dict[str, int] = {}
        self._identifiers: dict[str, int] = {}
        self._accepted: dict[str, Any] = {}
        self._exchange.observers.append(self._remember)

    def accounts(self, _params: Params) -> object:
        """Answer GET /v1/accounts: what is owned, locked part apart."""
        rows = []
        for asset, balance in self._shown().balances.items():
            if balance.free or balance.locked or asset == "KRW":
                rows.append(
                    {
                        "currency": asset,
                        "balance": plain(balance.free),
                        "locked": plain(balance.locked),
                        "avg_buy_price": "0",
                        "avg_buy_price_modified": True,
                        "unit_currency": "KRW",
                    }
                )
        return rows

    def api_keys(self, _params: Params) -> object:
        """Answer GET /v1/api_keys."""
        return [{"access_key": key.access, "expire_at": _KEY_LIFE} for key in self._keys]

    def pocket_keys(self, _params: Params) -> object:
        """Answer GET /v1/pockets/api_keys: no key here may manage pockets."""
        raise UpbitError(403, "out_of_scope", "This key may not do this.")

    def chance(self, params: Params) -> object:
        """Answer GET /v1/orders/chance."""
        item = self._world.instruments.of(Venue.UPBIT).get(str(params.get("market", "")))
        if item is None:
            raise UpbitError(400, "notfoundmarket", "No market found.")
        fee = plain(UPBIT_FEE_RATE)
        side = {"currency": "KRW", "min_total": "5000"}
        types = ["limit_ioc", "limit_fok", "best_ioc", "best_fok", "limit"]
        return {
            "bid_fee": fee,
            "ask_fee": fee,
            "maker_bid_fee": fee,
            "maker_ask_fee": fee,
            "market": {
                "id": item.symbol,
                "name": f"{item.base}/KRW",
                "order_types": ["limit"],
                "order_sides": ["ask", "bid"],
                "bid_types": [*types, "price"],
                "ask_types": [*types, "market"],
                "bid": side,
                "ask": {"currency": item.base, "min_total": "5000"},
                "max_total": "1000000000",
                "state": "active",
            },
            "bid_account": self._account("KRW"),
            "ask_account": self._account(item.base),
        }

    def place(self, params: Params) -> Row:
        """Answer POST /v1/orders: the order as it was accepted, before anything filled."""
        new = read_order(params, self._markets)
        if new.client_id:
            if new.client_id in self._identifiers:
                raise UpbitError(400, "duplicated_identifier", "The identifier was used before.")
            # Burnt even where the order is refused below.
            self._identifiers[new.client_id] = 0
        order = self._submit(new)
        if new.client_id:
            self._identifiers[new.client_id] = order.order_id
        return dict(self._accepted)

    def test(self, params: Params) -> object:
        """Answer POST /v1/orders/test: validate only; the uuid names nothing."""
        new = read_order(params, self._markets)
        try:
            self._exchange.check(new)
        except RefusedError as refusal:
            raise order_error(refusal.reason, refusal.detail, new.side) from refusal
        now = self._world.clock.wall_ns()
        return encode.order_row(Order(0, new, now, now), uuid=str(uuid_module.UUID(int=now)))

    def order(self, params: Params) -> object:
        """Answer GET /v1/order: by uuid, else by identifier, with its executions."""
        found = self._find(params)
        row = encode.order_row(found, uuid=self.uuid(found))
        row["trades"] = [
            encode.fill_row(fill, uuid=trade_uuid(fill.trade_id)) for fill in found.fills
        ]
        return row

    def by_ids(self, params: Params) -> object:
        """Answer GET /v1/orders/uuids: by uuids[] or identifiers[]."""
        return [encode.order_row(o, uuid=self.uuid(o)) for o in self._listed(params)]

    def open(self, params: Params) -> object:
        """Answer GET /v1/orders/open; the default state is wait alone."""
        states = _states(params, "wait")
        now_ns = self._world.clock.wall_ns()
        rows = [o for o in self._world.upbit_past.open_orders(None, now_ns) if o.state in states]
        return self._page(rows, params, MAX_LISTED)

    def closed(self, params: Params) -> object:
        """Answer GET /v1/orders/closed."""
        states = _states(params, "done", "cancel")
        rows = [o for o in self._exchange.orders.values() if o.state in states and not o.is_open]
        return self._page(rows, params, MAX_CLOSED)

    def orders(self, params: Params) -> object:
        """Answer the old GET /v1/orders."""
        states = _states(params, "wait")
        rows = [o for o in self._exchange.orders.values() if o.state in states]
        return self._page(rows, params, MAX_LISTED)

    def cancel(self, params: Params) -> object:
        """Answer DELETE /v1/order: the cancel is accepted; the state shown is the one before."""
        found = self._find(params)
        if not found.is_open:
            raise not_found()
        row = encode.order_row(found, uuid=self.uuid(found))
        self._exchange.cancel(found, self._world.clock.wall_ns())
        return row

    def cancel_ids(self, params: Params) -> object:
        """Answer DELETE /v1/orders/uuids."""
        return self._cancel_many(self._listed(params))

    def cancel_open(self, params: Params) -> object:
        """Answer DELETE /v1/orders/open: waiting orders only, filtered and at most `count`."""
        side = SIDES.get(str(params.get("cancel_side", "all")))
        pairs = _words(params.get("pairs"))
        excluded = _words(params.get("excluded_pairs"))
        count = min(int(str(params.get("count", "20"))), MAX_CANCELED)
        rows = [
            order
            for order in self._exchange.open_orders()
            if (side is None or order.new.side is side)
            and (not pairs or order.new.symbol in pairs)
            and order.new.symbol not in excluded
        ]
        if params.get("order_by", "desc") == "desc":
            rows.reverse()
        return self._cancel_many(rows[:count])

    def cancel_and_new(self, params: Params) -> object:
        """Answer POST /v1/orders/cancel_and_new: the old order, and the new one's uuid."""
        old = self._find(
            {
                "uuid": params.get("prev_order_uuid"),
                "identifier": params.get("prev_order_identifier"),
            }
        )
        if not old.is_open:
            raise not_found()
        volume = params.get("new_volume")
        if volume == "remain_only":
            volume = plain(old.remaining)
        wanted = {
            "market": old.new.symbol,
            "side": "bid" if old.new.side is Side.BUY else "ask",
            "ord_type": params.get("new_ord_type", "limit"),
            "volume": volume,
            "price": params.get("new_price"),
            "identifier": params.get("new_identifier"),
            "time_in_force": params.get("new_time_in_force"),
        }
        row = encode.order_row(old, uuid=self.uuid(old))
        self._exchange.cancel(old, self._world.clock.wall_ns())
        placed = self.place({key: value for key, value in wanted.items() if value is not None})
        row["new_order_uuid"] = placed["uuid"]
        if "identifier" in placed:
            row["new_order_identifier"] = placed["identifier"]
        return row

    def empty(self, _params: Params) -> object:
        """Answer a list that is always empty here (deposits, withdrawals)."""
        return []

    def uuid(self, order: Order) -> str:
        """Return the venue's id of an order."""
        return str(uuid_module.uuid5(_NAMESPACE, f"order-{order.order_id}"))

    def _shown(self) -> SpotLedger:
        return self._world.upbit_past.account(self._world.clock.wall_ns())

    def _account(self, asset: str) -> dict[str, Any]:
        balance = self._shown().balance(asset)
        return {
            "currency": asset,
            "balance": plain(balance.free),
            "locked": plain(balance.locked),
            "avg_buy_price": "0",
            "avg_buy_price_modified": True,
            "unit_currency": "KRW",
        }

    def _submit(self, new: NewOrder) -> Order:
        try:
            return self._exchange.submit(new, self._world.clock.wall_ns())
        except RefusedError as refusal:
            self._world.metrics.orders.labels(Venue.UPBIT, "refused").inc()
            raise order_error(refusal.reason, refusal.detail, new.side) from refusal

    def _remember(self, event: OrderEvent) -> None:
        if event.kind is EventKind.ACCEPTED:
            uuid = self.uuid(event.order)
            self._by_uuid[uuid] = event.order.order_id
            self._accepted = encode.order_row(event.order, uuid=uuid)

    def _find(self, params: Params) -> Order:
        uuid, identifier = params.get("uuid"), params.get("identifier")
        if uuid:
            order_id = self._by_uuid.get(str(uuid))
        elif identifier:
            order_id = self._identifiers.get(str(identifier))
        else:
            raise validation("uuid or identifier is required.")
        found = self._exchange.orders.get(order_id or 0)
        if found is None:
            raise not_found()
        return found

    def _listed(self, params: Params) -> list[Order]:
        uuids, identifiers = _words(params.get("uuids[]")), _words(params.get("identifiers[]"))
        ids = [self._by_uuid.get(word) for word in uuids]
        ids += [self._identifiers.get(word) for word in identifiers]
        if not ids:
            raise validation("uuids or identifiers is required.")
        found = [self._exchange.orders.get(order_id or 0) for order_id in ids]
        return [order for order in found if order is not None]

    def _page(self, rows: list[Order], params: Params, most: int) -> object:
        market = params.get("market")
        if market:
            rows = [order for order in rows if order.new.symbol == market]
        if params.get("order_by", "desc") == "desc":
            rows = rows[::-1]
        limit = min(int(str(params.get("limit", most))), most)
        start = (max(int(str(params.get("page", "1"))), 1) - 1) * limit
        return [encode.order_row(o, uuid=self.uuid(o)) for o in rows[start : start + limit]]

    def _cancel_many(self, rows: list[Order]) -> object:
        success: list[Row] = []
        failed: list[Row] = []
        now = self._world.clock.wall_ns()
        for order in rows:
            row = {"uuid": self.uuid(order), "market": order.new.symbol}
            if order.new.client_id:
                row["identifier"] = order.new.client_id
            (success if order.is_open else failed).append(row)
            self._exchange.cancel(order, now)
        return {
            "success": {"count": len(success), "orders": success},
            "failed": {"count": len(failed), "orders": failed},
        }


def trade_uuid(trade_id: int) -> str:
    """Return the venue's id of an execution."""
    return str(uuid_module.uuid5(_NAMESPACE, f"trade-{trade_id}"))


def _words(raw: object) -> list[str]:
    if raw is None:
        return []
    if isinstance(raw, list):
        return [str(item) for item in raw]
    return [word for word in str(raw).split(",") if word]


def _states(params: Params, *default: str) -> tuple[OrderState, ...]:
    raw = params.get("states[]", params.get("state"))
    words = _words(raw) or list(default)
    unknown = [word for word in words if word not in _STATES]
    if unknown:
        raise validation(f"state {unknown[0]} does not have a valid value")
    return tuple(state for word in words for state in _STATES[word])
