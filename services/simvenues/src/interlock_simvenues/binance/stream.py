"""Binance's market streams: raw and combined, subscribed by URL or by message."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from interlock_simvenues.binance.channels import Channel, Channels
from interlock_simvenues.binance.face import Face
from interlock_simvenues.market.instruments import Instrument
from interlock_simvenues.outbox import Outbox

Allowed = Callable[[Channel], bool]


@dataclass(slots=True)
class _Client:
    combined: bool
    allowed: Allowed
    streams: set[str] = field(default_factory=set)


class MarketStream:
    """Subscriptions of every connection to one market; encodes each frame once."""

    def __init__(self, face: Face) -> None:
        self._channels = Channels(face)
        self._clients: dict[Outbox, _Client] = {}
        self._subscribers: defaultdict[str, set[Outbox]] = defaultdict(set)
        self._live: dict[str, Channel] = {}
        face.world.publishers.append(self._publish)

    def opened(
        self, outbox: Outbox, streams: list[str], *, combined: bool, allowed: Allowed
    ) -> None:
        """Start with the streams named by the URL."""
        self._clients[outbox] = _Client(combined, allowed)
        self._subscribe(outbox, streams)

    def closed(self, outbox: Outbox) -> None:
        """Forget a connection."""
        client = self._clients.pop(outbox)
        for name in list(client.streams):
            self._drop(outbox, client, name)

    def received(self, outbox: Outbox, text: str) -> None:
        """Handle SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS and the combined property."""
        try:
            message = json.loads(text)
        except json.JSONDecodeError:
            outbox.send(_error(2, "Invalid request: request must be JSON"))
            return
        if not isinstance(message, dict):
            outbox.send(_error(2, "Invalid request: request must be an object"))
            return
        method, request_id = message.get("method"), message.get("id")
        params = message.get("params") or []
        result: Any = None
        if method == "SUBSCRIBE":
            self._subscribe(outbox, [str(name) for name in params])
        elif method == "UNSUBSCRIBE":
            client = self._clients[outbox]
            for name in params:
                self._drop(outbox, client, str(name))
        elif method == "LIST_SUBSCRIPTIONS":
            result = sorted(self._clients[outbox].streams)
        elif method == "SET_PROPERTY" and len(params) == 2:  # noqa: PLR2004
            self._clients[outbox].combined = bool(params[1])
        else:
            outbox.send(_error(2, f"Invalid request: unknown method {method!r}"))
            return
        outbox.send(json.dumps({"result": result, "id": request_id}).encode())

    def _subscribe(self, outbox: Outbox, names: list[str]) -> None:
        client = self._clients[outbox]
        for name in names:
            channel = self._live.get(name) or self._channels.open(name)
            # Like the venue: a stream that does not exist, or not on this path, stays silent.
            if channel is None or not client.allowed(channel):
                continue
            self._live[name] = channel
            client.streams.add(name)
            self._subscribers[name].add(outbox)

    def _drop(self, outbox: Outbox, client: _Client, name: str) -> None:
        client.streams.discard(name)
        watching = self._subscribers.get(name)
        if watching is None:
            return
        watching.discard(outbox)
        if not watching:
            del self._subscribers[name]
            self._channels.close(self._live.pop(name))

    def _publish(self, moved: list[Instrument], printed: list[Instrument], now_ns: int) -> None:
        self._channels.begin(moved, printed, now_ns)
        for name, channel in self._live.items():
            for frame in channel.frames():
                self._send(name, frame, sequenced=channel.sequenced)

    def _send(self, name: str, frame: str, *, sequenced: bool) -> None:
        symbol = name.partition("@")[0].upper()
        raw, wrapped = frame.encode(), b""
        for outbox in self._subscribers[name]:
            if not self._clients[outbox].combined:
                outbox.send(raw, symbol=symbol, sequenced=sequenced)
                continue
            if not wrapped:
                wrapped = f'{{"stream":"{name}","data":{frame}}}'.encode()
            outbox.send(wrapped, symbol=symbol, sequenced=sequenced)


def _error(code: int, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "msg": message}}).encode()
