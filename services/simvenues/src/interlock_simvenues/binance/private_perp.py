"""Private REST of the USD-M market: orders."""

from __future__ import annotations

import json
from typing import Any

from interlock_core.instrument import Venue
from interlock_simvenues.binance import encode
from interlock_simvenues.binance.errors import (
    BinanceError,
    missing,
    perp_order_error,
    unknown_cancel,
    unknown_order,
)
from interlock_simvenues.binance.face import Face, Params, integer
from interlock_simvenues.binance.orders import read_order
from interlock_simvenues.binance.private import fills, find, history
from interlock_simvenues.matching.orders import (
    ZERO,
    EventKind,
    Fill,
    NewOrder,
    Order,
    OrderEvent,
    RefusedError,
)
from interlock_simvenues.units import NS_PER_MS

Row = dict[str, Any]
MAX_BATCH = 5
_ALL_CANCELED = {"code": 200, "msg": "The operation of cancel all open order is done."}


class PerpTrading:
    """Answers order calls; each method takes the parameters and returns what JSON shows."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._exchange = face.exchange
        self._accepted: Row = {}
        self._deadlines_ns: dict[str, int] = {}
        self._exchange.observers.append(self._remember)

    def place(self, params: Params) -> Row:
        """Answer POST order: ACK shows the order as accepted, RESULT as it stands."""
        new = read_order(self._face, params, default_id=f"sim{self._face.now_ns():x}"[-30:])
        order = self._submit(new)
        if params.get("newOrderRespType") == "RESULT":
            return self.row(order)
        return dict(self._accepted)

    def test(self, params: Params) -> object:
        """Answer POST order/test: validate only."""
        new = read_order(self._face, params, default_id="sim-test")
        try:
            self._exchange.check(new)
        except RefusedError as refusal:
            raise perp_order_error(refusal.reason, refusal.detail) from refusal
        return {}

    def place_batch(self, params: Params) -> object:
        """Answer POST batchOrders: each order stands alone."""
        try:
            wanted = json.loads(params.get("batchOrders", ""))
        except json.JSONDecodeError as error:
            raise missing("batchOrders") from error
        rows: list[Row] = []
        for item in wanted[:MAX_BATCH]:
            try:
                rows.append(self.place({key: str(value) for key, value in item.items()}))
            except BinanceError as error:
                rows.append({"code": error.code, "msg": error.message})
        return rows

    def modify(self, params: Params) -> object:
        """Answer PUT order: a canceled order and a new one under the same client id."""
        found = self._find_open(params)
        new = read_order(
            self._face,
            {"type": "LIMIT", "timeInForce": encode.TERMS[found.new.time_in_force], **params},
            default_id=found.new.client_id,
        )
        self._exchange.cancel(found, self._face.now_ns())
        return self.row(self._submit(new))

    def order(self, params: Params) -> object:
        """Answer GET order."""
        found = find(self._face, params)
        if found is None:
            raise unknown_order()
        return self.row(found, query=True)

    def open_order(self, params: Params) -> object:
        """Answer GET openOrder."""
        found = find(self._face, params)
        if found is None or not found.is_open:
            raise unknown_order()
        return self.row(found, query=True)

    def open_orders(self, params: Params) -> object:
        """Answer GET openOrders."""
        symbol = self._face.instrument(params).symbol if params.get("symbol") else None
        past, now_ns = self._face.world.perp_past, self._face.now_ns()
        return [self.row(order, query=True) for order in past.open_orders(symbol, now_ns)]

    def all_orders(self, params: Params) -> object:
        """Answer GET allOrders."""
        return [self.row(order, query=True) for order in history(self._face, params)]

    def cancel(self, params: Params) -> Row:
        """Answer DELETE order."""
        found = self._find_open(params)
        self._exchange.cancel(found, self._face.now_ns())
        return self.row(found)

    def cancel_batch(self, params: Params) -> object:
        """Answer DELETE batchOrders."""
        key = "orderId" if params.get("orderIdList") else "origClientOrderId"
        listed = params.get("orderIdList") or params.get("origClientOrderIdList") or "[]"
        rows: list[Row] = []
        for item in json.loads(listed):
            try:
                rows.append(self.cancel({"symbol": params.get("symbol", ""), key: str(item)}))
            except BinanceError as error:
                rows.append({"code": error.code, "msg": error.message})
        return rows

    def cancel_all(self, params: Params) -> object:
        """Answer DELETE allOpenOrders."""
        self._cancel_symbol(self._face.instrument(params).symbol)
        return dict(_ALL_CANCELED)

    def cancel_conditional(self, params: Params) -> object:
        """Answer DELETE algoOpenOrders: there are never any here."""
        self._face.instrument(params)
        return dict(_ALL_CANCELED)

    def countdown(self, params: Params) -> object:
        """Answer POST countdownCancelAll: cancel the symbol's orders unless asked again in time."""
        symbol = self._face.instrument(params).symbol
        if not params.get("countdownTime"):
            raise missing("countdownTime")
        length_ms = integer(params, "countdownTime", 0, most=1 << 40)
        if length_ms == 0:
            self._deadlines_ns.pop(symbol, None)
        else:
            self._deadlines_ns[symbol] = self._face.now_ns() + length_ms * NS_PER_MS
        return {"symbol": symbol, "countdownTime": str(length_ms)}

    def run_deadlines(self, now_ns: int) -> None:
        """Cancel the open orders of every symbol whose countdown ran out."""
        for symbol in [s for s, deadline in self._deadlines_ns.items() if deadline <= now_ns]:
            del self._deadlines_ns[symbol]
            self._cancel_symbol(symbol)

    def trades(self, params: Params) -> object:
        """Answer GET userTrades."""
        return [self.fill_row(fill) for fill in fills(self._face, params)]

    def row(self, order: Order, *, query: bool = False) -> Row:
        """Return an order; a query adds its time and what was executed at which price."""
        new = order.new
        item = self._face.instruments[new.symbol]
        price_digits, lot_digits = item.price_digits, item.lot_digits
        row: Row = {
            "orderId": order.order_id,
            "symbol": new.symbol,
            "status": encode.status(order),
            "clientOrderId": new.client_id,
            "price": encode.amount(new.price or ZERO, price_digits),
            "origQty": encode.amount(new.quantity or ZERO, lot_digits),
            "executedQty": encode.amount(order.filled, lot_digits),
            "cumQty": encode.amount(order.filled, lot_digits),
            "timeInForce": "GTC" if new.price is None else encode.TERMS[new.time_in_force],
            "type": new.kind,
            "reduceOnly": new.reduce_only,
            "closePosition": False,
            "side": new.side.upper(),
            "positionSide": new.position_side,
            "stopPrice": "0.00",
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
            "origType": new.kind,
            "priceMatch": "NONE",
            "selfTradePreventionMode": new.self_trade,
            "goodTillDate": 0,
            "updateTime": order.updated_ns // NS_PER_MS,
            "avgPrice": average(order),
            "cumQuote": encode.amount(order.funds, 8),
        }
        if query:
            row["time"] = order.created_ns // NS_PER_MS
        return row

    def fill_row(self, fill: Fill) -> Row:
        """Return an execution as GET userTrades shows it."""
        item = self._face.instruments[fill.symbol]
        order = self._exchange.orders.get(fill.order_id)
        return {
            "symbol": fill.symbol,
            "id": fill.trade_id,
            "orderId": fill.order_id,
            "side": fill.side.upper(),
            "price": encode.amount(fill.price, item.price_digits),
            "qty": encode.amount(fill.quantity, item.lot_digits),
            "realizedPnl": encode.amount(fill.realized),
            "quoteQty": encode.amount(fill.funds),
            "commission": encode.amount(fill.fee),
            "commissionAsset": fill.fee_asset,
            "time": fill.time_ns // NS_PER_MS,
            "positionSide": order.new.position_side if order else "BOTH",
            "buyer": fill.side == "buy",
            "maker": fill.maker,
        }

    def _find_open(self, params: Params) -> Order:
        found = find(self._face, params)
        if found is None or not found.is_open:
            raise unknown_cancel()
        return found

    def _cancel_symbol(self, symbol: str) -> None:
        for order in self._exchange.open_orders(symbol):
            self._exchange.cancel(order, self._face.now_ns())

    def _submit(self, new: NewOrder) -> Order:
        try:
            return self._exchange.submit(new, self._face.now_ns())
        except RefusedError as refusal:
            self._face.world.metrics.orders.labels(Venue.BINANCE_PERP, "refused").inc()
            raise perp_order_error(refusal.reason, refusal.detail) from refusal

    def _remember(self, event: OrderEvent) -> None:
        if event.kind is EventKind.ACCEPTED:
            self._accepted = self.row(event.order)


def average(order: Order) -> str:
    """Return the average execution price, 0.00 before the first."""
    return encode.amount(order.funds / order.filled, 8) if order.filled else "0.00"
