"""Upbit's JSON, field for field; WebSocket prices are doubles as Java prints them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any

from interlock_core.instrument import Side
from interlock_simvenues.market.instruments import Instrument
from interlock_simvenues.market.tape import Bar, Print
from interlock_simvenues.market.ticks import krw_tick_units
from interlock_simvenues.matching.orders import ZERO, Fill, Order, OrderState, TimeInForce
from interlock_simvenues.units import NS_PER_MS, NS_PER_S, SCALE, plain
from interlock_simvenues.upbit.errors import SIDE_WORD
from interlock_simvenues.world import UPBIT_FEE_RATE

KST = timezone(timedelta(hours=9))
MAX_UNITS = 30
STATE = {
    OrderState.OPEN: "wait",
    OrderState.FILLED: "done",
    OrderState.CANCELED: "cancel",
    OrderState.EXPIRED: "cancel",
    OrderState.PREVENTED: "cancel",
}
_JAVA_EXPONENT_FROM = 1e7
_JAVA_EXPONENT_BELOW = 1e-3

Row = dict[str, Any]


@lru_cache(maxsize=32_768)
def number(units: int) -> str:
    """Return units of 1e-8 as Java prints a double: 1.16539E8 from ten million on."""
    value = units / SCALE
    if value == 0 or _JAVA_EXPONENT_BELOW <= value < _JAVA_EXPONENT_FROM:
        return repr(value)
    mantissa, _, exponent = f"{Decimal(repr(value)):E}".partition("E")
    sign_free = exponent.removeprefix("+")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{sign_free}"


def kst_time(ns: int) -> str:
    """Return a wall time as Upbit writes it in orders: Korean time, whole seconds."""
    return datetime.fromtimestamp(ns // NS_PER_S, tz=KST).isoformat()


def orderbook_frame(instrument: Instrument, *, stream: str, units: int, simple: bool) -> bytes:
    """Return one orderbook frame; thin sides are padded with zeros."""
    book = instrument.shown
    asks, bids = list(book.asks)[:units], list(book.bids)[:units]
    depth = max(len(asks), len(bids))
    asks += [(0, 0)] * (depth - len(asks))
    bids += [(0, 0)] * (depth - len(bids))
    total_ask = number(sum(size for _, size in asks))
    total_bid = number(sum(size for _, size in bids))
    time_ms = book.changed_ns // NS_PER_MS
    code = instrument.symbol
    if simple:
        rows = ",".join(
            f'{{"ap":{number(a)},"bp":{number(b)},"as":{number(s)},"bs":{number(t)}}}'
            for (a, s), (b, t) in zip(asks, bids, strict=True)
        )
        return (
            f'{{"ty":"orderbook","cd":"{code}","tms":{time_ms},"tas":{total_ask},'
            f'"tbs":{total_bid},"obu":[{rows}],"st":"{stream}","lv":0}}'
        ).encode()
    rows = ",".join(
        f'{{"ask_price":{number(a)},"bid_price":{number(b)},'
        f'"ask_size":{number(s)},"bid_size":{number(t)}}}'
        for (a, s), (b, t) in zip(asks, bids, strict=True)
    )
    return (
        f'{{"type":"orderbook","code":"{code}","timestamp":{time_ms},'
        f'"total_ask_size":{total_ask},"total_bid_size":{total_bid},'
        f'"orderbook_units":[{rows}],"stream_type":"{stream}","level":0}}'
    ).encode()


def orderbook_row(instrument: Instrument, units: int) -> Row:
    """Return one REST order book; unit keys in the venue's REST order."""
    book = instrument.shown
    asks, bids = list(book.asks)[:units], list(book.bids)[:units]
    asks += [(0, 0)] * (units - len(asks))
    bids += [(0, 0)] * (units - len(bids))
    return {
        "market": instrument.symbol,
        "timestamp": book.changed_ns // NS_PER_MS,
        "total_ask_size": _plain_number(sum(size for _, size in asks)),
        "total_bid_size": _plain_number(sum(size for _, size in bids)),
        "orderbook_units": [
            {
                "ask_price": _plain_number(ask),
                "bid_price": _plain_number(bid),
                "ask_size": _plain_number(ask_size),
                "bid_size": _plain_number(bid_size),
            }
            for (ask, ask_size), (bid, bid_size) in zip(asks, bids, strict=True)
        ],
        "level": 0,
    }


def ticker_row(instrument: Instrument, now_ns: int) -> Row:
    """Return a ticker with the REST names; the WebSocket uses `code` instead of `market`."""
    tape = instrument.tape
    last = tape.prints[-1] if tape.prints else None
    price = on_tick(tape.last)
    opened, high, low = on_tick(tape.opened), on_tick(tape.high), on_tick(tape.low)
    change = price - opened
    traded_ms = last.time_ms if last else now_ns // NS_PER_MS
    utc, kst = _moment(traded_ms, UTC), _moment(traded_ms, KST)
    rate = change / opened if opened else 0.0
    return {
        "market": instrument.symbol,
        "trade_date": f"{utc:%Y%m%d}",
        "trade_time": f"{utc:%H%M%S}",
        "trade_date_kst": f"{kst:%Y%m%d}",
        "trade_time_kst": f"{kst:%H%M%S}",
        "trade_timestamp": traded_ms,
        "opening_price": opened,
        "high_price": high,
        "low_price": low,
        "trade_price": price,
        "prev_closing_price": opened,
        "change": "RISE" if change > 0 else "FALL" if change < 0 else "EVEN",
        "change_price": abs(change),
        "change_rate": abs(rate),
        "signed_change_price": change,
        "signed_change_rate": rate,
        "trade_volume": last.size / SCALE if last else 0.0,
        "acc_trade_price": tape.volume * price / 2,
        "acc_trade_price_24h": tape.volume * price,
        "acc_trade_volume": tape.volume / 2,
        "acc_trade_volume_24h": tape.volume,
        "highest_52_week_price": on_tick(high * 1.5),
        "highest_52_week_date": f"{_moment(traded_ms - 100 * 86_400_000, UTC):%Y-%m-%d}",
        "lowest_52_week_price": on_tick(low * 0.5),
        "lowest_52_week_date": f"{_moment(traded_ms - 200 * 86_400_000, UTC):%Y-%m-%d}",
        "timestamp": now_ns // NS_PER_MS,
    }


def trade_row(instrument: Instrument, item: Print) -> Row:
    """Return a public trade with the REST names."""
    moment = _moment(item.time_ms, UTC)
    price, opened = item.price / SCALE, on_tick(instrument.tape.opened)
    return {
        "market": instrument.symbol,
        "trade_date_utc": f"{moment:%Y-%m-%d}",
        "trade_time_utc": f"{moment:%H:%M:%S}",
        "timestamp": item.time_ms,
        "trade_price": price,
        "trade_volume": item.size / SCALE,
        "prev_closing_price": opened,
        "change_price": price - opened,
        "ask_bid": "ASK" if item.buyer_is_maker else "BID",
        "sequential_id": item.trade_id,
    }


def candle_row(instrument: Instrument, bar: Bar, *, unit: int | None) -> Row:
    """Return one candle."""
    utc, kst = _moment(bar.start_ms, UTC), _moment(bar.start_ms, KST)
    row: Row = {
        "market": instrument.symbol,
        "candle_date_time_utc": f"{utc:%Y-%m-%dT%H:%M:%S}",
        "candle_date_time_kst": f"{kst:%Y-%m-%dT%H:%M:%S}",
        "opening_price": on_tick(bar.open),
        "high_price": on_tick(bar.high),
        "low_price": on_tick(bar.low),
        "trade_price": on_tick(bar.close),
        "timestamp": bar.start_ms,
        "candle_acc_trade_price": bar.volume * bar.close,
        "candle_acc_trade_volume": bar.volume,
    }
    if unit is not None:
        row["unit"] = unit
    return row


def order_row(order: Order, *, uuid: str) -> Row:
    """Return an order as REST shows it: decimals as text, null fields left out."""
    row = {key: value for key, value in order_fields(order, uuid=uuid).items() if value is not None}
    return {
        key: plain(value) if isinstance(value, Decimal) else value for key, value in row.items()
    }


def order_fields(order: Order, *, uuid: str) -> Row:
    """Return every field of an order; what does not apply is None."""
    new = order.new
    buying = new.side is Side.BUY
    total = new.budget if new.budget is not None else (new.price or ZERO) * (new.quantity or ZERO)
    reserved = total * UPBIT_FEE_RATE if buying else ZERO
    terms = new.time_in_force
    prevented = order.remaining if order.state is OrderState.PREVENTED else ZERO
    return {
        "market": new.symbol,
        "uuid": uuid,
        "side": SIDE_WORD[new.side],
        "ord_type": new.kind,
        "price": new.budget if new.budget is not None else new.price,
        "state": STATE[order.state],
        "created_at": kst_time(order.created_ns),
        "volume": new.quantity,
        "remaining_volume": None if new.quantity is None else order.remaining,
        "executed_volume": order.filled,
        "reserved_fee": reserved,
        "remaining_fee": _remaining_fee(order) if buying else ZERO,
        "paid_fee": order.fee,
        "locked": order.locked,
        "trades_count": len(order.fills),
        "time_in_force": None if terms is TimeInForce.GTC or new.price is None else terms.value,
        "identifier": new.client_id or None,
        "smp_type": new.self_trade or "cancel_maker",
        "prevented_volume": prevented,
        "prevented_locked": prevented * (new.price or ZERO) if buying else prevented,
    }


def fill_row(fill: Fill, *, uuid: str) -> Row:
    """Return one execution as GET /v1/order lists it."""
    return {
        "market": fill.symbol,
        "uuid": uuid,
        "price": plain(fill.price),
        "volume": plain(fill.quantity),
        "funds": plain(fill.funds),
        "trend": "up" if fill.side is Side.BUY else "down",
        "created_at": kst_time(fill.time_ns),
        "side": SIDE_WORD[fill.side],
    }


def on_tick(price: float) -> float:
    """Return a price in KRW on the venue's grid."""
    units = int(price * SCALE)
    return (units - units % krw_tick_units(units)) / SCALE


def _remaining_fee(order: Order) -> Decimal:
    """Return the fee inside what is still locked: locked = rest + rest x rate."""
    return order.locked * UPBIT_FEE_RATE / (1 + UPBIT_FEE_RATE)


def _plain_number(units: int) -> float | int:
    return units // SCALE if units % SCALE == 0 else units / SCALE


def _moment(time_ms: int, zone: timezone) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, tz=zone)
