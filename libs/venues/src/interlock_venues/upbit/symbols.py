"""Names of Upbit markets: `KRW-BTC` is BTC priced in KRW."""

from __future__ import annotations

FX_MARKET = "KRW-USDT"
QUOTE = "KRW"


def asset_of(market: str) -> str | None:
    """Return the asset of a KRW market, or None for other quotes."""
    quote, separator, asset = market.partition("-")
    return asset if separator and asset and quote == QUOTE else None


def market_of(asset: str) -> str:
    """Return the KRW market of an asset."""
    return f"{QUOTE}-{asset}"


def market_of_code(code: str) -> str:
    """Return the market of a frame's code, without the depth suffix that was asked for."""
    return code.partition(".")[0]
