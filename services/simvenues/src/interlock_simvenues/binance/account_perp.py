"""Private REST of the USD-M market: wallet, positions, leverage, margin and position mode."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from interlock_simvenues.account.futures import MAINTENANCE_RATE, FuturesAccount, Position
from interlock_simvenues.binance import encode
from interlock_simvenues.binance.errors import BinanceError, missing
from interlock_simvenues.binance.face import Face, Params, flag, integer
from interlock_simvenues.matching.orders import ZERO
from interlock_simvenues.units import NS_PER_MS

Row = dict[str, Any]
MAX_LEVERAGE = 125
# (bracket, most leverage, notional floor, notional cap, maintenance ratio, cumulated).
_BRACKETS = (
    (1, 125, 0, 300_000, 0.004, 0.0),
    (2, 100, 300_000, 800_000, 0.005, 300.0),
    (3, 50, 800_000, 3_000_000, 0.01, 4_300.0),
    (4, 20, 3_000_000, 12_000_000, 0.025, 49_300.0),
)
MAX_NOTIONAL = "12000000"
HEDGE_SIDES = ("LONG", "SHORT")


class PerpAccount:
    """Answers account calls; each method takes the parameters and returns what JSON shows."""

    def __init__(self, face: Face) -> None:
        self._face = face

    @property
    def _account(self) -> FuturesAccount:
        """Return the account as it is shown; settings are shared, the mode is not."""
        return self._face.world.perp_past.account(self._face.now_ns())

    def account_v3(self, _params: Params) -> object:
        """Answer GET v3/account: only symbols with a position."""
        rows = [self._account_position(p) for p in self._open_positions()]
        return {**self._totals(), "assets": [self._asset_row()], "positions": rows}

    def account_v2(self, _params: Params) -> object:
        """Answer GET v2/account: every symbol, with leverage."""
        rows = []
        for position in self._every_position():
            row = self._account_position(position)
            config = self._account.config(position.symbol)
            row |= {
                "leverage": str(config.leverage),
                "isolated": config.isolated,
                "entryPrice": encode.amount(position.entry),
                "breakEvenPrice": encode.amount(position.entry),
                "maxNotional": MAX_NOTIONAL,
                "openOrderInitialMargin": "0",
                "positionInitialMargin": row["initialMargin"],
                "bidNotional": "0",
                "askNotional": "0",
            }
            rows.append(row)
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": False,
            "multiAssetsMargin": False,
            "updateTime": 0,
            **self._totals(),
            "assets": [self._asset_row()],
            "positions": rows,
        }

    def balance(self, _params: Params) -> object:
        """Answer GET v2/balance and v3/balance."""
        account = self._account
        return [
            {
                "accountAlias": "SimVenue",
                "asset": "USDT",
                "balance": encode.amount(account.wallet),
                "crossWalletBalance": encode.amount(account.wallet),
                "crossUnPnl": encode.amount(account.total_unrealized()),
                "availableBalance": encode.amount(account.available()),
                "maxWithdrawAmount": encode.amount(account.available()),
                "marginAvailable": True,
                "updateTime": self._face.now_ms(),
            }
        ]

    def risk_v3(self, params: Params) -> object:
        """Answer GET v3/positionRisk: only symbols with a position, without leverage."""
        return [self._risk_row(p) for p in self._open_positions() if _asked(params, p)]

    def risk_v2(self, params: Params) -> object:
        """Answer GET v2/positionRisk: every symbol, with leverage and margin type."""
        rows = []
        for position in self._every_position():
            if _asked(params, position):
                config = self._account.config(position.symbol)
                rows.append(
                    {
                        **self._risk_row(position),
                        "leverage": str(config.leverage),
                        "maxNotionalValue": MAX_NOTIONAL,
                        "marginType": "isolated" if config.isolated else "cross",
                        "isAutoAddMargin": "false",
                    }
                )
        return rows

    def brackets(self, params: Params) -> object:
        """Answer GET leverageBracket."""
        return [self._bracket_row(symbol) for symbol in self._symbols(params)]

    def symbol_config(self, params: Params) -> object:
        """Answer GET symbolConfig."""
        rows = []
        for symbol in self._symbols(params):
            config = self._account.config(symbol)
            rows.append(
                {
                    "symbol": symbol,
                    "marginType": "ISOLATED" if config.isolated else "CROSSED",
                    "isAutoAddMargin": False,
                    "leverage": config.leverage,
                    "maxNotionalValue": MAX_NOTIONAL,
                }
            )
        return rows

    def account_config(self, _params: Params) -> object:
        """Answer GET accountConfig."""
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": False,
            "dualSidePosition": self._account.hedged,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def set_leverage(self, params: Params) -> object:
        """Answer POST leverage."""
        symbol = self._face.instrument(params).symbol
        leverage = integer(params, "leverage", 0, most=1_000)
        if not 1 <= leverage <= MAX_LEVERAGE:
            raise BinanceError(400, -4028, f"Leverage {leverage} is not valid")
        self._account.config(symbol).leverage = leverage
        return {"symbol": symbol, "leverage": leverage, "maxNotionalValue": MAX_NOTIONAL}

    def set_margin_type(self, params: Params) -> object:
        """Answer POST marginType."""
        symbol, wanted = self._face.instrument(params).symbol, params.get("marginType")
        if wanted not in ("ISOLATED", "CROSSED"):
            raise missing("marginType")
        config = self._account.config(symbol)
        if config.isolated == (wanted == "ISOLATED"):
            raise BinanceError(400, -4046, "No need to change margin type.")
        if self._face.exchange.open_orders(symbol):
            text = "Margin type cannot be changed if there exists open orders."
            raise BinanceError(400, -4047, text)
        if any(p.symbol == symbol for p in self._open_positions()):
            text = "Margin type cannot be changed if there exists position."
            raise BinanceError(400, -4048, text)
        config.isolated = wanted == "ISOLATED"
        return {"code": 200, "msg": "success"}

    def position_mode(self, _params: Params) -> object:
        """Answer GET positionSide/dual."""
        return {"dualSidePosition": self._account.hedged}

    def set_position_mode(self, params: Params) -> object:
        """Answer POST positionSide/dual."""
        if not params.get("dualSidePosition"):
            raise missing("dualSidePosition")
        wanted = flag(params, "dualSidePosition")
        if wanted == self._account.hedged:
            raise BinanceError(400, -4059, "No need to change position side.")
        if self._face.exchange.open_orders():
            text = "Position side cannot be changed if there exists open orders."
            raise BinanceError(400, -4067, text)
        if self._open_positions():
            text = "Position side cannot be changed if there exists position."
            raise BinanceError(400, -4068, text)
        self._face.world.perp_account.hedged = wanted
        return {"code": 200, "msg": "success"}

    def commission(self, params: Params) -> object:
        """Answer GET commissionRate."""
        rate = encode.amount(self._account.fee_rate, 6)
        return {
            "symbol": self._face.instrument(params).symbol,
            "makerCommissionRate": rate,
            "takerCommissionRate": rate,
        }

    def income(self, params: Params) -> object:
        """Answer GET income: fees and realized profit of the kept orders, oldest first."""
        rows: list[Row] = []
        for order in self._face.exchange.orders.values():
            for fill in order.fills:
                base = {
                    "symbol": fill.symbol,
                    "asset": "USDT",
                    "time": fill.time_ns // NS_PER_MS,
                    "tranId": fill.trade_id,
                    "tradeId": str(fill.trade_id),
                    "info": "",
                }
                amounts = {"COMMISSION": -fill.fee, "REALIZED_PNL": fill.realized}
                rows += [
                    {**base, "incomeType": kind, "income": encode.amount(value)}
                    for kind, value in amounts.items()
                    if value and params.get("incomeType", kind) == kind
                ]
        symbol = params.get("symbol")
        rows = [row for row in rows if not symbol or row["symbol"] == symbol]
        return rows[-integer(params, "limit", 100, most=1_000) :]

    def _symbols(self, params: Params) -> list[str]:
        if params.get("symbol"):
            return [self._face.instrument(params).symbol]
        return list(self._face.instruments)

    def _open_positions(self) -> list[Position]:
        return [p for p in self._account.positions.values() if p.amount != ZERO]

    def _every_position(self) -> list[Position]:
        sides = HEDGE_SIDES if self._account.hedged else ("BOTH",)
        return [
            self._account.positions.get((symbol, side)) or Position(symbol, side)
            for symbol in self._face.instruments
            for side in sides
        ]

    def _totals(self) -> Row:
        account = self._account
        unrealized = account.total_unrealized()
        margin, orders = account.position_margin(), account.open_order_margin
        return {
            "totalInitialMargin": encode.amount(margin + orders),
            "totalMaintMargin": encode.amount(
                sum((self._maintenance(p) for p in self._open_positions()), ZERO)
            ),
            "totalWalletBalance": encode.amount(account.wallet),
            "totalUnrealizedProfit": encode.amount(unrealized),
            "totalMarginBalance": encode.amount(account.wallet + unrealized),
            "totalPositionInitialMargin": encode.amount(margin),
            "totalOpenOrderInitialMargin": encode.amount(orders),
            "totalCrossWalletBalance": encode.amount(account.wallet),
            "totalCrossUnPnl": encode.amount(unrealized),
            "availableBalance": encode.amount(account.available()),
            "maxWithdrawAmount": encode.amount(account.available()),
        }

    def _asset_row(self) -> Row:
        totals = self._totals()
        return {
            "asset": "USDT",
            "walletBalance": totals["totalWalletBalance"],
            "unrealizedProfit": totals["totalUnrealizedProfit"],
            "marginBalance": totals["totalMarginBalance"],
            "maintMargin": totals["totalMaintMargin"],
            "initialMargin": totals["totalInitialMargin"],
            "positionInitialMargin": totals["totalPositionInitialMargin"],
            "openOrderInitialMargin": totals["totalOpenOrderInitialMargin"],
            "crossWalletBalance": totals["totalCrossWalletBalance"],
            "crossUnPnl": totals["totalCrossUnPnl"],
            "availableBalance": totals["availableBalance"],
            "maxWithdrawAmount": totals["maxWithdrawAmount"],
            "marginAvailable": True,
            "updateTime": self._face.now_ms(),
        }

    def _maintenance(self, position: Position) -> Decimal:
        return abs(position.amount) * self._account.mark(position.symbol) * MAINTENANCE_RATE

    def _account_position(self, position: Position) -> Row:
        item = self._face.instruments[position.symbol]
        notional = position.amount * self._account.mark(position.symbol)
        return {
            "symbol": position.symbol,
            "positionSide": position.side,
            "positionAmt": encode.amount(position.amount, item.lot_digits),
            "unrealizedProfit": encode.amount(self._account.unrealized(position)),
            "isolatedMargin": "0.00000000",
            "notional": encode.amount(notional),
            "isolatedWallet": "0",
            "initialMargin": encode.amount(self._account.initial_margin(position)),
            "maintMargin": encode.amount(self._maintenance(position)),
            "updateTime": position.updated_ns // NS_PER_MS,
        }

    def _risk_row(self, position: Position) -> Row:
        row = self._account_position(position)
        margin = row["initialMargin"]
        return {
            "symbol": position.symbol,
            "positionSide": position.side,
            "positionAmt": row["positionAmt"],
            "entryPrice": encode.amount(position.entry),
            "breakEvenPrice": encode.amount(position.entry),
            "markPrice": encode.amount(self._account.mark(position.symbol)),
            "unRealizedProfit": row["unrealizedProfit"],
            "liquidationPrice": "0",
            "isolatedMargin": "0",
            "notional": row["notional"],
            "marginAsset": "USDT",
            "isolatedWallet": "0",
            "initialMargin": margin,
            "maintMargin": row["maintMargin"],
            "positionInitialMargin": margin,
            "openOrderInitialMargin": "0",
            "adl": 1,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": row["updateTime"],
        }

    @staticmethod
    def _bracket_row(symbol: str) -> Row:
        return {
            "symbol": symbol,
            "notionalCoef": 1.0,
            "brackets": [
                {
                    "bracket": number,
                    "initialLeverage": leverage,
                    "notionalCap": cap,
                    "notionalFloor": floor,
                    "maintMarginRatio": ratio,
                    "cum": cumulated,
                }
                for number, leverage, floor, cap, ratio, cumulated in _BRACKETS
            ],
        }


def _asked(params: Params, position: Position) -> bool:
    symbol = params.get("symbol")
    return not symbol or symbol == position.symbol
