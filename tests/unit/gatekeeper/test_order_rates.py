"""Token buckets of orders: what comes back, how fast, and never more than the burst."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from interlock_core.clock import NS_PER_S
from interlock_gatekeeper import order_rates as rates
from interlock_gatekeeper.order_rates import Rate
from interlock_gatekeeper.state import Bucket

RATE = Rate("UPBIT", 4, 8)


def test_tokens_come_back_at_the_rate_up_to_the_burst():
    """Four a second, to the nanosecond."""
    empty = Bucket(Decimal(0), 0)
    for ns, left in [(0, "0"), (1, "4e-9"), (NS_PER_S // 4, "1"), (2 * NS_PER_S, "8")]:
        assert rates.tokens_left(empty, RATE, ns) == Decimal(left)
    assert rates.tokens_left(empty, RATE, 3_600 * NS_PER_S) == RATE.burst
    assert rates.tokens_left(None, RATE, 0) == RATE.burst


def test_a_clock_that_went_back_gives_nothing_and_takes_nothing():
    """Not a token, not a part of one."""
    assert rates.tokens_left(Bucket(Decimal(3), 10), RATE, 9) == 3


@given(st.lists(st.integers(0, NS_PER_S), min_size=1, max_size=40))
def test_no_window_lets_through_more_than_burst_and_rate(gaps):
    """Whoever takes only where a token is left takes at most burst + rate x time."""
    buckets, now_ns, taken = {}, 0, 0
    for gap in gaps:
        now_ns += gap
        if rates.tokens_left(buckets.get(RATE.name), RATE, now_ns) >= 1:
            rates.take(buckets, RATE, now_ns)
            taken += 1
    assert taken <= RATE.burst + RATE.per_s * Decimal(now_ns) / NS_PER_S
