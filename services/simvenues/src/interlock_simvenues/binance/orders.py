"""From request parameters to a new order, for both Binance markets."""

from __future__ import annotations

import re
from decimal import Decimal

from interlock_core.instrument import Side
from interlock_core.money import is_multiple
from interlock_simvenues.binance.errors import BinanceError, illegal, missing
from interlock_simvenues.binance.face import Face, Params, decimal, flag
from interlock_simvenues.matching.orders import NewOrder, TimeInForce

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_TERMS = {
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "GTX": TimeInForce.POST_ONLY,
    "GTD": TimeInForce.GTC,
}
_CONDITIONAL = (
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
_ONLY_PERP_TERMS = ("GTX", "GTD")
EIGHT_DIGITS = Decimal("0.00000001")


def read_order(face: Face, params: Params, *, default_id: str) -> NewOrder:
    """Return the order that the parameters ask for, or raise."""
    item = face.instrument(params)
    side = {"BUY": Side.BUY, "SELL": Side.SELL}.get(params.get("side", ""))
    if side is None:
        raise (
            missing("side") if not params.get("side") else BinanceError(400, -1117, "Invalid side.")
        )
    kind = params.get("type", "")
    if not kind:
        raise missing("type")
    client_id = params.get("newClientOrderId") or default_id
    if not CLIENT_ID.fullmatch(client_id):
        raise illegal("newClientOrderId")
    price, quantity = decimal(params, "price"), decimal(params, "quantity")
    budget = decimal(params, "quoteOrderQty")
    _check_precision(price, quantity)
    terms = _terms(face, params, kind)
    _check_presence(face, kind, price=price, quantity=quantity, budget=budget)
    return NewOrder(
        symbol=item.symbol,
        side=side,
        kind=kind,
        time_in_force=terms,
        price=None if kind == "MARKET" else price,
        quantity=quantity if quantity is not None else None,
        budget=None if quantity is not None else budget,
        client_id=client_id,
        reduce_only=face.perp and flag(params, "reduceOnly"),
        position_side=params.get("positionSide") or "BOTH",
        self_trade=params.get("selfTradePreventionMode")
        or ("NONE" if face.perp else "EXPIRE_MAKER"),
    )


def _terms(face: Face, params: Params, kind: str) -> TimeInForce:
    given = params.get("timeInForce", "")
    if kind == "MARKET":
        if given and not face.perp:
            raise BinanceError(400, -1106, "Parameter 'timeInForce' sent when not required.")
        return TimeInForce.IOC
    if kind == "LIMIT_MAKER" and not face.perp:
        return TimeInForce.POST_ONLY
    if face.perp and kind in _CONDITIONAL:
        text = "Order type not supported for this endpoint. Please use the Algo Order API instead."
        raise BinanceError(400, -4120, text)
    if kind != "LIMIT":
        raise BinanceError(400, -1116, "Invalid orderType.")
    if not given:
        raise missing("timeInForce")
    if given not in _TERMS or (given in _ONLY_PERP_TERMS and not face.perp):
        raise BinanceError(400, -1115, "Invalid timeInForce.")
    return _TERMS[given]


def _check_presence(
    face: Face,
    kind: str,
    *,
    price: Decimal | None,
    quantity: Decimal | None,
    budget: Decimal | None,
) -> None:
    if kind != "MARKET" and price is None:
        raise missing("price")
    if quantity is None and (kind != "MARKET" or budget is None or face.perp):
        raise missing("quantity")


def _check_precision(*values: Decimal | None) -> None:
    for value in values:
        if value is not None and value > 0 and not is_multiple(value, EIGHT_DIGITS):
            raise BinanceError(400, -1111, "Precision is over the maximum defined for this asset.")
