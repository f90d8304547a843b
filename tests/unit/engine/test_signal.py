"""The baseline of a premium, and when a signal asks for an entry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock_core.clock import NS_PER_S
from interlock_engine.decide.signal import Baseline, expected_edge_bps, signal
from interlock_engine.decide.spread import Direction, Fees, Premium

FEES = Fees(5.0, 5.0)


def _fed(values, *, half_life_s=100.0, every_s=1.0):
    baseline = Baseline(half_life_s, warm_up_s=10.0)
    for index, value in enumerate(values):
        baseline.update(value, int((1 + index * every_s) * NS_PER_S))
    return baseline


def test_a_young_baseline_is_the_plain_average_over_time():
    # The first value holds for no time at all: it only starts the clock.
    assert _fed([500.0, 10.0, 20.0, 30.0]).value == pytest.approx(20.0)


def test_an_old_baseline_moves_half_way_in_a_half_life():
    baseline = _fed([0.0] * 500)
    start = 500 * NS_PER_S
    for step in range(1, 1001):
        baseline.update(100.0, start + step * NS_PER_S // 10)
    assert baseline.value == pytest.approx(50.0, abs=0.5)


def test_a_long_silence_starts_anew():
    baseline = _fed([10.0] * 50)
    baseline.update(300.0, 1_000 * NS_PER_S)
    assert baseline.value == 300.0
    assert not baseline.is_warm(1_009 * NS_PER_S)
    assert baseline.is_warm(1_010 * NS_PER_S)


def test_time_that_does_not_advance_changes_nothing():
    baseline = _fed([10.0, 10.0])
    baseline.update(99.0, 2 * NS_PER_S)
    assert baseline.value == 10.0


def test_before_the_first_value_nothing_is_warm():
    assert not Baseline(100.0, 0.0).is_warm(10**18)


@given(st.lists(st.floats(-500, 500), min_size=1, max_size=60))
def test_the_baseline_stays_within_what_it_saw(values):
    assert min(values) - 1e-6 <= _fed(values, half_life_s=5.0).value <= max(values) + 1e-6


@given(st.floats(-500, 500), st.floats(-500, 500), st.integers(0, 10_000), st.floats(0, 600))
def test_pooling_lies_between_own_and_common(own, common, age_s, pool_s):
    baseline = Baseline(100.0, 0.0)
    baseline.update(own, NS_PER_S)
    got = baseline.pooled(common, pool_s=pool_s, now_ns=(1 + age_s) * NS_PER_S)
    assert min(own, common) - 1e-6 <= got <= max(own, common) + 1e-6


def test_own_history_and_common_premium_weigh_the_same_after_the_pool_time():
    baseline = Baseline(100.0, 0.0)
    baseline.update(100.0, NS_PER_S)
    assert baseline.pooled(0.0, pool_s=60.0, now_ns=61 * NS_PER_S) == pytest.approx(50.0)
    assert baseline.pooled(0.0, pool_s=0.0, now_ns=61 * NS_PER_S) == 100.0


def test_hand_computed_expectation():
    # Mid 100 below the baseline, spreads cost 8, four fees 20: 72 are left.
    assert expected_edge_bps(Premium(54.0, 46.0), 150.0, FEES) == pytest.approx(72.0)


def test_the_direction_is_toward_the_baseline():
    low = signal(Premium(54.0, 46.0), 150.0, fees=FEES, threshold_bps=10.0)
    assert low is not None
    assert (low.direction, low.premium_bps) == (Direction.BUY_UPBIT, 54.0)
    high = signal(Premium(254.0, 246.0), 150.0, fees=FEES, threshold_bps=10.0)
    assert high is not None
    assert (high.direction, high.premium_bps) == (Direction.SELL_UPBIT, 246.0)


def test_the_threshold_itself_is_not_enough():
    assert signal(Premium(54.0, 46.0), 150.0, fees=FEES, threshold_bps=72.0) is None
    assert signal(Premium(54.0, 46.0), 150.0, fees=FEES, threshold_bps=71.9) is not None


def test_a_premium_that_is_not_a_number_is_no_signal():
    nan = float("nan")
    assert signal(Premium(nan, nan), 150.0, fees=FEES, threshold_bps=0.0) is None
