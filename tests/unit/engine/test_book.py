"""Books: touch, executable prices, and what is refused."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock_engine.book.book import Book, vwap
from interlock_venues.upbit.messages import Unit

levels = st.lists(st.tuples(st.floats(0.01, 1e6), st.floats(1e-6, 1e4)), min_size=1, max_size=8)


def test_hand_computed_average_over_two_levels():
    # 150 at 100 buys 1.5; the other 150 at 120 buy 1.25: 300 / 2.75.
    assert vwap([(100.0, 1.5), (120.0, 9.0)], 300.0) == pytest.approx(300 / 2.75)


def test_what_the_levels_do_not_hold_is_priced_at_the_last_one():
    assert vwap([(100.0, 1.0), (200.0, 0.5), (0.0, 0.0)], 400.0) == pytest.approx(400 / 2.5)


@given(rows=levels, notional=st.floats(0.01, 1e7))
def test_the_average_is_exact_and_never_better_than_the_touch(rows, notional):
    asks = sorted(rows)
    got = vwap(asks, notional)
    left, quantity, last = Fraction(notional), Fraction(0), Fraction(asks[0][0])
    for price, size in asks:
        last = Fraction(price)
        part = min(left, last * Fraction(size))
        quantity += part / last
        left -= part
    quantity += left / last
    assert got == pytest.approx(float(Fraction(notional) / quantity), rel=1e-9)
    assert got >= asks[0][0] * (1 - 1e-9)


def test_both_shapes_of_a_book_give_the_same_numbers():
    pairs, units = Book(500.0), Book(500.0)
    bids, asks = [(99.0, 2.0), (98.0, 9.0)], [(100.0, 1.0), (101.0, 9.0)]
    pairs.set_levels(bids, asks, 7)
    rows = [Unit(a, b, qa, qb) for (b, qb), (a, qa) in zip(bids, asks, strict=True)]
    units.set_units(rows, 7)
    for name in ("bid", "ask", "bid_vwap", "ask_vwap", "at_ns", "usable"):
        assert getattr(pairs, name) == getattr(units, name)
    assert pairs.bid_vwap < pairs.bid < pairs.ask < pairs.ask_vwap


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("bid", "ask", "crossed"),
    [
        (100.0, 100.0, True),
        (101.0, 100.0, True),
        (0.0, 100.0, False),
        (100.0, 0.0, False),
        (-1.0, 5.0, False),
        (NAN, 5.0, False),
        (5.0, NAN, False),
        (5.0, INF, False),
    ],
)
def test_a_book_that_cannot_be_is_refused(bid, ask, crossed):
    book = Book(10.0)
    book.set_levels([(99.0, 1.0)], [(100.0, 1.0)], 1)
    book.set_levels([(bid, 1.0)], [(ask, 1.0)], 2)
    assert (book.usable, book.crossed) == (False, crossed)
    book.set_levels([(99.0, 1.0)], [(100.0, 1.0)], 3)
    assert (book.usable, book.crossed) == (True, False)


def test_an_empty_side_is_refused():
    book = Book(10.0)
    book.set_levels([], [(100.0, 1.0)], 1)
    assert not book.usable
    book.set_units([], 2)
    assert not book.usable
