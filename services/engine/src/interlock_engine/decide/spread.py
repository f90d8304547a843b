"""The price difference of one asset on two venues, in basis points (bps).

Upbit is priced in KRW, Binance in USDT; KRW per USDT has a bid and an ask of its own. Buying on
Upbit costs KRW that USDT was sold for, at the FX bid; selling on Upbit yields KRW that buys USDT
back, at the FX ask. So each direction pays every spread once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

BPS = 10_000.0


class Direction(StrEnum):
    """What is bought where on entry; the exit is the opposite."""

    BUY_UPBIT = "buy_upbit"
    SELL_UPBIT = "sell_upbit"

    @property
    def opposite(self) -> Direction:
        """Return the direction that closes this one."""
        return Direction.SELL_UPBIT if self is Direction.BUY_UPBIT else Direction.BUY_UPBIT


@dataclass(frozen=True, slots=True)
class Fees:
    """Taker fees in bps of the notional."""

    upbit_bps: float
    binance_bps: float

    @property
    def one_way_bps(self) -> float:
        """Return the fees of two legs."""
        return self.upbit_bps + self.binance_bps

    @property
    def round_trip_bps(self) -> float:
        """Return the fees of all four legs."""
        return 2.0 * self.one_way_bps


class Premium:
    """Upbit over Binance in bps: the one that is paid (`buy`) and the one received (`sell`).

    `buy` is for buying on Upbit and selling on Binance, `sell` for the opposite; `mid` lies
    between. `buy` - `sell` is what crossing all spreads once there and once back costs.
    """

    __slots__ = ("buy", "mid", "sell")

    def __init__(self, buy: float, sell: float) -> None:
        self.buy = buy
        self.sell = sell
        self.mid = 0.5 * (buy + sell)

    def executable(self, direction: Direction) -> float:
        """Return the premium that trading in this direction gets."""
        return self.buy if direction is Direction.BUY_UPBIT else self.sell

    @property
    def cost(self) -> float:
        """Return what crossing both books and the FX spread costs, there and back."""
        return self.buy - self.sell


def premium(
    upbit_bid: float,
    upbit_ask: float,
    *,
    binance_bid: float,
    binance_ask: float,
    fx_bid: float,
    fx_ask: float,
) -> Premium:
    """Return both executable premiums; Upbit in KRW, Binance in USDT, FX in KRW per USDT."""
    return Premium(
        (upbit_ask / (fx_bid * binance_bid) - 1.0) * BPS,
        (upbit_bid / (fx_ask * binance_ask) - 1.0) * BPS,
    )


def edge_bps(
    entry: Direction, entry_premium_bps: float, *, exit_premium_bps: float, fees: Fees
) -> float:
    """Return what a round trip earns net of its four taker fees, in bps.

    The premiums are executable ones: paid or received at entry, and at exit the other way.
    """
    moved = exit_premium_bps - entry_premium_bps
    gross = moved if entry is Direction.BUY_UPBIT else -moved
    return gross - fees.round_trip_bps
