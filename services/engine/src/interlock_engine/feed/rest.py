"""Public REST: what both venues list, their rules, prices and 24 h volumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import aiohttp
import msgspec

from interlock_core.endpoints import Endpoints
from interlock_core.instrument import Instrument, Route
from interlock_engine.decide.universe import Candidate, volume_usd
from interlock_venues.answer import VenueAnswerError
from interlock_venues.binance_perp import errors as perp_errors
from interlock_venues.binance_perp import filters as perp_filters
from interlock_venues.binance_perp import messages as perp_messages
from interlock_venues.binance_spot import errors as spot_errors
from interlock_venues.binance_spot import filters as spot_filters
from interlock_venues.binance_spot import messages as spot_messages
from interlock_venues.upbit import errors as upbit_errors
from interlock_venues.upbit import filters as upbit_filters
from interlock_venues.upbit import messages as upbit_messages
from interlock_venues.upbit.symbols import FX_MARKET, QUOTE, asset_of

HTTP_OK = 200
TIMEOUT = aiohttp.ClientTimeout(total=10)

ReadError = Callable[[int, bytes], VenueAnswerError]


class MarketDataError(Exception):
    """A venue's public data could not be read: try again later."""


async def fetch_candidates(
    http: aiohttp.ClientSession, where: Endpoints, *, perp: bool
) -> list[Candidate]:
    """Return every asset that both venues list, or raise MarketDataError."""
    try:
        listed, tickers = await _upbit(http, where)
        instruments, prices, volumes = await _binance(http, where, perp=perp)
    except (aiohttp.ClientError, OSError, TimeoutError, VenueAnswerError) as error:
        raise MarketDataError(str(error) or type(error).__name__) from error
    except (msgspec.DecodeError, KeyError, ArithmeticError) as error:
        raise MarketDataError(f"unexpected answer: {type(error).__name__} {error}") from error
    if FX_MARKET not in tickers:
        raise MarketDataError(f"UPBIT lists no {FX_MARKET}")
    krw_per_usdt = tickers[FX_MARKET].trade_price
    by_asset = {instrument.asset: instrument for instrument in instruments.values()}
    found = []
    for asset, market in listed.items():
        other, ticker = by_asset.get(asset), tickers.get(market)
        if other is None or ticker is None or other.symbol not in prices:
            continue
        found.append(
            Candidate(
                route=Route(asset, upbit_filters.instrument(market, asset), other),
                volume_usd=volume_usd(ticker.volume_24h, volumes[other.symbol], krw_per_usdt),
                upbit_krw=Decimal(repr(ticker.trade_price)),
                binance_usdt=Decimal(repr(prices[other.symbol])),
            )
        )
    return found


async def _upbit(
    http: aiohttp.ClientSession, where: Endpoints
) -> tuple[dict[str, str], dict[str, upbit_messages.Ticker]]:
    base, read_error = where.upbit_rest + "/v1", upbit_errors.answer_error
    markets = upbit_messages.decode_markets(await _get(http, f"{base}/market/all", read_error))
    url = f"{base}/ticker/all?quote_currencies={QUOTE}"
    tickers = upbit_messages.decode_tickers(await _get(http, url, read_error))
    listed = {asset: row.market for row in markets if (asset := asset_of(row.market))}
    return listed, {row.market: row for row in tickers}


async def _binance(
    http: aiohttp.ClientSession, where: Endpoints, *, perp: bool
) -> tuple[Mapping[str, Instrument], dict[str, float], dict[str, float]]:
    if perp:
        base, read_error = where.binance_perp_rest + "/fapi/v1", perp_errors.answer_error
        info = await _get(http, f"{base}/exchangeInfo", read_error)
        found = perp_filters.instruments(perp_messages.decode_exchange_info(info))
        raw = await _get(http, f"{base}/ticker/24hr", read_error)
        return found, *_prices_and_volumes(perp_messages.decode_tickers(raw))
    base, read_error = where.binance_rest + "/api/v3", spot_errors.answer_error
    info = await _get(http, f"{base}/exchangeInfo", read_error)
    found = spot_filters.instruments(spot_messages.decode_exchange_info(info))
    raw = await _get(http, f"{base}/ticker/24hr", read_error)
    return found, *_prices_and_volumes(spot_messages.decode_tickers(raw))


def _prices_and_volumes(
    rows: Sequence[spot_messages.Ticker | perp_messages.Ticker],
) -> tuple[dict[str, float], dict[str, float]]:
    return {r.symbol: r.last_price for r in rows}, {r.symbol: r.volume_24h for r in rows}


async def _get(http: aiohttp.ClientSession, url: str, read_error: ReadError) -> bytes:
    async with http.get(url, timeout=TIMEOUT, allow_redirects=False) as response:
        body = await response.read()
        if response.status != HTTP_OK:
            raise read_error(response.status, body)
        return body
