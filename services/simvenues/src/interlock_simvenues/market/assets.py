"""The simulated universe: assets of both venues with plausible prices, ticks and steps.

KRW prices are last trades of May 2026 (upbit_trades_202605.parquet), divided by KRW-USDT 1488.
The order is by an assumed daily turnover, largest first; turnovers are not measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

KRW_PER_USDT_AT_SOURCE = 1488.0
BINANCE_QUOTE = "USDT"

_KRW_PRICES = """
BTC 117527000 ETH 3340000 XRP 2111 SOL 135000 DOGE 164 ADA 392 SUI 1776 LINK 15050 TRX 521
AVAX 14390 BCH 641500 XLM 236 ONDO 569 NEAR 2317 INJ 8095 HBAR 137 DOT 1973 AAVE 141200
UNI 5370 ENA 173 APT 1547 WLD 384 TAO 435800 ICP 4530 ETC 13660 ATOM 3031 RENDER 2735 FIL 1548
ARB 196 TRUMP 3493 TIA 690 SEI 98.8 STX 405 VIRTUAL 1144 PENDLE 2940 JUP 330 ENS 10070 IMX 276
OP 215 ALGO 174 AXS 1888 COMP 33750 POL 144 SAND 115 MANA 142 THETA 336 ZRO 2114 IP 794 BERA 594
JTO 717 GRT 40.8 CHZ 63.2 PYTH 76.1 QTUM 1452 NEO 4659 EGLD 6555 XTZ 552 KAITO 678
"""
# Perpetuals of these are in lots of 1000 (1000SHIBUSDT), so they have no route under one name.
_THOUSANDS = "SHIB 0.00929 PEPE 0.00597 BONK 0.01"
NAMES = {
    "BTC": ("비트코인", "Bitcoin"),
    "ETH": ("이더리움", "Ethereum"),
    "XRP": ("엑스알피(리플)", "XRP"),
    "SOL": ("솔라나", "Solana"),
    "DOGE": ("도지코인", "Dogecoin"),
    "ADA": ("에이다", "Ada"),
    "USDT": ("테더", "Tether"),
}
_SPOT_STEPS = {"BTC": (0.01, 0.00001), "ETH": (0.01, 0.0001), "SOL": (0.01, 0.001)}
_PERP_STEPS = {"BTC": (0.1, 0.001), "ETH": (0.01, 0.001), "SOL": (0.01, 0.01)}
_PERP_MIN_NOTIONAL = {"BTC": 50, "ETH": 20}


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset; ticks and steps are in units of 1e-8, turnover is USD a day over all venues."""

    name: str
    korean: str
    english: str
    usd: float
    turnover_usd: float
    spot_tick: int
    spot_step: int
    perp_symbol: str
    perp_multiple: int
    perp_tick: int
    perp_step: int
    perp_min_notional: int


def universe() -> tuple[Asset, ...]:
    """Return every asset, by falling turnover; the ones with a 1000-lot perpetual come last."""
    found = []
    for rank, (name, krw) in enumerate(_pairs(_KRW_PRICES)):
        found.append(_asset(name, krw, rank=rank, multiple=1))
    for name, krw in _pairs(_THOUSANDS):
        found.append(_asset(name, krw, rank=len(found), multiple=1000))
    return tuple(found)


def _pairs(text: str) -> list[tuple[str, float]]:
    words = text.split()
    return [(words[i], float(words[i + 1])) for i in range(0, len(words), 2)]


def _asset(name: str, krw: float, *, rank: int, multiple: int) -> Asset:
    usd = krw / KRW_PER_USDT_AT_SOURCE
    korean, english = NAMES.get(name, (name, name))
    spot_tick, spot_step = _SPOT_STEPS.get(name) or _steps(usd)
    perp_tick, perp_step = _PERP_STEPS.get(name) or _steps(usd * multiple)
    return Asset(
        name=name,
        korean=korean,
        english=english,
        usd=usd,
        turnover_usd=2.0e10 / (1 + rank) ** 1.3,
        spot_tick=_units(spot_tick),
        spot_step=_units(spot_step),
        perp_symbol=f"{multiple if multiple > 1 else ''}{name}{BINANCE_QUOTE}",
        perp_multiple=multiple,
        perp_tick=_units(perp_tick),
        perp_step=_units(perp_step),
        perp_min_notional=_PERP_MIN_NOTIONAL.get(name, 5),
    )


def _steps(usd: float) -> tuple[float, float]:
    """Return a tick of 1 to 10 parts in 1e5 of the price, and a step worth 0.1 to 1 USD."""
    magnitude = math.floor(math.log10(usd))
    return 10.0 ** max(magnitude - 4, -8), 10.0 ** min(-magnitude - 1, 0)


def _units(value: float) -> int:
    return max(1, round(value * 1e8))
