"""Frames and answers of the perpetuals' public interface: only the fields that are used.

Partial depth (`<symbol>@depth5@100ms`): the best levels as they are, with the venue's times.
Prices and sizes are strings on the wire and become floats here.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

Level = tuple[float, float]


class Depth(msgspec.Struct, frozen=True, gc=False):
    """The best levels, best first; `update_id` rises, `event_ms` is the venue's clock."""

    bids: list[Level] = msgspec.field(name="b")
    asks: list[Level] = msgspec.field(name="a")
    update_id: int = msgspec.field(name="u")
    event_ms: int = msgspec.field(name="E")


class DepthFrame(msgspec.Struct, frozen=True, gc=False):
    """A frame of a combined stream; control answers have no stream."""

    stream: str = ""
    data: Depth | None = None


class Ticker(msgspec.Struct, frozen=True):
    """One row of `GET ticker/24hr`; the volume is in the quote currency."""

    symbol: str
    last_price: float = msgspec.field(name="lastPrice")
    volume_24h: float = msgspec.field(name="quoteVolume")


class Filter(msgspec.Struct, frozen=True, rename="camel"):
    """One filter of a symbol: the fields of all kinds, each empty where it does not apply."""

    filter_type: str
    tick_size: str = ""
    step_size: str = ""
    min_qty: str = ""
    max_qty: str = ""
    notional: str = ""


class SymbolInfo(msgspec.Struct, frozen=True, rename="camel"):
    """One row of exchangeInfo."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: list[Filter]
    contract_type: str = ""


class ExchangeInfo(msgspec.Struct, frozen=True):
    """`GET exchangeInfo`."""

    symbols: list[SymbolInfo]


decode_depth: Callable[[bytes], DepthFrame] = msgspec.json.Decoder(DepthFrame, strict=False).decode
decode_tickers: Callable[[bytes], list[Ticker]] = msgspec.json.Decoder(
    list[Ticker], strict=False
).decode
decode_exchange_info: Callable[[bytes], ExchangeInfo] = msgspec.json.Decoder(ExchangeInfo).decode
