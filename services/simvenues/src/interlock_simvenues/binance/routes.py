"""Every REST path of both Binance markets with its access and weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from interlock_simvenues.binance.account_perp import PerpAccount
from interlock_simvenues.binance.auth import Key
from interlock_simvenues.binance.errors import not_permitted
from interlock_simvenues.binance.face import Params
from interlock_simvenues.binance.private import SpotTrading
from interlock_simvenues.binance.private_perp import PerpTrading
from interlock_simvenues.binance.public import MarketData
from interlock_simvenues.binance.user_stream_perp import ListenKeys


class Access(Enum):
    """What a path asks of its caller."""

    PUBLIC = 0
    KEY = 1
    READ = 2
    TRADE = 3


Call = Callable[[Params], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One path; `heavy` is its weight where the request names no symbol."""

    method: str
    path: str
    handler: Call | None
    access: Access = Access.PUBLIC
    weight: int = 1
    heavy: int = 0
    counts_order: bool = False
    keyed: Callable[[Key], Any] | None = None

    def call(self, params: Params, key: Key | None) -> object:
        """Return the answer of the path."""
        if self.keyed is not None:
            if key is None:
                raise not_permitted()
            return self.keyed(key)
        return self.handler(params) if self.handler is not None else []

    def weight_of(self, params: Params) -> int:
        """Return the weight of one request."""
        if self.path.endswith("/depth"):
            return _depth_weight(params.get("limit", ""))
        named = params.get("symbol") or params.get("symbols")
        return self.heavy if self.heavy and not named else self.weight


def spot_routes(data: MarketData, trading: SpotTrading) -> list[Route]:
    """Return the paths under /api and /sapi."""
    public = [
        ("ping", data.ping, 1, 0),
        ("time", data.time, 1, 0),
        ("exchangeInfo", data.exchange_info, 20, 0),
        ("depth", data.depth, 5, 0),
        ("trades", data.trades, 25, 0),
        ("historicalTrades", data.trades, 25, 0),
        ("aggTrades", data.aggregates, 4, 0),
        ("klines", data.klines, 2, 0),
        ("uiKlines", data.klines, 2, 0),
        ("avgPrice", data.average_price, 2, 0),
        ("ticker/24hr", data.day_tickers, 2, 80),
        ("ticker", data.day_tickers, 4, 200),
        ("ticker/tradingDay", data.day_tickers, 4, 200),
        ("ticker/price", data.prices, 2, 4),
        ("ticker/bookTicker", data.book_tickers, 2, 4),
    ]
    private = [
        ("GET", "order", trading.order, Access.READ, 4, 0),
        ("GET", "openOrders", trading.open_orders, Access.READ, 6, 80),
        ("GET", "allOrders", trading.all_orders, Access.READ, 20, 0),
        ("GET", "myTrades", trading.trades, Access.READ, 20, 0),
        ("GET", "account", trading.account, Access.READ, 20, 0),
        ("GET", "account/commission", trading.commission, Access.READ, 20, 0),
        ("DELETE", "order", trading.cancel, Access.TRADE, 1, 0),
        ("DELETE", "openOrders", trading.cancel_all, Access.TRADE, 1, 0),
    ]
    placing = [
        ("order", trading.place),
        ("order/test", trading.test),
        ("order/cancelReplace", trading.replace),
    ]
    routes = [Route("GET", f"/api/v3/{p}", c, Access.PUBLIC, w, h) for p, c, w, h in public]
    routes += [Route(m, f"/api/v3/{p}", c, a, w, h) for m, p, c, a, w, h in private]
    routes += [
        Route("POST", f"/api/v3/{p}", c, Access.TRADE, 1, counts_order=c != trading.test)
        for p, c in placing
    ]
    return routes + _sapi_routes(trading)


def _sapi_routes(trading: SpotTrading) -> list[Route]:
    empty = (
        "capital/config/getall",
        "capital/deposit/hisrec",
        "capital/withdraw/history",
        "margin/allPairs",
        "margin/isolated/allPairs",
        "asset/dribblet",
        "fiat/orders",
    )
    routes = [Route("GET", f"/sapi/v1/{path}", None, Access.READ) for path in empty]
    routes += [
        Route("GET", "/sapi/v1/asset/tradeFee", trading.trade_fee, Access.READ),
        Route(
            "GET",
            "/sapi/v1/account/apiRestrictions",
            None,
            Access.READ,
            keyed=trading.restrictions,
        ),
        Route("GET", "/sapi/v1/account/status", lambda _p: {"data": "Normal"}, Access.READ),
        Route("GET", "/sapi/v1/system/status", lambda _p: {"status": 0, "msg": "normal"}),
        Route("POST", "/sapi/v1/asset/get-funding-asset", None, Access.READ),
        Route("GET", "/dapi/v1/exchangeInfo", lambda _p: {"symbols": []}),
        Route("GET", "/dapi/v1/ping", lambda _p: {}),
    ]
    return routes


def perp_routes(
    data: MarketData, trading: PerpTrading, account: PerpAccount, listen: ListenKeys
) -> list[Route]:
    """Return the paths under /fapi."""
    public = [
        ("v1/ping", data.ping, 1, 0),
        ("v1/time", data.time, 1, 0),
        ("v1/exchangeInfo", data.exchange_info, 1, 0),
        ("v1/depth", data.depth, 5, 0),
        ("v1/rpiDepth", data.depth, 20, 0),
        ("v1/trades", data.trades, 5, 0),
        ("v1/historicalTrades", data.trades, 20, 0),
        ("v1/aggTrades", data.aggregates, 20, 0),
        ("v1/klines", data.klines, 5, 0),
        ("v1/continuousKlines", data.pair_klines, 5, 0),
        ("v1/markPriceKlines", data.klines, 5, 0),
        ("v1/indexPriceKlines", data.pair_klines, 5, 0),
        ("v1/premiumIndexKlines", data.klines, 5, 0),
        ("v1/premiumIndex", data.premium_index, 1, 10),
        ("v1/fundingRate", data.funding_rates, 1, 0),
        ("v1/fundingInfo", data.funding_info, 1, 0),
        ("v1/openInterest", data.open_interest, 1, 0),
        ("v1/ticker/24hr", data.day_tickers, 1, 40),
        ("v1/ticker/price", data.prices, 1, 2),
        ("v2/ticker/price", data.prices, 1, 2),
        ("v1/ticker/bookTicker", data.book_tickers, 2, 5),
    ]
    reading: list[tuple[str, Call | None, int, int]] = [
        ("v1/order", trading.order, 1, 0),
        ("v1/openOrder", trading.open_order, 1, 0),
        ("v1/openOrders", trading.open_orders, 1, 40),
        ("v1/allOrders", trading.all_orders, 5, 0),
        ("v1/userTrades", trading.trades, 5, 0),
        ("v2/account", account.account_v2, 5, 0),
        ("v3/account", account.account_v3, 5, 0),
        ("v1/balance", account.balance, 5, 0),
        ("v2/balance", account.balance, 5, 0),
        ("v3/balance", account.balance, 5, 0),
        ("v1/positionRisk", account.risk_v2, 5, 0),
        ("v2/positionRisk", account.risk_v2, 5, 0),
        ("v3/positionRisk", account.risk_v3, 5, 0),
        ("v1/leverageBracket", account.brackets, 1, 0),
        ("v1/symbolConfig", account.symbol_config, 5, 0),
        ("v1/accountConfig", account.account_config, 5, 0),
        ("v1/positionSide/dual", account.position_mode, 30, 0),
        ("v1/commissionRate", account.commission, 20, 0),
        ("v1/income", account.income, 30, 0),
        ("v1/multiAssetsMargin", lambda _p: {"multiAssetsMargin": False}, 30, 0),
        ("v1/openAlgoOrders", None, 1, 0),
        ("v1/forceOrders", None, 20, 0),
        ("v1/adlQuantile", None, 5, 0),
    ]
    writing = [
        ("POST", "order", trading.place, True),
        ("POST", "order/test", trading.test, False),
        ("POST", "batchOrders", trading.place_batch, True),
        ("PUT", "order", trading.modify, True),
        ("DELETE", "order", trading.cancel, False),
        ("DELETE", "batchOrders", trading.cancel_batch, False),
        ("DELETE", "allOpenOrders", trading.cancel_all, False),
        ("DELETE", "algoOpenOrders", trading.cancel_conditional, False),
        ("POST", "countdownCancelAll", trading.countdown, False),
        ("POST", "leverage", account.set_leverage, False),
        ("POST", "marginType", account.set_margin_type, False),
        ("POST", "positionSide/dual", account.set_position_mode, False),
    ]
    routes = [Route("GET", f"/fapi/{p}", c, Access.PUBLIC, w, h) for p, c, w, h in public]
    routes += [Route("GET", f"/fapi/{p}", c, Access.READ, w, h) for p, c, w, h in reading]
    routes += [
        Route(m, f"/fapi/v1/{p}", c, Access.TRADE, 1, counts_order=counted)
        for m, p, c, counted in writing
    ]
    routes += [
        Route(method, "/fapi/v1/listenKey", None, Access.KEY, keyed=keyed)
        for method, keyed in (
            ("POST", listen.create),
            ("PUT", listen.extend),
            ("DELETE", listen.close),
        )
    ]
    return routes


def _depth_weight(limit: str) -> int:
    depth = int(limit) if limit.isdigit() else 100
    return next((weight for most, weight in _DEPTH_WEIGHTS if depth <= most), 50)


_DEPTH_WEIGHTS = ((100, 5), (500, 10), (1_000, 20))
