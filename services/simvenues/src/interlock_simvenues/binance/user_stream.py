"""Spot user data: executionReport and outboundAccountPosition over the WebSocket API."""

from __future__ import annotations

import json
from typing import Any

from interlock_simvenues.binance import encode
from interlock_simvenues.binance.face import Face
from interlock_simvenues.matching.orders import ZERO, EventKind, Order, OrderEvent, TimeInForce
from interlock_simvenues.outbox import Outbox
from interlock_simvenues.units import NS_PER_MS

Row = dict[str, Any]
_KINDS = {
    EventKind.ACCEPTED: "NEW",
    EventKind.TRADED: "TRADE",
    EventKind.CANCELED: "CANCELED",
    EventKind.EXPIRED: "EXPIRED",
    EventKind.PREVENTED: "TRADE_PREVENTION",
}


class SpotUserStream:
    """Subscriptions by connection; a connection may hold one."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._subscriptions: dict[Outbox, int] = {}
        face.exchange.observers.append(self._observe)

    def subscribe(self, outbox: Outbox) -> int:
        """Start sending events to a connection; return the subscription id."""
        return self._subscriptions.setdefault(outbox, 0)

    def unsubscribe(self, outbox: Outbox) -> None:
        """Stop sending events to a connection."""
        self._subscriptions.pop(outbox, None)

    def _observe(self, event: OrderEvent) -> None:
        if not self._subscriptions:
            return
        payloads = [report(event), self._position(event)]
        for outbox, number in self._subscriptions.items():
            for payload in payloads:
                frame = {"subscriptionId": number, "event": payload}
                text = json.dumps(frame, separators=(",", ":"))
                outbox.send(text.encode(), symbol=event.order.new.symbol)

    def _position(self, event: OrderEvent) -> Row:
        item = self._face.instruments[event.order.new.symbol]
        ledger, time_ms = self._face.world.spot_ledger, event.time_ns // NS_PER_MS
        return {
            "e": "outboundAccountPosition",
            "E": time_ms,
            "u": time_ms,
            "B": [
                {
                    "a": asset,
                    "f": encode.amount(ledger.balance(asset).free),
                    "l": encode.amount(ledger.balance(asset).locked),
                }
                for asset in (item.base, item.quote)
            ],
        }


def report(event: OrderEvent) -> Row:
    """Return an executionReport."""
    order, fill = event.order, event.fill
    new, time_ms = order.new, event.time_ns // NS_PER_MS
    maker_only = new.time_in_force is TimeInForce.POST_ONLY
    row: Row = {
        "e": "executionReport",
        "E": time_ms,
        "s": new.symbol,
        "c": new.client_id,
        "S": new.side.upper(),
        "o": new.kind,
        "f": "GTC" if maker_only or new.price is None else encode.TERMS[new.time_in_force],
        "q": encode.amount(new.quantity or ZERO),
        "p": encode.amount(new.price or ZERO),
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": _KINDS[event.kind],
        "X": _status(event, order),
        "r": "NONE",
        "i": order.order_id,
        "l": encode.amount(fill.quantity if fill else ZERO),
        "z": encode.amount(order.filled),
        "L": encode.amount(fill.price if fill else ZERO),
        "n": encode.amount(fill.fee if fill else ZERO),
        "N": fill.fee_asset if fill else None,
        "T": time_ms,
        "t": fill.trade_id if fill else -1,
        "I": order.order_id * 2,
        "w": order.is_open,
        "m": fill.maker if fill else False,
        "M": fill is not None,
        "O": order.created_ns // NS_PER_MS,
        "Z": encode.amount(order.funds),
        "Y": encode.amount(fill.funds if fill else ZERO),
        "Q": encode.amount(new.budget or ZERO),
        "W": order.created_ns // NS_PER_MS,
        "V": new.self_trade,
    }
    return row


def _status(event: OrderEvent, order: Order) -> str:
    return "NEW" if event.kind is EventKind.ACCEPTED else encode.status(order)
