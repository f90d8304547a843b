"""Upbit's private WebSocket: myOrder and myAsset."""

from __future__ import annotations

import json
import uuid as uuid_module
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from interlock_core.instrument import Side, Venue
from interlock_simvenues.matching.orders import EventKind, OrderEvent
from interlock_simvenues.outbox import Outbox
from interlock_simvenues.units import NS_PER_MS
from interlock_simvenues.upbit import encode
from interlock_simvenues.upbit.names import simple_names
from interlock_simvenues.upbit.private import Trading, trade_uuid
from interlock_simvenues.upbit.requests import Request, RequestError, parse
from interlock_simvenues.upbit.stream import UP
from interlock_simvenues.world import World

TYPES = ("myOrder", "myAsset")
_STATE = {
    EventKind.ACCEPTED: "wait",
    EventKind.TRADED: "trade",
    EventKind.CANCELED: "cancel",
    EventKind.EXPIRED: "cancel",
    EventKind.PREVENTED: "prevented",
}


@dataclass(slots=True)
class _Client:
    format: str = "DEFAULT"
    orders: bool = False
    codes: frozenset[str] = field(default_factory=frozenset)
    assets: bool = False


class PrivateStream:
    """Subscriptions of every private connection."""

    def __init__(self, world: World, trading: Trading) -> None:
        self._world = world
        self._trading = trading
        self._clients: dict[Outbox, _Client] = {}
        world.exchanges[Venue.UPBIT].observers.append(self._observe)

    def opened(self, outbox: Outbox) -> None:
        """Start with no subscription."""
        self._clients[outbox] = _Client()

    def closed(self, outbox: Outbox) -> None:
        """Forget a connection."""
        del self._clients[outbox]

    def received(self, outbox: Outbox, text: str) -> None:
        """Handle one client message: PING, or a request that replaces the subscription."""
        if text == "PING":
            outbox.send(UP)
            return
        try:
            request = parse(text, TYPES, needs_codes=False)
            self._clients[outbox] = _client(request)
        except RequestError as error:
            outbox.fail(error.frame())

    def _observe(self, event: OrderEvent) -> None:
        if not self._clients:
            return
        rows = [self._order_row(event)]
        if event.kind is EventKind.TRADED and not event.order.is_open:
            rows.append(self._order_row(event, state="done"))
        asset_row = self._asset_row(event)
        for outbox, client in self._clients.items():
            if client.orders and (not client.codes or event.order.new.symbol in client.codes):
                for row in rows:
                    outbox.send(_frame(row, client.format), symbol=event.order.new.symbol)
            if client.assets:
                outbox.send(_frame(asset_row, client.format), symbol=event.order.new.symbol)

    def _order_row(self, event: OrderEvent, state: str | None = None) -> dict[str, Any]:
        order, fill = event.order, event.fill if state is None else None
        fields = encode.order_fields(order, uuid=self._trading.uuid(order))
        average = order.funds / order.filled if order.filled else None
        return {
            "type": "myOrder",
            "code": order.new.symbol,
            "uuid": fields["uuid"],
            "ask_bid": "BID" if order.new.side is Side.BUY else "ASK",
            "order_type": fields["ord_type"],
            "state": state or _STATE[event.kind],
            "trade_uuid": trade_uuid(fill.trade_id) if fill else None,
            "price": _float(fill.price if fill else fields["price"]),
            "avg_price": _float(average),
            "volume": _float(fill.quantity if fill else fields["volume"]),
            "remaining_volume": _float(fields["remaining_volume"]),
            "executed_volume": _float(order.filled),
            "trades_count": fields["trades_count"],
            "reserved_fee": _float(fields["reserved_fee"]),
            "remaining_fee": _float(fields["remaining_fee"]),
            "paid_fee": _float(order.fee),
            "locked": _float(order.locked),
            "executed_funds": _float(order.funds),
            "time_in_force": fields["time_in_force"],
            "trade_fee": _float(fill.fee) if fill else None,
            "is_maker": fill.maker if fill else None,
            "identifier": fields["identifier"],
            "smp_type": fields["smp_type"],
            "prevented_volume": _float(fields["prevented_volume"]),
            "prevented_locked": _float(fields["prevented_locked"]),
            "trade_timestamp": fill.time_ns // NS_PER_MS if fill else None,
            "order_timestamp": order.created_ns // NS_PER_MS,
            "timestamp": event.time_ns // NS_PER_MS,
            "stream_type": "REALTIME",
        }

    def _asset_row(self, event: OrderEvent) -> dict[str, Any]:
        base = event.order.new.symbol.partition("-")[2]
        ledger = self._world.upbit_ledger
        time_ms = event.time_ns // NS_PER_MS
        return {
            "type": "myAsset",
            "asset_uuid": str(uuid_module.UUID(int=event.time_ns)),
            "assets": [
                {
                    "currency": asset,
                    "balance": float(ledger.balance(asset).free),
                    "locked": float(ledger.balance(asset).locked),
                }
                for asset in ("KRW", base)
            ],
            "asset_timestamp": time_ms,
            "timestamp": time_ms,
            "stream_type": "REALTIME",
        }


def _client(request: Request) -> _Client:
    client = _Client(request.format)
    for channel in request.channels:
        if channel.type == "myAsset":
            if channel.codes:
                raise RequestError("WRONG_FORMAT", "myAsset takes no codes.")
            client.assets = True
        else:
            client.orders = True
            client.codes |= frozenset(channel.codes)
    return client


def _frame(row: dict[str, Any], form: str) -> bytes:
    shown = simple_names(row) if form.startswith("SIMPLE") else row
    body = [shown] if form.endswith("LIST") else shown
    return json.dumps(body, separators=(",", ":")).encode()


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
