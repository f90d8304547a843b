"""The benchmark's market, and round trips on it as an engine makes them.

One table of assets gives both the venue's answers and the prices of the orders, so that an order
is approved because it is right, and is denied only where the benchmark made it wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import count, islice

from interlock_core import ids
from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_core.wire import gate
from interlock_core.wire.gate import OrderIntent, Purpose

UPBIT, PERP = "UPBIT", "BINANCE_PERP"
FX_BID, FX_ASK = Decimal(1399), Decimal(1400)
QUANTITY = Decimal("0.4")
EDGE_BPS = Decimal(20)
PRICE_STEPS = 5


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset on both venues: asks, and the tick between ask and bid."""

    name: str
    ask_usdt: Decimal
    ask_krw: Decimal

    tick_usdt = Decimal("0.01")
    tick_krw = Decimal(100)

    @property
    def upbit(self) -> str:
        """Return the key of the Upbit market."""
        return f"{UPBIT}:KRW-{self.name}"

    @property
    def perp(self) -> str:
        """Return the key of the Binance perpetual."""
        return f"{PERP}:{self.name}USDT"


ASSETS = tuple(
    Asset(f"B{number:02d}", Decimal(100 + number), Decimal(140_000 + 1_400 * number))
    for number in range(24)
)
# Buys and sells fill at one price, so that no number of round trips meets a limit on losses.
FILL_PRICES = {
    **{f"KRW-{asset.name}": asset.ask_krw for asset in ASSETS},
    **{f"{asset.name}USDT": asset.ask_usdt for asset in ASSETS},
}
KEYS = tuple(key for asset in ASSETS for key in (asset.upbit, asset.perp))


def round_trips(session: str, *, at_once: int) -> Iterator[OrderIntent]:
    """Yield orders without end: entries of `at_once` positions, then their exits.

    A buy on Upbit and a sell of the perpetual, as legs of one group; neighbours differ in symbol,
    and an order's next likeness in price. Time of creation and epoch are filled in by `stamped`.
    """
    numbers = count(1)
    while True:
        wave = list(islice(numbers, at_once))
        for purpose in (Purpose.ENTRY, Purpose.EXIT):
            for number in wave:
                yield from _pair(session, number, purpose)


def _pair(session: str, number: int, purpose: Purpose) -> Iterator[OrderIntent]:
    asset, entry = ASSETS[number % len(ASSETS)], purpose is Purpose.ENTRY
    beyond = number // len(ASSETS) % PRICE_STEPS
    legs = (
        ("a", asset.upbit, asset.ask_krw, asset.tick_krw, entry),
        ("b", asset.perp, asset.ask_usdt, asset.tick_usdt, not entry),
    )
    for leg, instrument, ask, tick, buys in legs:
        touch = ask if buys else ask - tick
        yield OrderIntent(
            schema=gate.SCHEMA,
            intent_id=ids.intent_id(session, number, leg, 1 if entry else 2),
            group_id=f"rt{number:06d}-{session[-4:]}",
            leg=leg,
            purpose=purpose,
            instrument=instrument,
            side=Side.BUY if buys else Side.SELL,
            type="limit",
            time_in_force="ioc",
            quantity=QUANTITY,
            price=touch + beyond * tick if buys else touch - beyond * tick,
            quoted_price=touch,
            edge_bps=EDGE_BPS if entry else ZERO,
            created_boot_ns=0,
            epoch=0,
        )


def upbit_markets() -> bytes:
    """Return Upbit's list of markets."""
    return _json([{"market": f"KRW-{asset.name}"} for asset in ASSETS] + [{"market": "KRW-USDT"}])


def upbit_books() -> bytes:
    """Return the top of every Upbit book."""
    tops = [(a.name, a.ask_krw - a.tick_krw, a.ask_krw) for a in ASSETS]
    return _json(
        [
            {
                "market": f"KRW-{name}",
                "orderbook_units": [{"bid_price": int(bid), "ask_price": int(ask)}],
            }
            for name, bid, ask in [*tops, ("USDT", FX_BID, FX_ASK)]
        ]
    )


def perp_exchange_info() -> bytes:
    """Return the perpetuals' symbols and filters."""
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": str(Asset.tick_usdt)},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ]
    same = {
        "quoteAsset": "USDT",
        "status": "TRADING",
        "contractType": "PERPETUAL",
        "filters": filters,
    }
    symbols = [{"symbol": f"{a.name}USDT", "baseAsset": a.name, **same} for a in ASSETS]
    return _json({"symbols": symbols})


def perp_tickers() -> bytes:
    """Return the best prices of every perpetual."""
    return _json(
        [
            {
                "symbol": f"{asset.name}USDT",
                "bidPrice": str(asset.ask_usdt - asset.tick_usdt),
                "askPrice": str(asset.ask_usdt),
            }
            for asset in ASSETS
        ]
    )


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
