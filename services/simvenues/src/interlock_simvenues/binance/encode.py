"""What both Binance markets show alike: number texts, statuses, depth and market rows."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from itertools import islice
from typing import Any

from interlock_simvenues.market.instruments import Instrument
from interlock_simvenues.market.tape import Bar, Print
from interlock_simvenues.matching.book import Level
from interlock_simvenues.matching.orders import ZERO, Order, OrderState, TimeInForce
from interlock_simvenues.units import NS_PER_MS, SCALE, fixed

DAY_MS = 86_400_000
SPOT_DIGITS = 8
Row = dict[str, Any]

TERMS = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.POST_ONLY: "GTX",
}
_ENDED = {
    OrderState.FILLED: "FILLED",
    OrderState.CANCELED: "CANCELED",
    OrderState.EXPIRED: "EXPIRED",
    OrderState.PREVENTED: "EXPIRED_IN_MATCH",
}
text = lru_cache(maxsize=32_768)(fixed)


def digits(instrument: Instrument) -> tuple[int, int]:
    """Return how many fractional digits prices and quantities of a market show."""
    if instrument.venue == "BINANCE":
        return SPOT_DIGITS, SPOT_DIGITS
    return instrument.price_digits, instrument.lot_digits


def amount(value: Decimal, places: int = 8) -> str:
    """Return a decimal with a fixed number of fractional digits."""
    return format(value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN), "f")


def number(value: float, places: int = 8) -> str:
    """Return a statistic with a fixed number of fractional digits."""
    return f"{value:.{places}f}"


def status(order: Order) -> str:
    """Return the venue's word for where an order stands."""
    if order.state is OrderState.OPEN:
        return "PARTIALLY_FILLED" if order.filled > ZERO else "NEW"
    return _ENDED[order.state]


def levels(side: Iterable[Level], depth: int, instrument: Instrument) -> list[list[str]]:
    """Return the best levels as pairs of texts."""
    price_digits, lot_digits = digits(instrument)
    return [
        [text(price, price_digits), text(size, lot_digits)] for price, size in islice(side, depth)
    ]


def levels_json(pairs: Iterable[Level], price_digits: int, lot_digits: int) -> str:
    """Return levels as JSON text, written by hand: this is the busiest encoder."""
    return ",".join(
        f'["{text(price, price_digits)}","{text(size, lot_digits)}"]' for price, size in pairs
    )


def book_ticker(instrument: Instrument) -> Row:
    """Return the best bid and ask."""
    price_digits, lot_digits = digits(instrument)
    bid, ask = instrument.shown.bids.best() or (0, 0), instrument.shown.asks.best() or (0, 0)
    row: Row = {
        "symbol": instrument.symbol,
        "bidPrice": text(bid[0], price_digits),
        "bidQty": text(bid[1], lot_digits),
        "askPrice": text(ask[0], price_digits),
        "askQty": text(ask[1], lot_digits),
    }
    if instrument.venue == "BINANCE_PERP":
        row["time"] = instrument.shown.changed_ns // NS_PER_MS
        row["lastUpdateId"] = instrument.shown.update_id
    return row


def day_ticker(instrument: Instrument, now_ms: int) -> Row:
    """Return the 24 hour statistics."""
    tape, places = instrument.tape, digits(instrument)[0]
    last = tape.prints[-1] if tape.prints else None
    change = tape.last - tape.opened
    row = {
        "symbol": instrument.symbol,
        "priceChange": number(change, places),
        "priceChangePercent": number(change / tape.opened * 100 if tape.opened else 0, 3),
        "weightedAvgPrice": number((tape.last + tape.opened) / 2, places),
        "lastPrice": number(tape.last, places),
        "lastQty": text(last.size if last else 0, digits(instrument)[1]),
        "openPrice": number(tape.opened, places),
        "highPrice": number(tape.high, places),
        "lowPrice": number(tape.low, places),
        "volume": number(tape.volume, digits(instrument)[1]),
        "quoteVolume": number(tape.volume * (tape.last + tape.opened) / 2),
        "openTime": now_ms - DAY_MS,
        "closeTime": now_ms,
        "firstId": tape.next_id - 100_000,
        "lastId": tape.next_id - 1,
        "count": 100_000,
    }
    if instrument.venue == "BINANCE":
        best = book_ticker(instrument)
        best.pop("symbol")
        row |= {"prevClosePrice": row["openPrice"], **best}
    return row


def trade(instrument: Instrument, item: Print) -> Row:
    """Return one public trade."""
    places, lot_places = digits(instrument)
    row = {
        "id": item.trade_id,
        "price": text(item.price, places),
        "qty": text(item.size, lot_places),
        "quoteQty": number(item.price * item.size / SCALE / SCALE),
        "time": item.time_ms,
        "isBuyerMaker": item.buyer_is_maker,
    }
    if instrument.venue == "BINANCE":
        row["isBestMatch"] = True
    return row


def aggregate(instrument: Instrument, item: Print) -> Row:
    """Return one aggregated trade (here one trade each)."""
    places, lot_places = digits(instrument)
    row = {
        "a": item.trade_id,
        "p": text(item.price, places),
        "q": text(item.size, lot_places),
        "f": item.trade_id,
        "l": item.trade_id,
        "T": item.time_ms,
        "m": item.buyer_is_maker,
    }
    if instrument.venue == "BINANCE":
        row["M"] = True
    return row


def kline(instrument: Instrument, bar: Bar, length_ms: int) -> list[Any]:
    """Return one bar as the array the REST API gives."""
    places, lot_places = digits(instrument)
    return [
        bar.start_ms,
        number(bar.open, places),
        number(bar.high, places),
        number(bar.low, places),
        number(bar.close, places),
        number(bar.volume, lot_places),
        bar.start_ms + length_ms - 1,
        number(bar.volume * bar.close),
        bar.trades,
        number(bar.volume / 2, lot_places),
        number(bar.volume * bar.close / 2),
        "0",
    ]
