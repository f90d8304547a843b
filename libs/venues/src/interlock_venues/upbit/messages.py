"""Frames and answers of Upbit's public interface: only the fields that are used.

WebSocket frames are binary UTF-8 JSON. Numbers are JSON floats, large ones in exponent form
(`1.16539E8`). There are no deltas: each order-book frame is the whole book.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

DEPTH_SUFFIX = ".5"


class Unit(msgspec.Struct, frozen=True, gc=False):
    """One row of the book: both sides at one depth; a thin side is padded with zeros."""

    ask: float = msgspec.field(name="ap")
    bid: float = msgspec.field(name="bp")
    ask_size: float = msgspec.field(name="as")
    bid_size: float = msgspec.field(name="bs")


class DefaultUnit(msgspec.Struct, frozen=True, gc=False):
    """The same row in the DEFAULT format and in REST answers."""

    ask: float = msgspec.field(name="ask_price")
    bid: float = msgspec.field(name="bid_price")
    ask_size: float
    bid_size: float


class SocketError(msgspec.Struct, frozen=True):
    """What the venue says before it closes the socket."""

    name: str
    message: str = ""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """Any frame of a SIMPLE order-book subscription: a book, an error, or a status line."""

    type: str = msgspec.field(name="ty", default="")
    code: str = msgspec.field(name="cd", default="")
    timestamp_ms: int = msgspec.field(name="tms", default=0)
    units: list[Unit] = msgspec.field(name="obu", default_factory=list)
    error: SocketError | None = None


class DefaultFrame(msgspec.Struct, frozen=True, gc=False):
    """Any frame of a DEFAULT order-book subscription."""

    type: str = ""
    code: str = ""
    timestamp_ms: int = msgspec.field(name="timestamp", default=0)
    units: list[DefaultUnit] = msgspec.field(name="orderbook_units", default_factory=list)
    error: SocketError | None = None


class Market(msgspec.Struct, frozen=True):
    """One row of `GET /v1/market/all`."""

    market: str


class Ticker(msgspec.Struct, frozen=True):
    """One row of `GET /v1/ticker/all`; the 24 h volume is in the quote currency."""

    market: str
    trade_price: float
    volume_24h: float = msgspec.field(name="acc_trade_price_24h")


class MarketRules(msgspec.Struct, frozen=True):
    """One row of `GET /v1/orderbook/instruments`: the tick as it stands, as text."""

    market: str
    tick_size: str


decode_frame: Callable[[bytes], Frame] = msgspec.json.Decoder(Frame).decode
decode_default_frame: Callable[[bytes], DefaultFrame] = msgspec.json.Decoder(DefaultFrame).decode
decode_markets: Callable[[bytes], list[Market]] = msgspec.json.Decoder(list[Market]).decode
decode_tickers: Callable[[bytes], list[Ticker]] = msgspec.json.Decoder(list[Ticker]).decode
decode_rules: Callable[[bytes], list[MarketRules]] = msgspec.json.Decoder(list[MarketRules]).decode


def subscribe_orderbooks(codes: Sequence[str], *, ticket: str) -> bytes:
    """Return the request for five levels of each book; it replaces the socket's subscription."""
    wanted = [code + DEPTH_SUFFIX for code in codes]
    return msgspec.json.encode(
        [{"ticket": ticket}, {"type": "orderbook", "codes": wanted}, {"format": "SIMPLE"}]
    )
