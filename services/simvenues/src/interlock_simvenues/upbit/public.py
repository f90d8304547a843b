"""Upbit's quotation API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from interlock_core.instrument import Venue
from interlock_simvenues.market.assets import NAMES
from interlock_simvenues.market.candles import bars
from interlock_simvenues.market.instruments import Instrument, Status
from interlock_simvenues.market.ticks import krw_tick_units
from interlock_simvenues.units import NS_PER_MS, plain, to_decimal
from interlock_simvenues.upbit import encode
from interlock_simvenues.upbit.errors import bad_quotation, unknown_code
from interlock_simvenues.world import World

MAX_CANDLES = 200
MAX_TRADES = 500
MINUTES = (1, 3, 5, 10, 15, 30, 60, 240)
DAY_MS = 86_400_000
SPANS = {
    "seconds": 1_000,
    "days": DAY_MS,
    "weeks": 7 * DAY_MS,
    "months": 30 * DAY_MS,
    "years": 365 * DAY_MS,
}
_CAUTIONS = (
    "PRICE_FLUCTUATIONS",
    "TRADING_VOLUME_SOARING",
    "DEPOSIT_AMOUNT_SOARING",
    "GLOBAL_PRICE_DIFFERENCES",
    "CONCENTRATION_OF_SMALL_ACCOUNTS",
)

Params = Mapping[str, str]


class Quotation:
    """Answers public calls; each method takes the query and returns what JSON shows."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._markets = world.instruments.of(Venue.UPBIT)

    def markets(self, params: Params) -> object:
        """Answer GET /v1/market/all."""
        details = params.get("is_details", params.get("isDetails", "false")).lower() == "true"
        listed = [item for item in self._markets.values() if item.status is not Status.DELISTED]
        return [self._market_row(item, details=details) for item in listed]

    def ticker(self, params: Params) -> object:
        """Answer GET /v1/ticker."""
        now = self._world.clock.wall_ns()
        return [encode.ticker_row(item, now) for item in self._wanted(params, "markets")]

    def ticker_all(self, params: Params) -> object:
        """Answer GET /v1/ticker/all."""
        quotes = params.get("quote_currencies", "KRW").upper().split(",")
        now = self._world.clock.wall_ns()
        return [encode.ticker_row(i, now) for i in self._markets.values() if i.quote in quotes]

    def orderbook(self, params: Params) -> object:
        """Answer GET /v1/orderbook."""
        units = _count(params, encode.MAX_UNITS, encode.MAX_UNITS)
        return [encode.orderbook_row(item, units) for item in self._wanted(params, "markets")]

    def instruments(self, params: Params) -> object:
        """Answer GET /v1/orderbook/instruments."""
        return [self._instrument_row(item) for item in self._wanted(params, "markets")]

    def supported_levels(self, params: Params) -> object:
        """Answer GET /v1/orderbook/supported_levels."""
        return [
            {"market": item.symbol, "supported_levels": [0]}
            for item in self._wanted(params, "markets")
        ]

    def trades(self, params: Params) -> object:
        """Answer GET /v1/trades/ticks, newest first."""
        (item,) = self._wanted(params, "market")[:1]
        prints = list(item.tape.prints)[::-1][: _count(params, 1, MAX_TRADES)]
        return [encode.trade_row(item, trade) for trade in prints]

    def minute_candles(self, params: Params) -> object:
        """Answer GET /v1/candles/minutes/{unit}, newest first."""
        unit = int(params["unit"]) if params["unit"].isdigit() else 0
        if unit not in MINUTES:
            raise bad_quotation("Invalid unit.")
        return self._candles(params, unit * 60_000, unit)

    def candles(self, params: Params) -> object:
        """Answer GET /v1/candles/{seconds,days,weeks,months,years}, newest first."""
        return self._candles(params, SPANS[params["span"]], None)

    def _candles(self, params: Params, length_ms: int, unit: int | None) -> object:
        (item,) = self._wanted(params, "market")[:1]
        end_ms = self._world.clock.wall_ns() // NS_PER_MS + 1
        if params.get("to"):
            end_ms = min(end_ms, _time_ms(params["to"]))
        count = _count(params, 1, MAX_CANDLES)
        found = bars(item, length_ms=length_ms, end_ms=end_ms, count=count)
        return [encode.candle_row(item, bar, unit=unit) for bar in reversed(found)]

    def _wanted(self, params: Params, key: str) -> list[Instrument]:
        codes = [code for code in params.get(key, "").split(",") if code]
        if not codes:
            raise bad_quotation(f"Missing request parameter error. Check {key}!")
        try:
            return [self._markets[code] for code in codes]
        except KeyError as error:
            raise unknown_code() from error

    def _market_row(self, item: Instrument, *, details: bool) -> dict[str, Any]:
        korean, english = NAMES.get(item.base, (item.base, item.base))
        row: dict[str, Any] = {
            "market": item.symbol,
            "korean_name": korean,
            "english_name": english,
        }
        if details:
            caution = dict.fromkeys(_CAUTIONS, False)
            row["market_event"] = {"warning": False, "caution": caution}
        return row

    def _instrument_row(self, item: Instrument) -> dict[str, Any]:
        best = item.book.bids.best()
        tick = plain(to_decimal(krw_tick_units(best[0] if best else 0)))
        return {
            "market": item.symbol,
            "quote_currency": item.quote,
            "tick_size": tick,
            "supported_levels": ["0"],
        }


def _count(params: Params, default: int, most: int) -> int:
    raw = params.get("count", str(default))
    if not raw.isdigit() or int(raw) < 1:
        raise bad_quotation("Invalid count.")
    return min(int(raw), most)


def _time_ms(raw: str) -> int:
    try:
        moment = datetime.fromisoformat(raw.replace(" ", "T"))
    except ValueError as error:
        raise bad_quotation("Invalid to.") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
