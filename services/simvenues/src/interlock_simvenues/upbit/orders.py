"""From a request body to a new Upbit order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from interlock_core.instrument import Side
from interlock_simvenues.matching.orders import NewOrder, TimeInForce
from interlock_simvenues.upbit.errors import UpbitError, validation

Params = Mapping[str, Any]

MAX_IDENTIFIER = 64
VOLUME_STEP = Decimal("0.00000001")
SIDES = {"bid": Side.BUY, "ask": Side.SELL}
_TERMS = {
    None: TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
    "post_only": TimeInForce.POST_ONLY,
}
_SELF_TRADE = (None, "cancel_maker", "cancel_taker", "reduce", "none")


def read_order(params: Params, markets: Collection[str]) -> NewOrder:
    """Return the order that a request body asks for, or raise."""
    market, side = str(params.get("market", "")), SIDES.get(str(params.get("side")))
    if side is None:
        raise validation("side is missing, side does not have a valid value")
    identifier = str(params.get("identifier") or "")
    if len(identifier) > MAX_IDENTIFIER:
        raise validation("identifier is too long")
    kind, terms = str(params.get("ord_type", "")), params.get("time_in_force")
    if terms not in _TERMS or (kind in ("price", "market") and terms is not None):
        raise UpbitError(400, "invalid_time_in_force", "time_in_force is not valid.")
    self_trade = params.get("smp_type")
    if self_trade not in _SELF_TRADE:
        raise validation("smp_type does not have a valid value")
    if terms == "post_only" and (kind != "limit" or self_trade not in (None, "none")):
        raise UpbitError(400, "invalid_post_only", "post_only is for limit orders without smp.")
    price, volume, budget = _amounts(params, kind, side)
    if market not in markets:
        raise UpbitError(400, "notfoundmarket", "No market found.")
    return NewOrder(
        symbol=market,
        side=side,
        kind=kind,
        time_in_force=_TERMS[terms] if kind in ("limit", "best") else TimeInForce.IOC,
        price=price,
        quantity=volume,
        budget=budget,
        client_id=identifier,
        self_trade="none" if terms == "post_only" else str(self_trade or ""),
    )


def _amounts(
    params: Params, kind: str, side: Side
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Return (price, volume, budget), or raise where they do not go with the order type."""
    price, volume = _decimal(params, "price", side), _decimal(params, "volume", side)
    if volume is not None:
        volume = volume.quantize(VOLUME_STEP, "ROUND_DOWN")
    buying = side is Side.BUY
    if kind == "best" and params.get("time_in_force") not in ("ioc", "fok"):
        raise UpbitError(400, "invalid_time_in_force", "best needs ioc or fok.")
    by_total = kind == "price" or (kind == "best" and buying)
    by_volume = kind == "market" or (kind == "best" and not buying)
    if kind == "limit" and price is not None and volume is not None:
        return price, volume, None
    if by_total and buying and price is not None and volume is None:
        return None, None, price
    if by_volume and not buying and volume is not None and price is None:
        return None, volume, None
    word = "bid" if buying else "ask"
    raise UpbitError(400, f"create_{word}_error", "The order's price and volume do not fit.")


def _decimal(params: Params, key: str, side: Side) -> Decimal | None:
    raw = params.get(key)
    if raw is None or raw == "":
        return None
    try:
        value = Decimal(str(raw))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        word = "bid" if side is Side.BUY else "ask"
        raise UpbitError(400, f"create_{word}_error", f"{key} is not a positive number.")
    return value
