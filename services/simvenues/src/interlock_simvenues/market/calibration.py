"""Constants measured on recorded data, with their origin.

`tests/unit/simvenues/test_calibration.py` computes them again from the recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

# upbit_trades_202605.parquet: median trade price of KRW-USDT.
FX_KRW_PER_USDT = 1480.0
# btc_1h_upbit_binanceperp_2022_2023.csv.gz: premium_pct; p1 / median / p99 are -108 / 154 / 550.
PREMIUM_MEDIAN_BPS = 154.0
PREMIUM_SD_BPS = 129.5
# The same file: lag-1 autocorrelation 0.98384 of hourly premiums, as a half-life.
PREMIUM_HALF_LIFE_S = 153_000.0
# btc_5m_upbit_binance_2025.csv.gz: implied rate against its own 1 h mean, sd and lag-1
# autocorrelation 0.830.
DEVIATION_SD_BPS = 13.9
DEVIATION_HALF_LIFE_S = 1_116.0
# The same file: standard deviation of 5-minute BTC returns 20.4 bps, as 100 ms steps; the L1
# recording of 2024-08-08 gives 0.33.
BTC_STEP_SD_BPS = 0.37
# binance_l1_20240808.parquet: perpetual minus spot, median and sd, BTC and ETH; the 100 ms
# autocorrelation of 0.87 as a half-life.
BASIS_BPS = {"BTC": -3.65, "ETH": -4.40}
BASIS_DEFAULT_BPS = -4.0
BASIS_SD_BPS = 0.6
BASIS_HALF_LIFE_S = 0.5
# The same file: share of quotes one tick wide (0.88 .. 0.95), and where wider, the width in bps.
ONE_TICK_SHARE_SPOT = 0.89
ONE_TICK_SHARE_PERP = 0.945
WIDER_MEDIAN_BPS = 0.2
# upbit_krwbtc_l2_20250824.jsonl.gz: spread 0.44 .. 0.94 bps where one tick is 0.06 bps.
UPBIT_FINE_SPREAD_BPS = 0.7
# The L1 and L2 recordings: median USD on the best level.
TOP_USD = {
    "spot": {"BTC": 65_000.0, "ETH": 14_000.0},
    "perp": {"BTC": 165_000.0, "ETH": 36_000.0},
    "upbit": {"BTC": 4_000.0, "ETH": 20_000.0},
}


@dataclass(frozen=True, slots=True)
class Regime:
    """How far and how fast the premium of one asset swings around the common premium."""

    name: str
    deviation_sd_bps: float
    deviation_half_life_s: float


REGIMES = {
    "calibrated": Regime("calibrated", DEVIATION_SD_BPS, DEVIATION_HALF_LIFE_S),
    # Not measured: made so that mean reversion completes round trips within a minute.
    "lively": Regime("lively", 70.0, 8.0),
}
