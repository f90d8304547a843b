"""The payloads of Binance's market streams."""

from __future__ import annotations

from typing import Any

from interlock_simvenues.binance import encode
from interlock_simvenues.binance.public import FUNDING_MS, FUNDING_RATE, INTERVALS
from interlock_simvenues.market.candles import bars
from interlock_simvenues.market.instruments import Instrument
from interlock_simvenues.market.tape import Print
from interlock_simvenues.matching.book import Level
from interlock_simvenues.units import NS_PER_MS

Row = dict[str, Any]


def book_ticker(item: Instrument, bid: Level, ask: Level, now_ms: int) -> str:
    """Return a bookTicker payload as JSON text; spot carries no time."""
    places, lot_places = encode.digits(item)
    quotes = (
        f'"s":"{item.symbol}","b":"{encode.text(bid[0], places)}",'
        f'"B":"{encode.text(bid[1], lot_places)}","a":"{encode.text(ask[0], places)}",'
        f'"A":"{encode.text(ask[1], lot_places)}"'
    )
    if item.venue == "BINANCE":
        return f'{{"u":{item.shown.update_id},{quotes}}}'
    changed_ms = item.shown.changed_ns // NS_PER_MS
    return f'{{"e":"bookTicker","u":{item.shown.update_id},{quotes},"T":{changed_ms},"E":{now_ms}}}'


def ticker(item: Instrument, now_ms: int) -> Row:
    """Return a 24hrTicker payload."""
    row = encode.day_ticker(item, now_ms)
    event: Row = {
        "e": "24hrTicker",
        "E": now_ms,
        "s": item.symbol,
        "p": row["priceChange"],
        "P": row["priceChangePercent"],
        "w": row["weightedAvgPrice"],
        "c": row["lastPrice"],
        "Q": row["lastQty"],
        "o": row["openPrice"],
        "h": row["highPrice"],
        "l": row["lowPrice"],
        "v": row["volume"],
        "q": row["quoteVolume"],
        "O": row["openTime"],
        "C": row["closeTime"],
        "F": row["firstId"],
        "L": row["lastId"],
        "n": row["count"],
    }
    if item.venue == "BINANCE":
        event |= {
            "x": row["prevClosePrice"],
            "b": row["bidPrice"],
            "B": row["bidQty"],
            "a": row["askPrice"],
            "A": row["askQty"],
        }
    return event


def mini_ticker(item: Instrument, now_ms: int) -> Row:
    """Return a 24hrMiniTicker payload."""
    row = ticker(item, now_ms)
    return {"e": "24hrMiniTicker", **{key: row[key] for key in "Escohlvq"}}


def mark_price(item: Instrument, now_ms: int) -> Row:
    """Return a markPriceUpdate payload."""
    mark = encode.number(item.mid())
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": item.symbol,
        "p": mark,
        "ap": mark,
        "P": mark,
        "i": mark,
        "r": FUNDING_RATE,
        "T": now_ms // FUNDING_MS * FUNDING_MS + FUNDING_MS,
    }


def average_price(item: Instrument, now_ms: int) -> Row:
    """Return an avgPrice payload."""
    price = encode.number(item.mid())
    return {"e": "avgPrice", "E": now_ms, "s": item.symbol, "i": "5m", "w": price, "T": now_ms}


def trade(item: Instrument, print_: Print, now_ms: int) -> Row:
    """Return a trade payload."""
    places, lot_places = encode.digits(item)
    row: Row = {
        "e": "trade",
        "E": now_ms,
        "s": item.symbol,
        "t": print_.trade_id,
        "p": encode.text(print_.price, places),
        "q": encode.text(print_.size, lot_places),
        "T": print_.time_ms,
        "m": print_.buyer_is_maker,
    }
    row |= {"M": True} if item.venue == "BINANCE" else {"X": "MARKET"}
    return row


def aggregate_trade(item: Instrument, print_: Print, now_ms: int) -> Row:
    """Return an aggTrade payload."""
    return {"e": "aggTrade", "E": now_ms, "s": item.symbol, **encode.aggregate(item, print_)}


def kline(item: Instrument, interval: str, now_ms: int) -> Row:
    """Return a kline payload of the running bar."""
    length_ms = INTERVALS[interval]
    (bar,) = bars(item, length_ms=length_ms, end_ms=now_ms + 1, count=1)
    values = encode.kline(item, bar, length_ms)
    return {
        "e": "kline",
        "E": now_ms,
        "s": item.symbol,
        "k": {
            "t": values[0],
            "T": values[6],
            "s": item.symbol,
            "i": interval,
            "f": -1,
            "L": -1,
            "o": values[1],
            "c": values[4],
            "h": values[2],
            "l": values[3],
            "v": values[5],
            "n": values[8],
            "x": False,
            "q": values[7],
            "V": values[9],
            "Q": values[10],
            "B": "0",
        },
    }
