"""Order rules of Binance spot symbols, from exchangeInfo."""

from __future__ import annotations

from decimal import Decimal

from interlock_core.instrument import Instrument, Venue
from interlock_venues.binance_spot.messages import ExchangeInfo, SymbolInfo
from interlock_venues.binance_spot.symbols import QUOTE


def instruments(info: ExchangeInfo) -> dict[str, Instrument]:
    """Return the USDT symbols that trade, by symbol."""
    traded = (s for s in info.symbols if s.quote_asset == QUOTE and s.status == "TRADING")
    return {row.symbol: _instrument(row) for row in traded}


def _instrument(row: SymbolInfo) -> Instrument:
    """Return the rules of one symbol; raises KeyError or ArithmeticError where one is missing."""
    filters = {item.filter_type: item for item in row.filters}
    lot, notional = filters["LOT_SIZE"], filters["NOTIONAL"]
    return Instrument(
        venue=Venue.BINANCE,
        symbol=row.symbol,
        asset=row.base_asset,
        quote=row.quote_asset,
        tick=Decimal(filters["PRICE_FILTER"].tick_size),
        lot=Decimal(lot.step_size),
        min_quantity=Decimal(lot.min_qty),
        max_quantity=Decimal(lot.max_qty),
        min_notional=Decimal(notional.min_notional),
        max_notional=Decimal(notional.max_notional) if notional.max_notional else None,
    )
