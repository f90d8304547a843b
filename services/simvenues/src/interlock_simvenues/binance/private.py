"""Private REST of the spot market, with the sapi answers that clients ask for at start."""

from __future__ import annotations

from typing import Any

from interlock_core.instrument import Venue
from interlock_simvenues.binance import encode
from interlock_simvenues.binance.auth import Key
from interlock_simvenues.binance.errors import (
    missing,
    spot_order_error,
    unknown_cancel,
    unknown_order,
)
from interlock_simvenues.binance.face import Face, Params, integer
from interlock_simvenues.binance.orders import read_order
from interlock_simvenues.matching.orders import (
    ZERO,
    Fill,
    NewOrder,
    Order,
    RefusedError,
    TimeInForce,
)
from interlock_simvenues.units import NS_PER_MS
from interlock_simvenues.world import SPOT_FEE_RATE

Row = dict[str, Any]
RATE = encode.amount(SPOT_FEE_RATE)
UID = 354_937_868


class SpotTrading:
    """Answers private calls; each method takes the parameters and returns what JSON shows."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._exchange = face.exchange

    def place(self, params: Params) -> Row:
        """Answer POST order as ACK, RESULT or FULL."""
        new = read_order(self._face, params, default_id=f"sim{self._face.now_ns():x}"[-30:])
        order = self._submit(new)
        return self._placed(order, params)

    def test(self, params: Params) -> object:
        """Answer POST order/test: validate only."""
        new = read_order(self._face, params, default_id="sim-test")
        try:
            self._exchange.check(new)
        except RefusedError as refusal:
            raise spot_order_error(refusal.reason) from refusal
        return {}

    def order(self, params: Params) -> object:
        """Answer GET order."""
        found = self._find(params)
        if found is None:
            raise unknown_order()
        return order_row(found)

    def cancel(self, params: Params) -> Row:
        """Answer DELETE order."""
        found = self._find(params)
        if found is None or not found.is_open:
            raise unknown_cancel()
        self._exchange.cancel(found, self._face.now_ns())
        return self._canceled_row(found, params.get("newClientOrderId"))

    def replace(self, params: Params) -> object:
        """Answer POST order/cancelReplace: cancel, then place."""
        canceled = self.cancel(
            {
                "symbol": params.get("symbol", ""),
                "orderId": params.get("cancelOrderId", ""),
                "origClientOrderId": params.get("cancelOrigClientOrderId", ""),
            }
        )
        placed = self.place(params)
        return {
            "cancelResult": "SUCCESS",
            "newOrderResult": "SUCCESS",
            "cancelResponse": canceled,
            "newOrderResponse": placed,
        }

    def open_orders(self, params: Params) -> object:
        """Answer GET openOrders."""
        symbol = self._face.instrument(params).symbol if params.get("symbol") else None
        past, now_ns = self._face.world.spot_past, self._face.now_ns()
        return [order_row(order) for order in past.open_orders(symbol, now_ns)]

    def cancel_all(self, params: Params) -> object:
        """Answer DELETE openOrders."""
        found = self._exchange.open_orders(self._face.instrument(params).symbol)
        if not found:
            raise unknown_cancel()
        now = self._face.now_ns()
        for order in found:
            self._exchange.cancel(order, now)
        return [self._canceled_row(order, None) for order in found]

    def all_orders(self, params: Params) -> object:
        """Answer GET allOrders."""
        return [order_row(order) for order in history(self._face, params)]

    def trades(self, params: Params) -> object:
        """Answer GET myTrades."""
        return [fill_row(fill) for fill in fills(self._face, params)]

    def account(self, params: Params) -> object:
        """Answer GET account."""
        shown = self._face.world.spot_past.account(self._face.now_ns())
        held = params.get("omitZeroBalances", "false").lower() == "true"
        balances = [
            {"asset": a, "free": encode.amount(b.free), "locked": encode.amount(b.locked)}
            for a, b in shown.balances.items()
            if not held or b.free or b.locked
        ]
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": RATE,
                "taker": RATE,
                "buyer": "0.00000000",
                "seller": "0.00000000",
            },
            "canTrade": True,
            "canWithdraw": False,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._face.now_ms(),
            "accountType": "SPOT",
            "balances": balances,
            "permissions": ["SPOT"],
            "uid": UID,
        }

    def commission(self, params: Params) -> object:
        """Answer GET account/commission."""
        item = self._face.instrument(params)
        zero = dict.fromkeys(("maker", "taker", "buyer", "seller"), "0.00000000")
        return {
            "symbol": item.symbol,
            "standardCommission": {**zero, "maker": RATE, "taker": RATE},
            "taxCommission": zero,
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": "0.75000000",
            },
        }

    def trade_fee(self, params: Params) -> object:
        """Answer GET sapi asset/tradeFee."""
        names = [params["symbol"]] if params.get("symbol") else list(self._face.instruments)
        return [
            {"symbol": name, "makerCommission": "0.001", "takerCommission": "0.001"}
            for name in names
        ]

    @staticmethod
    def restrictions(key: Key) -> object:
        """Answer GET sapi account/apiRestrictions for the key that asks."""
        return {
            "ipRestrict": True,
            "createTime": 1_767_225_600_000,
            "enableReading": True,
            "enableWithdrawals": False,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": key.may_trade,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": True,
            "enableSpotAndMarginTrading": key.may_trade,
            "enablePortfolioMarginTrading": False,
        }

    def _submit(self, new: NewOrder) -> Order:
        try:
            return self._exchange.submit(new, self._face.now_ns())
        except RefusedError as refusal:
            self._face.world.metrics.orders.labels(Venue.BINANCE, "refused").inc()
            raise spot_order_error(refusal.reason) from refusal

    def _placed(self, order: Order, params: Params) -> Row:
        new = order.new
        row: Row = {
            "symbol": new.symbol,
            "orderId": order.order_id,
            "orderListId": -1,
            "clientOrderId": new.client_id,
            "transactTime": order.created_ns // NS_PER_MS,
        }
        shape = params.get("newOrderRespType") or ("ACK" if new.kind == "LIMIT_MAKER" else "FULL")
        if shape == "ACK":
            return row
        row |= _state(order)
        if shape == "FULL":
            row["fills"] = [
                {
                    "price": encode.amount(fill.price),
                    "qty": encode.amount(fill.quantity),
                    "commission": encode.amount(fill.fee),
                    "commissionAsset": fill.fee_asset,
                    "tradeId": fill.trade_id,
                }
                for fill in order.fills
            ]
        return row

    def _canceled_row(self, order: Order, cancel_id: str | None) -> Row:
        return {
            "symbol": order.new.symbol,
            "origClientOrderId": order.new.client_id,
            "orderId": order.order_id,
            "orderListId": -1,
            "clientOrderId": cancel_id or f"cancel{self._face.now_ns():x}",
            "transactTime": order.updated_ns // NS_PER_MS,
            **_state(order),
        }

    def _find(self, params: Params) -> Order | None:
        return find(self._face, params)


def find(face: Face, params: Params) -> Order | None:
    """Return the order a request names by orderId or origClientOrderId."""
    symbol = face.instrument(params).symbol
    order_id, client_id = params.get("orderId"), params.get("origClientOrderId")
    if order_id:
        found = face.exchange.orders.get(integer(params, "orderId", 0, most=1 << 62))
        return found if found is not None and found.new.symbol == symbol else None
    if client_id:
        return face.exchange.by_client_id(symbol, client_id)
    raise missing("orderId")


def history(face: Face, params: Params) -> list[Order]:
    """Return a symbol's orders of a time or id range, oldest first."""
    symbol = face.instrument(params).symbol
    first = integer(params, "startTime", 0, most=1 << 62)
    last = integer(params, "endTime", 1 << 62, most=1 << 62)
    from_id = integer(params, "orderId", 0, most=1 << 62)
    rows = [
        order
        for order in face.exchange.orders.values()
        if order.new.symbol == symbol
        and order.order_id >= from_id
        and first <= order.created_ns // NS_PER_MS <= last
    ]
    return rows[-integer(params, "limit", 500, most=1_000) :]


def fills(face: Face, params: Params) -> list[Fill]:
    """Return a symbol's executions of a time, order or id range, oldest first."""
    symbol = face.instrument(params).symbol
    first = integer(params, "startTime", 0, most=1 << 62)
    last = integer(params, "endTime", 1 << 62, most=1 << 62)
    from_id = integer(params, "fromId", 0, most=1 << 62)
    order_id = integer(params, "orderId", 0, most=1 << 62)
    rows = [
        fill
        for order in face.exchange.orders.values()
        if order.new.symbol == symbol and (not order_id or order.order_id == order_id)
        for fill in order.fills
        if fill.trade_id >= from_id and first <= fill.time_ns // NS_PER_MS <= last
    ]
    return rows[-integer(params, "limit", 500, most=1_000) :]


def order_row(order: Order) -> Row:
    """Return an order as GET order shows it."""
    return {
        "symbol": order.new.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.new.client_id,
        **_state(order),
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": order.created_ns // NS_PER_MS,
        "updateTime": order.updated_ns // NS_PER_MS,
        "isWorking": True,
    }


def fill_row(fill: Fill) -> Row:
    """Return an execution as GET myTrades shows it."""
    buying = fill.side == "buy"
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": encode.amount(fill.price),
        "qty": encode.amount(fill.quantity),
        "quoteQty": encode.amount(fill.funds),
        "commission": encode.amount(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.time_ns // NS_PER_MS,
        "isBuyer": buying,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def _state(order: Order) -> Row:
    new = order.new
    maker_only = new.time_in_force is TimeInForce.POST_ONLY
    market = new.price is None
    return {
        "price": encode.amount(new.price or ZERO),
        "origQty": encode.amount(new.quantity if new.quantity is not None else order.filled),
        "executedQty": encode.amount(order.filled),
        "origQuoteOrderQty": encode.amount(new.budget or ZERO),
        "cummulativeQuoteQty": encode.amount(order.funds),
        "status": "FILLED" if _spent(order) else encode.status(order),
        "timeInForce": "GTC" if maker_only or market else encode.TERMS[new.time_in_force],
        "type": new.kind,
        "side": new.side.upper(),
        "workingTime": order.created_ns // NS_PER_MS,
        "selfTradePreventionMode": new.self_trade,
    }


def _spent(order: Order) -> bool:
    """Say whether a budget order ended because less than a lot was left of its budget."""
    return order.new.budget is not None and not order.is_open and order.filled > ZERO
