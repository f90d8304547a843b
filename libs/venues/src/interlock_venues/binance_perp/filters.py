"""Order rules of USDT-margined perpetuals, from exchangeInfo."""

from __future__ import annotations

from decimal import Decimal

from interlock_core.instrument import Instrument, Venue
from interlock_venues.binance_perp.messages import ExchangeInfo, SymbolInfo
from interlock_venues.binance_perp.symbols import QUOTE

PERPETUAL = "PERPETUAL"


def instruments(info: ExchangeInfo) -> dict[str, Instrument]:
    """Return the USDT perpetuals that trade, by symbol."""
    return {row.symbol: _instrument(row) for row in info.symbols if _is_traded(row)}


def _is_traded(row: SymbolInfo) -> bool:
    return row.quote_asset == QUOTE and row.status == "TRADING" and row.contract_type == PERPETUAL


def _instrument(row: SymbolInfo) -> Instrument:
    """Return the rules of one symbol; raises KeyError or ArithmeticError where one is missing."""
    filters = {item.filter_type: item for item in row.filters}
    lot = filters["LOT_SIZE"]
    return Instrument(
        venue=Venue.BINANCE_PERP,
        symbol=row.symbol,
        asset=row.base_asset,
        quote=row.quote_asset,
        tick=Decimal(filters["PRICE_FILTER"].tick_size),
        lot=Decimal(lot.step_size),
        min_quantity=Decimal(lot.min_qty),
        max_quantity=Decimal(lot.max_qty),
        # The key is `notional` here, `minNotional` on spot.
        min_notional=Decimal(filters["MIN_NOTIONAL"].notional),
        max_notional=None,
    )
