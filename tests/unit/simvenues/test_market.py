"""The synthetic market: deterministic, plausible, on every venue's grid."""

from __future__ import annotations

import math
import statistics
from decimal import Decimal
from itertools import pairwise

import pytest

from interlock_core.instrument import Venue
from interlock_simvenues.market import assets as asset_list
from interlock_simvenues.market import calibration
from interlock_simvenues.market.candles import bars
from interlock_simvenues.market.instruments import Instruments, build
from interlock_simvenues.market.synthetic import Synthetic
from interlock_simvenues.market.ticks import krw_tick, krw_tick_units

START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000


def _market(seed: int = 7, regime: str = "lively") -> tuple[Instruments, Synthetic]:
    assets = asset_list.universe()
    instruments = build(assets, first_update_id=1)
    source = Synthetic(instruments, assets, seed=seed, regime=calibration.REGIMES[regime])
    source.start(START_NS)
    return instruments, source


def _run(source: Synthetic, steps: int) -> None:
    for number in range(1, steps + 1):
        source.step(START_NS + number * STEP_NS)


def test_fifty_assets_have_a_route_under_one_name() -> None:
    """Each is listed on Upbit, Binance spot and as a perpetual."""
    instruments, _ = _market()
    upbit = {item.base for item in instruments.of(Venue.UPBIT).values()}
    spot = {item.base for item in instruments.of(Venue.BINANCE).values()}
    perp = {item.base for item in instruments.of(Venue.BINANCE_PERP).values()}
    assert len(upbit & spot & perp) >= 50
    assert {"BTC", "ETH", "XRP", "SOL", "DOGE"} <= upbit & spot & perp
    assert "1000SHIB" in perp
    assert "KRW-USDT" in instruments.of(Venue.UPBIT)


def test_the_same_seed_gives_the_same_path() -> None:
    """And another seed another one."""

    def path(seed: int) -> list[int]:
        instruments, source = _market(seed)
        _run(source, 50)
        return [price for price, _ in instruments.of(Venue.UPBIT)["KRW-BTC"].book.bids]

    assert path(7) == path(7)
    assert path(7) != path(8)


def test_books_are_sorted_uncrossed_and_on_the_grid() -> None:
    """After many steps, on every market of every venue."""
    instruments, source = _market()
    _run(source, 300)
    for item in instruments.all():
        bids, asks = list(item.book.bids), list(item.book.asks)
        assert len(bids) > 5
        assert len(asks) > 5
        assert [p for p, _ in bids] == sorted({p for p, _ in bids}, reverse=True)
        assert [p for p, _ in asks] == sorted({p for p, _ in asks})
        assert bids[0][0] < asks[0][0]
        for price, size in bids + asks:
            assert price % (item.tick or krw_tick_units(price)) == 0
            assert size > 0
            assert size % item.lot == 0


def _premium_bps(instruments: Instruments, asset: str) -> float:
    upbit = instruments.of(Venue.UPBIT)
    fx = upbit["KRW-USDT"].mid()
    spot = instruments.of(Venue.BINANCE)[f"{asset}USDT"].mid()
    return (upbit[f"KRW-{asset}"].mid() / (spot * fx) - 1) * 1e4


@pytest.mark.parametrize(("regime", "low", "high"), [("lively", 35, 110), ("calibrated", 0, 15)])
def test_the_premium_swings_as_far_as_its_regime_says(regime: str, low: int, high: int) -> None:
    """Around the recorded median."""
    instruments, source = _market(regime=regime)
    values = []
    for _ in range(60):
        _run(source, 10)
        values.append(_premium_bps(instruments, "BTC"))
    assert low < statistics.stdev(values) < high
    assert abs(statistics.fmean(values) - calibration.PREMIUM_MEDIAN_BPS) < 80


def test_the_perpetual_stands_off_spot_by_the_recorded_basis() -> None:
    """Median of BTC within 2 bps of the recording."""
    instruments, source = _market()
    values = []
    for _ in range(100):
        _run(source, 5)
        spot = instruments.of(Venue.BINANCE)["BTCUSDT"].mid()
        values.append((instruments.of(Venue.BINANCE_PERP)["BTCUSDT"].mid() / spot - 1) * 1e4)
    assert math.isclose(statistics.median(values), calibration.BASIS_BPS["BTC"], abs_tol=2)


@pytest.mark.parametrize(
    ("price", "tick"),
    [
        ("117527000", "1000"), ("1000000", "1000"), ("999500", "500"), ("499900", "100"),
        ("99950", "50"), ("49990", "10"), ("9995", "5"), ("4999", "1"), ("1488", "1"),
        ("100", "1"), ("99.9", "0.1"), ("9.99", "0.01"), ("0.999", "0.001"),
        ("0.00929", "0.00001"), ("0.00000999", "0.00000001"),
    ],
)  # fmt: skip
def test_krw_ticks_are_the_documented_ones(price: str, tick: str) -> None:
    """Table of 2026-05-04."""
    assert krw_tick(Decimal(price)) == Decimal(tick)


def test_bars_are_contiguous_and_join_the_market() -> None:
    """Recorded minutes and the invented past without a jump."""
    instruments, source = _market()
    _run(source, 100)
    item = instruments.of(Venue.BINANCE)["BTCUSDT"]
    end_ms = (START_NS + 100 * STEP_NS) // 1_000_000
    found = bars(item, length_ms=60_000, end_ms=end_ms, count=50)
    starts = [bar.start_ms for bar in found]
    assert starts == list(range(starts[0], starts[0] + 50 * 60_000, 60_000))
    assert all(bar.low <= bar.open <= bar.high for bar in found)
    jumps = [abs(b.open / a.close - 1) for a, b in pairwise(found)]
    assert max(jumps) < 0.01
