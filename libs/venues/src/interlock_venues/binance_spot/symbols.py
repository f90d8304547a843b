"""Names of Binance spot markets: `BTCUSDT` is BTC priced in USDT, its streams are lower case."""

from __future__ import annotations

from collections.abc import Sequence

QUOTE = "USDT"
DEPTH = "@depth5@100ms"


def symbol_of(asset: str) -> str:
    """Return the USDT symbol of an asset."""
    return asset + QUOTE


def depth_stream(symbol: str) -> str:
    """Return the stream of the five best levels, every 100 ms."""
    return symbol.lower() + DEPTH


def combined_path(symbols: Sequence[str]) -> str:
    """Return path and query of one socket for the books of all symbols."""
    return "/stream?streams=" + "/".join(map(depth_stream, symbols))
