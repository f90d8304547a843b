"""The calibration constants are what the recordings say."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from interlock_simvenues.market import calibration

DATA = Path("/work/shared/data")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the recordings are not on this machine")


def _rows(name: str) -> list[dict[str, str]]:
    text = gzip.decompress((DATA / name).read_bytes()).decode()
    return list(csv.DictReader(text.splitlines()))


def test_premium_of_the_hourly_bars() -> None:
    """Median, spread and persistence."""
    rows = _rows("btc_1h_upbit_binanceperp_2022_2023.csv.gz")
    premium = np.array([float(row["premium_pct"]) for row in rows]) * 100
    assert math.isclose(np.median(premium), calibration.PREMIUM_MEDIAN_BPS, abs_tol=1)
    assert math.isclose(premium.std(), calibration.PREMIUM_SD_BPS, abs_tol=1)
    correlation = np.corrcoef(premium[1:], premium[:-1])[0, 1]
    half_life_s = -math.log(2) / math.log(correlation) * 3_600
    assert math.isclose(half_life_s, calibration.PREMIUM_HALF_LIFE_S, rel_tol=0.02)


def test_deviation_and_volatility_of_the_five_minute_bars() -> None:
    """Implied rate against its own one-hour mean."""
    rows = _rows("btc_5m_upbit_binance_2025.csv.gz")
    implied = np.log(
        [float(row["close_upbit_krw"]) / float(row["close_binance_usdt"]) for row in rows]
    )
    mean = np.convolve(implied, np.ones(12) / 12, "valid")
    deviation = (implied[11:] - mean) * 1e4
    assert math.isclose(deviation.std(), calibration.DEVIATION_SD_BPS, abs_tol=0.2)
    correlation = np.corrcoef(deviation[1:], deviation[:-1])[0, 1]
    half_life_s = -math.log(2) / math.log(correlation) * 300
    assert math.isclose(half_life_s, calibration.DEVIATION_HALF_LIFE_S, rel_tol=0.02)
    binance = np.log([float(row["close_binance_usdt"]) for row in rows])
    step = np.diff(binance).std() * 1e4 / math.sqrt(3_000)
    assert math.isclose(step, calibration.BTC_STEP_SD_BPS, abs_tol=0.01)


def test_spreads_and_basis_of_the_l1_recording() -> None:
    """Share of one-tick quotes, and perpetual against spot."""
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(DATA / "binance_l1_20240808.parquet")
    market, symbol = (np.array(table[name].to_pylist()) for name in ("market", "symbol"))
    bid, ask, time = (table[name].to_numpy() for name in ("bid", "ask", "local_ns"))
    ticks = {
        ("spot", "BTC"): 0.01,
        ("usdm", "BTC"): 0.1,
        ("spot", "ETH"): 0.01,
        ("usdm", "ETH"): 0.01,
    }
    shares = {}
    for (kind, asset), tick in ticks.items():
        mask = (market == kind) & (symbol == f"{asset}USDT")
        shares[kind, asset] = float((np.round((ask[mask] - bid[mask]) / tick) == 1).mean())
    spot = (shares["spot", "BTC"] + shares["spot", "ETH"]) / 2
    perp = (shares["usdm", "BTC"] + shares["usdm", "ETH"]) / 2
    assert math.isclose(spot, calibration.ONE_TICK_SHARE_SPOT, abs_tol=0.02)
    assert math.isclose(perp, calibration.ONE_TICK_SHARE_PERP, abs_tol=0.02)
    for asset, expected in calibration.BASIS_BPS.items():
        s = (market == "spot") & (symbol == f"{asset}USDT")
        p = (market == "usdm") & (symbol == f"{asset}USDT")
        grid = np.arange(max(time[s][0], time[p][0]), min(time[s][-1], time[p][-1]), 10**8)
        mids = [
            ((bid + ask) / 2)[mask][np.searchsorted(time[mask], grid, "right") - 1]
            for mask in (s, p)
        ]
        assert math.isclose(np.median(np.log(mids[1] / mids[0]) * 1e4), expected, abs_tol=0.1)


def test_usdt_in_krw_of_the_upbit_trades() -> None:
    """Median trade price of KRW-USDT."""
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(DATA / "upbit_trades_202605.parquet", columns=["market", "price"])
    mask = np.array(table["market"].to_pylist()) == "KRW-USDT"
    assert np.median(table["price"].to_numpy()[mask]) == calibration.FX_KRW_PER_USDT
