"""Upbit's public WebSocket: whole books, tickers, trades and candles in binary frames."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from interlock_core.instrument import Venue
from interlock_simvenues.market.candles import bars
from interlock_simvenues.market.instruments import Instrument, Status
from interlock_simvenues.market.tape import Print
from interlock_simvenues.outbox import Outbox
from interlock_simvenues.units import NS_PER_MS
from interlock_simvenues.upbit import encode
from interlock_simvenues.upbit.names import simple_names
from interlock_simvenues.upbit.requests import Channel, Request, RequestError, parse
from interlock_simvenues.world import World

UP = b'{"status":"UP"}'
TYPES = ("orderbook", "ticker", "trade", "candle.1s")
Key = tuple[str, str, int, str]


@dataclass(slots=True)
class _Client:
    outbox: Outbox
    keys: set[Key]


class PublicStream:
    """Subscriptions of every public connection; encodes each frame once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._markets = world.instruments.of(Venue.UPBIT)
        self._clients: dict[Outbox, _Client] = {}
        self._subscribers: defaultdict[Key, set[Outbox]] = defaultdict(set)
        self._by_code: defaultdict[str, set[Key]] = defaultdict(set)
        world.publishers.append(self.publish)

    def opened(self, outbox: Outbox) -> None:
        """Start with no subscription."""
        self._clients[outbox] = _Client(outbox, set())

    def closed(self, outbox: Outbox) -> None:
        """Forget a connection."""
        self._unsubscribe(self._clients.pop(outbox))

    def received(self, outbox: Outbox, text: str) -> None:
        """Handle one client message: PING, or a request that replaces the subscription."""
        if text == "PING":
            outbox.send(UP)
            return
        try:
            request = parse(text, TYPES)
        except RequestError as error:
            outbox.fail(error.frame())
            return
        client = self._clients[outbox]
        self._unsubscribe(client)
        for channel in request.channels:
            for code in channel.codes:
                item = self._markets.get(code)
                if item is not None:
                    self._subscribe(client, item, channel, request)

    def publish(self, moved: list[Instrument], printed: list[Instrument], now_ns: int) -> None:
        """Send every changed book and every new trade to whoever asked for it."""
        for item in moved:
            if item.venue is Venue.UPBIT:
                self._publish_book(item, now_ns)
        for item in printed:
            if item.venue is Venue.UPBIT and item.symbol in self._by_code:
                for trade in item.tape.fresh:
                    self._publish_trade(item, trade, now_ns)

    def _publish_book(self, item: Instrument, now_ns: int) -> None:
        for key in tuple(self._by_code.get(item.symbol, ())):
            if key[0] == "orderbook":
                self._send(key, _frame(item, key, "REALTIME", now_ns))

    def _publish_trade(self, item: Instrument, trade: Print, now_ns: int) -> None:
        for key in tuple(self._by_code.get(item.symbol, ())):
            if key[0] == "trade":
                row = trade_fields(item, trade)
                self._send(key, _encode(row, key, "REALTIME"))
            elif key[0] != "orderbook":
                self._send(key, _frame(item, key, "REALTIME", now_ns))

    def _send(self, key: Key, frame: bytes) -> None:
        for outbox in self._subscribers[key]:
            outbox.send(frame, symbol=key[1])

    def _subscribe(
        self, client: _Client, item: Instrument, channel: Channel, request: Request
    ) -> None:
        key = (channel.type, item.symbol, channel.units, request.format)
        if not channel.only_realtime:
            frame = _frame(item, key, "SNAPSHOT", self._world.clock.wall_ns())
            if frame:
                client.outbox.send(frame, symbol=item.symbol)
        if not channel.only_snapshot:
            client.keys.add(key)
            self._subscribers[key].add(client.outbox)
            self._by_code[item.symbol].add(key)

    def _unsubscribe(self, client: _Client) -> None:
        for key in client.keys:
            watching = self._subscribers[key]
            watching.discard(client.outbox)
            if not watching:
                del self._subscribers[key]
                self._by_code[key[1]].discard(key)
                if not self._by_code[key[1]]:
                    del self._by_code[key[1]]
        client.keys.clear()


def _frame(item: Instrument, key: Key, stream: str, now_ns: int) -> bytes:
    kind, _, units, form = key
    if kind == "orderbook":
        frame = encode.orderbook_frame(
            item, stream=stream, units=units, simple=form.startswith("SIMPLE")
        )
        return b"[" + frame + b"]" if form.endswith("LIST") else frame
    maker = _ROWS[kind]
    row = maker(item, now_ns)
    return b"" if row is None else _encode(row, key, stream)


def _encode(row: dict[str, Any], key: Key, stream: str) -> bytes:
    row["stream_type"] = stream
    if key[3].startswith("SIMPLE"):
        row = simple_names(row)
    body = json.dumps([row] if key[3].endswith("LIST") else row, separators=(",", ":"))
    return body.encode()


def ticker_fields(item: Instrument, now_ns: int) -> dict[str, Any]:
    """Return a ticker with the WebSocket's names."""
    row = encode.ticker_row(item, now_ns)
    side = item.tape.prints and item.tape.prints[-1].buyer_is_maker
    skipped = ("market", "trade_date_kst", "trade_time_kst")
    fields: dict[str, Any] = {"type": "ticker", "code": item.symbol}
    fields.update({name: value for name, value in row.items() if name not in skipped})
    fields.update(
        {
            "ask_bid": "ASK" if side else "BID",
            "acc_ask_volume": item.tape.volume / 2,
            "acc_bid_volume": item.tape.volume / 2,
            "market_state": "DELISTED" if item.status is Status.DELISTED else "ACTIVE",
            "is_trading_suspended": item.status is not Status.TRADING,
            "delisting_date": None,
            "market_warning": "NONE",
        }
    )
    return fields


def trade_fields(item: Instrument, trade: Print) -> dict[str, Any]:
    """Return a trade with the WebSocket's names."""
    row = encode.trade_row(item, trade)
    change = row["change_price"]
    ask, bid = item.shown.asks.best() or (0, 0), item.shown.bids.best() or (0, 0)
    return {
        "type": "trade",
        "code": item.symbol,
        "timestamp": trade.time_ms,
        "trade_date": row["trade_date_utc"],
        "trade_time": row["trade_time_utc"],
        "trade_timestamp": trade.time_ms,
        "trade_price": row["trade_price"],
        "trade_volume": row["trade_volume"],
        "ask_bid": row["ask_bid"],
        "prev_closing_price": row["prev_closing_price"],
        "change": "RISE" if change > 0 else "FALL" if change < 0 else "EVEN",
        "change_price": abs(change),
        "sequential_id": trade.trade_id,
        "best_ask_price": ask[0] / 1e8,
        "best_ask_size": ask[1] / 1e8,
        "best_bid_price": bid[0] / 1e8,
        "best_bid_size": bid[1] / 1e8,
    }


def _last_trade(item: Instrument, _now_ns: int) -> dict[str, Any] | None:
    return trade_fields(item, item.tape.prints[-1]) if item.tape.prints else None


def _candle(item: Instrument, now_ns: int) -> dict[str, Any]:
    (bar,) = bars(item, length_ms=1_000, end_ms=now_ns // NS_PER_MS + 1, count=1)
    row = encode.candle_row(item, bar, unit=None)
    row.pop("market")
    return {"type": "candle.1s", "code": item.symbol, **row}


_ROWS: dict[str, Callable[[Instrument, int], dict[str, Any] | None]] = {
    "ticker": ticker_fields,
    "trade": _last_trade,
    "candle.1s": _candle,
}
