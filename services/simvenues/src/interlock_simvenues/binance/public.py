"""Public REST of both Binance markets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from interlock_simvenues.binance import encode, symbols
from interlock_simvenues.binance.errors import BinanceError, bad_symbol, illegal, missing
from interlock_simvenues.binance.face import Face, Params, integer
from interlock_simvenues.market.candles import bars
from interlock_simvenues.market.instruments import Instrument, Status
from interlock_simvenues.units import NS_PER_MS

MAX_TRADES = 1_000
MAX_KLINES = 1_500
MAX_DEPTH = 5_000
Row = dict[str, Any]
FUNDING_MS = 8 * 3_600_000
FUNDING_RATE = "0.00010000"
INTERVALS = {
    "1s": 1_000,
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
    "3d": 259_200_000,
    "1w": 604_800_000,
    "1M": 2_592_000_000,
}


class MarketData:
    """Answers public calls; each method takes the query and returns what JSON shows."""

    def __init__(self, face: Face) -> None:
        self._face = face

    def ping(self, _params: Params) -> object:
        """Answer GET ping."""
        return {}

    def time(self, _params: Params) -> object:
        """Answer GET time."""
        return {"serverTime": self._face.server_ms()}

    def exchange_info(self, params: Params) -> object:
        """Answer GET exchangeInfo; USD-M always lists everything."""
        face = self._face
        wanted = list(face.instruments.values()) if face.perp else self._wanted(params)
        row = symbols.perp if face.perp else symbols.spot
        info: dict[str, Any] = {
            "timezone": "UTC",
            "serverTime": face.server_ms(),
            "rateLimits": face.limiter.describe(),
            "exchangeFilters": [],
            "symbols": [row(item) for item in wanted if item.status is not Status.DELISTED],
        }
        if face.perp:
            info["futuresType"] = "U_MARGINED"
            info["assets"] = [
                {"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}
            ]
        return info

    def depth(self, params: Params) -> object:
        """Answer GET depth."""
        item = self._face.instrument(params)
        limit = integer(params, "limit", 500 if self._face.perp else 100, most=MAX_DEPTH)
        row: dict[str, Any] = {"lastUpdateId": item.shown.update_id}
        if self._face.perp:
            row["E"] = self._face.now_ms()
            row["T"] = item.shown.changed_ns // NS_PER_MS
        row["bids"] = encode.levels(item.shown.bids, limit, item)
        row["asks"] = encode.levels(item.shown.asks, limit, item)
        return row

    def trades(self, params: Params) -> object:
        """Answer GET trades and historicalTrades, oldest first."""
        item = self._face.instrument(params)
        count = integer(params, "limit", 500, most=MAX_TRADES)
        return [encode.trade(item, trade) for trade in list(item.tape.prints)[-count:]]

    def aggregates(self, params: Params) -> object:
        """Answer GET aggTrades, oldest first."""
        item = self._face.instrument(params)
        count = integer(params, "limit", 500, most=MAX_TRADES)
        first = integer(params, "startTime", 0, most=1 << 62)
        last = integer(params, "endTime", 1 << 62, most=1 << 62)
        found = [t for t in item.tape.prints if first <= t.time_ms <= last]
        return [encode.aggregate(item, trade) for trade in found[-count:]]

    def klines(self, params: Params) -> object:
        """Answer GET klines and its mark and index price kin."""
        item = self._face.instrument(params)
        length_ms = INTERVALS.get(params.get("interval", ""))
        if length_ms is None:
            raise BinanceError(400, -1120, "Invalid interval.")
        count = integer(params, "limit", 500, most=MAX_KLINES)
        now_ms = self._face.now_ms()
        end_ms = min(integer(params, "endTime", now_ms, most=1 << 62), now_ms) + 1
        start = params.get("startTime")
        if start:
            start_ms = integer(params, "startTime", 0, most=1 << 62)
            fitting = max(0, (end_ms - start_ms + length_ms - 1) // length_ms)
            if fitting > count:
                end_ms = start_ms + count * length_ms
            count = min(count, fitting)
        found = bars(item, length_ms=length_ms, end_ms=end_ms, count=count)
        return [encode.kline(item, bar, length_ms) for bar in found]

    def pair_klines(self, params: Params) -> object:
        """Answer GET indexPriceKlines, which names a pair."""
        return self.klines({**params, "symbol": params.get("pair", params.get("symbol", ""))})

    def average_price(self, params: Params) -> object:
        """Answer GET avgPrice."""
        item = self._face.instrument(params)
        return {"mins": 5, "price": encode.number(item.mid()), "closeTime": self._face.now_ms()}

    def day_tickers(self, params: Params) -> object:
        """Answer GET ticker/24hr."""
        now = self._face.now_ms()
        return self._one_or_all(params, lambda item: encode.day_ticker(item, now))

    def prices(self, params: Params) -> object:
        """Answer GET ticker/price."""
        return self._one_or_all(params, self._price)

    def book_tickers(self, params: Params) -> object:
        """Answer GET ticker/bookTicker."""
        return self._one_or_all(params, encode.book_ticker)

    def premium_index(self, params: Params) -> object:
        """Answer GET premiumIndex: mark, index and next funding."""
        return self._one_or_all(params, self._premium)

    def funding_rates(self, params: Params) -> object:
        """Answer GET fundingRate: a flat history."""
        wanted = self._wanted(params)
        count = integer(params, "limit", 100, most=MAX_TRADES)
        last = self._face.now_ms() // FUNDING_MS * FUNDING_MS
        times = [last - FUNDING_MS * back for back in range(min(count, 30) - 1, -1, -1)]
        return [
            {
                "symbol": item.symbol,
                "fundingTime": time,
                "fundingRate": FUNDING_RATE,
                "markPrice": encode.number(item.mid()),
            }
            for item in wanted
            for time in times
        ][-count:]

    def funding_info(self, _params: Params) -> object:
        """Answer GET fundingInfo: no symbol differs from the default."""
        return []

    def open_interest(self, params: Params) -> object:
        """Answer GET openInterest."""
        item = self._face.instrument(params)
        return {
            "symbol": item.symbol,
            "openInterest": encode.number(item.tape.volume / 10, item.lot_digits),
            "time": self._face.now_ms(),
        }

    def _price(self, item: Instrument) -> dict[str, Any]:
        row: dict[str, Any] = {
            "symbol": item.symbol,
            "price": encode.number(item.tape.last, encode.digits(item)[0]),
        }
        if self._face.perp:
            row["time"] = self._face.now_ms()
        return row

    def _premium(self, item: Instrument) -> dict[str, Any]:
        now = self._face.now_ms()
        mark = encode.number(item.mid())
        return {
            "symbol": item.symbol,
            "markPrice": mark,
            "indexPrice": mark,
            "estimatedSettlePrice": mark,
            "lastFundingRate": FUNDING_RATE,
            "interestRate": FUNDING_RATE,
            "nextFundingTime": now // FUNDING_MS * FUNDING_MS + FUNDING_MS,
            "time": now,
        }

    def _wanted(self, params: Params) -> list[Instrument]:
        if params.get("symbol"):
            return [self._face.instrument(params)]
        if not params.get("symbols"):
            return list(self._face.instruments.values())
        try:
            names = json.loads(params["symbols"])
        except json.JSONDecodeError as error:
            raise illegal("symbols") from error
        if not isinstance(names, list) or not names:
            raise missing("symbols")
        try:
            return [self._face.instruments[str(name)] for name in names]
        except KeyError as error:
            raise bad_symbol() from error

    def _one_or_all(self, params: Params, row: Callable[[Instrument], Row]) -> object:
        rows = [row(item) for item in self._wanted(params)]
        return rows[0] if params.get("symbol") else rows
