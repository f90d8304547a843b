"""The symbols of exchangeInfo with their filters."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from interlock_simvenues.market.instruments import PERP_BAND, SPOT_BAND, Instrument, Status
from interlock_simvenues.units import plain

FOREVER_MS = 4_133_404_800_000
ONBOARD_MS = 1_569_398_400_000
SELF_TRADE_MODES = ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]


def spot(item: Instrument) -> dict[str, Any]:
    """Return one spot symbol."""
    return {
        "symbol": item.symbol,
        "status": "HALT" if item.status is Status.HALTED else "TRADING",
        "baseAsset": item.base,
        "baseAssetPrecision": 8,
        "quoteAsset": item.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _spot_filters(item),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": SELF_TRADE_MODES,
    }


def perp(item: Instrument) -> dict[str, Any]:
    """Return one USD-M perpetual."""
    return {
        "symbol": item.symbol,
        "pair": item.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": FOREVER_MS,
        "onboardDate": ONBOARD_MS,
        "status": "PENDING_TRADING" if item.status is Status.HALTED else "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": item.base,
        "quoteAsset": item.quote,
        "marginAsset": "USDT",
        "pricePrecision": max(item.price_digits, 2),
        "quantityPrecision": item.lot_digits,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW" if item.base == "BTC" else "Layer-1"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": _perp_filters(item),
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }


def _price_filter(item: Instrument) -> dict[str, Any]:
    tick = item.rules.tick_at(item.rules.lot)
    return {
        "filterType": "PRICE_FILTER",
        "minPrice": plain(tick),
        "maxPrice": plain(tick * 100_000_000),
        "tickSize": format(tick, f".{max(item.price_digits, 2)}f"),
    }


def _lot_filter(item: Instrument, name: str, most: Decimal) -> dict[str, Any]:
    return {
        "filterType": name,
        "minQty": plain(item.rules.min_quantity),
        "maxQty": plain(most),
        "stepSize": plain(item.rules.lot),
    }


def _spot_filters(item: Instrument) -> list[dict[str, Any]]:
    down, up = plain(SPOT_BAND[0]), plain(SPOT_BAND[1])
    return [
        _price_filter(item),
        _lot_filter(item, "LOT_SIZE", item.rules.max_quantity),
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {
            **_lot_filter(item, "MARKET_LOT_SIZE", item.rules.max_market_quantity),
            "minQty": "0.00000000",
            "stepSize": "0.00000000",
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": up,
            "bidMultiplierDown": down,
            "askMultiplierUp": up,
            "askMultiplierDown": down,
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": format(item.rules.min_notional, ".8f"),
            "applyMinToMarket": True,
            "maxNotional": format(item.rules.max_notional or 0, ".8f"),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]


def _perp_filters(item: Instrument) -> list[dict[str, Any]]:
    return [
        _price_filter(item),
        _lot_filter(item, "LOT_SIZE", item.rules.max_quantity),
        _lot_filter(item, "MARKET_LOT_SIZE", item.rules.max_market_quantity),
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": plain(item.rules.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": format(PERP_BAND[1], ".4f"),
            "multiplierDown": format(PERP_BAND[0], ".4f"),
            "multiplierDecimal": "4",
        },
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]
