"""When a position is closed."""

import pytest

from interlock_core.reasons import ExitReason
from interlock_engine.decide.exits import ExitSettings, Held, exit_reason, net_edge_bps
from interlock_engine.decide.spread import Direction, Fees, Premium

FEES = Fees(5.0, 5.0)
SETTINGS = ExitSettings(
    take_profit_bps=12.0, stop_loss_bps=50.0, time_limit_s=60.0, reversal_bps=5.0
)
LOW = Held(Direction.BUY_UPBIT, 100.0, 0, 24.0)
HIGH = Held(Direction.SELL_UPBIT, 200.0, 0, 24.0)


def _reason(held, mid, *, baseline=150.0, now_s=1):
    return exit_reason(
        held,
        Premium(mid + 2, mid - 2),
        baseline_bps=baseline,
        fees=FEES,
        settings=SETTINGS,
        now_ns=now_s * 10**9,
    )


@pytest.mark.parametrize(
    ("held", "mid", "expected"),
    [
        (LOW, 134.0, ExitReason.TAKE_PROFIT),
        (LOW, 133.9, None),
        (HIGH, 166.0, ExitReason.TAKE_PROFIT),
        (HIGH, 166.1, None),
        (LOW, 48.0, ExitReason.STOP_LOSS),
        (LOW, 48.1, None),
        (HIGH, 252.0, ExitReason.STOP_LOSS),
        (HIGH, 251.9, None),
    ],
)
def test_limits_hold_on_both_sides(held, mid, expected):
    assert _reason(held, mid) == expected


def test_the_cost_of_entering_is_no_stop_loss():
    coarse = Held(Direction.BUY_UPBIT, 100.0, 0, 88.0)
    assert net_edge_bps(coarse, Premium(100.0, 32.0), FEES) == -88.0
    assert (
        exit_reason(
            coarse,
            Premium(100.0, 32.0),
            baseline_bps=150.0,
            fees=FEES,
            settings=SETTINGS,
            now_ns=1,
        )
        is None
    )


def test_time_ends_a_position():
    assert _reason(LOW, 110.0, now_s=59) is None
    assert _reason(LOW, 110.0, now_s=60) is ExitReason.TIME_LIMIT


def test_a_premium_past_a_drifted_baseline_has_nothing_left_to_give():
    assert _reason(LOW, 110.0, baseline=106.0) is None
    assert _reason(LOW, 110.0, baseline=105.0) is ExitReason.SPREAD_REVERSAL
    assert _reason(HIGH, 190.0, baseline=195.0) is ExitReason.SPREAD_REVERSAL
