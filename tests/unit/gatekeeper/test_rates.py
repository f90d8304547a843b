"""Token bucket and flood guard: pure, told the time."""

from hypothesis import given
from hypothesis import strategies as st

from interlock_core.clock import NS_PER_S
from interlock_gatekeeper.rates import FloodGuard, TokenBucket

MS = NS_PER_S // 1000
GAPS = st.lists(st.integers(0, 200 * MS), max_size=300)


def test_a_burst_then_the_rate():
    """Forty at once, then one every fiftieth of a second."""
    bucket = TokenBucket(20, 40)
    assert [bucket.take(0) for _ in range(41)] == [True] * 40 + [False]
    assert not bucket.take(50 * MS - 1)
    assert bucket.take(50 * MS)
    assert not bucket.take(50 * MS)


def test_a_pause_fills_no_more_than_the_burst():
    """An hour of silence is worth forty requests."""
    bucket = TokenBucket(20, 40)
    bucket.take(0)
    taken = [bucket.take(3600 * NS_PER_S) for _ in range(41)]
    assert taken.count(True) == 40


@given(GAPS)
def test_never_more_than_burst_and_rate_allow(gaps):
    """In every run of requests, and a clock that steps back gives nothing away."""
    bucket, now, allowed = TokenBucket(20, 40), 0, 0
    for gap in gaps:
        now += gap
        allowed += bucket.take(now)
        bucket.take(now - 10 * NS_PER_S)
    assert allowed <= 40 + 20 * now / NS_PER_S


def test_the_hundredth_within_the_window_is_a_flood():
    """Ninety-nine are none; then it counts anew."""
    guard = FloodGuard(100, 60 * NS_PER_S)
    assert [guard.note(n) for n in range(99)] == [False] * 99
    assert guard.note(60 * NS_PER_S - 1)
    assert not guard.note(60 * NS_PER_S - 1)


def test_what_is_older_than_the_window_is_forgotten():
    """The first fell out just in time."""
    guard = FloodGuard(2, 60 * NS_PER_S)
    assert not guard.note(0)
    assert not guard.note(60 * NS_PER_S)
    assert guard.note(120 * NS_PER_S - 1)
