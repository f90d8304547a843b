"""USD-M user data: listen keys, ORDER_TRADE_UPDATE and ACCOUNT_UPDATE."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from interlock_simvenues.binance import encode
from interlock_simvenues.binance.auth import Key
from interlock_simvenues.binance.errors import BinanceError
from interlock_simvenues.binance.face import Face
from interlock_simvenues.binance.user_stream import _KINDS
from interlock_simvenues.matching.orders import ZERO, EventKind, OrderEvent
from interlock_simvenues.outbox import Outbox
from interlock_simvenues.units import NS_PER_MS, NS_PER_S

Row = dict[str, Any]
VALID_NS = 3_600 * NS_PER_S


class ListenKeys:
    """One listen key an API key, valid for an hour after its last extension."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._keys: dict[str, tuple[str, int]] = {}

    def create(self, key: Key) -> object:
        """Answer POST listenKey: a running key is extended and returned again."""
        running = self._keys.get(key.key)
        now = self._face.now_ns()
        if running is None or running[1] < now:
            name = hashlib.sha256(f"{key.key}{now}".encode()).hexdigest()
        else:
            name = running[0]
        self._keys[key.key] = (name, now + VALID_NS)
        return {"listenKey": name}

    def extend(self, key: Key) -> object:
        """Answer PUT listenKey."""
        running = self._keys.get(key.key)
        if running is None:
            raise BinanceError(400, -1125, "This listenKey does not exist.")
        self._keys[key.key] = (running[0], self._face.now_ns() + VALID_NS)
        return {"listenKey": running[0]}

    def close(self, key: Key) -> object:
        """Answer DELETE listenKey."""
        self._keys.pop(key.key, None)
        return {}

    def is_valid(self, name: str) -> bool:
        """Say whether a listen key may open a user stream now."""
        now = self._face.now_ns()
        return any(name == known and until >= now for known, until in self._keys.values())


class PerpUserStream:
    """Connections that were opened with a valid listen key."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._clients: set[Outbox] = set()
        face.exchange.observers.append(self._observe)

    def opened(self, outbox: Outbox) -> None:
        """Start sending events to a connection."""
        self._clients.add(outbox)

    def closed(self, outbox: Outbox) -> None:
        """Forget a connection."""
        self._clients.discard(outbox)

    def received(self, outbox: Outbox, text: str) -> None:
        """Acknowledge what a client sends; nothing can be asked here."""
        try:
            request_id = json.loads(text).get("id")
        except (json.JSONDecodeError, AttributeError):
            return
        outbox.send(json.dumps({"result": None, "id": request_id}).encode())

    def _observe(self, event: OrderEvent) -> None:
        if not self._clients:
            return
        rows = [self._order_update(event)]
        if event.kind is EventKind.TRADED:
            rows.insert(0, self._account_update(event))
        for row in rows:
            frame = json.dumps(row, separators=(",", ":")).encode()
            for outbox in self._clients:
                outbox.send(frame, symbol=event.order.new.symbol)

    def _order_update(self, event: OrderEvent) -> Row:
        order, fill = event.order, event.fill
        new, time_ms = order.new, event.time_ns // NS_PER_MS
        item = self._face.instruments[new.symbol]
        status = "NEW" if event.kind is EventKind.ACCEPTED else encode.status(order)
        average = order.funds / order.filled if order.filled else ZERO
        row: Row = {
            "s": new.symbol,
            "c": new.client_id,
            "S": new.side.upper(),
            "o": new.kind,
            "f": "GTC" if new.price is None else encode.TERMS[new.time_in_force],
            "q": encode.amount(new.quantity or ZERO, item.lot_digits),
            "p": encode.amount(new.price or ZERO, item.price_digits),
            "ap": encode.amount(average, 8),
            "sp": "0",
            "x": _KINDS[event.kind],
            "X": status,
            "i": order.order_id,
            "l": encode.amount(fill.quantity if fill else ZERO, item.lot_digits),
            "z": encode.amount(order.filled, item.lot_digits),
            "L": encode.amount(fill.price if fill else ZERO, item.price_digits),
            "n": encode.amount(fill.fee if fill else ZERO),
            "N": "USDT",
            "T": time_ms,
            "t": fill.trade_id if fill else 0,
            "b": "0",
            "a": "0",
            "m": fill.maker if fill else False,
            "R": new.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": new.kind,
            "ps": new.position_side,
            "cp": False,
            "rp": encode.amount(fill.realized if fill else ZERO),
            "pP": False,
            "si": 0,
            "ss": 0,
            "V": new.self_trade,
            "pm": "NONE",
            "gtd": 0,
        }
        return {"e": "ORDER_TRADE_UPDATE", "E": time_ms, "T": time_ms, "o": row}

    def _account_update(self, event: OrderEvent) -> Row:
        account = self._face.world.perp_account
        new, time_ms = event.order.new, event.time_ns // NS_PER_MS
        item = self._face.instruments[new.symbol]
        position = account.position(new.symbol, new.position_side)
        config = account.config(new.symbol)
        wallet = encode.amount(account.wallet)
        data: Row = {
            "m": "ORDER",
            "B": [{"a": "USDT", "wb": wallet, "cw": wallet, "bc": "0"}],
            "P": [
                {
                    "s": new.symbol,
                    "pa": encode.amount(position.amount, item.lot_digits),
                    "ep": encode.amount(position.entry),
                    "bep": encode.amount(position.entry),
                    "cr": encode.amount(position.realized),
                    "up": encode.amount(account.unrealized(position)),
                    "mt": "isolated" if config.isolated else "cross",
                    "iw": "0",
                    "ps": position.side,
                }
            ],
        }
        return {"e": "ACCOUNT_UPDATE", "E": time_ms, "T": time_ms, "a": data}
