"""The displayed book: depletion, refresh, update ids."""

from __future__ import annotations

from interlock_core.instrument import Side
from interlock_simvenues.matching.book import Book, take_plan


def _book() -> Book:
    book = Book(100)
    book.refresh({99: 10, 98: 20}, {101: 10, 102: 20}, 1)
    return book


def test_taken_size_is_gone_until_the_level_is_refreshed() -> None:
    """A second order cannot take the same displayed size again."""
    book = _book()
    book.take(Side.BUY, 101, 4, 2)
    assert book.asks.size_at(101) == 6
    book.refresh({99: 10}, {101: 10, 102: 20}, 3)
    assert book.asks.size_at(101) == 6
    book.refresh({99: 10}, {101: 11, 102: 20}, 4)
    assert book.asks.size_at(101) == 11


def test_an_emptied_level_is_not_shown() -> None:
    """The next level becomes the best."""
    book = _book()
    book.take(Side.BUY, 101, 10, 2)
    assert book.asks.best() == (102, 20)
    assert [price for price, _ in book.asks] == [102]


def test_the_update_id_rises_with_every_change_and_rests_otherwise() -> None:
    """A refresh that changes nothing is no update."""
    book = _book()
    before = book.update_id
    assert not book.refresh({99: 10, 98: 20}, {101: 10, 102: 20}, 2)
    assert book.update_id == before
    assert book.refresh({99: 10}, {101: 10, 102: 21}, 3)
    assert book.update_id == before + 2


def test_watchers_collect_every_changed_price() -> None:
    """A removed level counts as changed, with size zero."""
    book = _book()
    changes = book.watch()
    book.refresh({98: 20}, {101: 10, 102: 20, 103: 5}, 2)
    assert (changes.bids, changes.asks) == ({99}, {103})
    assert book.bids.size_at(99) == 0


def test_a_plan_respects_limit_lot_and_budget() -> None:
    """Fills come best price first, in whole lots, within the limit."""
    book = _book()
    full = take_plan(book, Side.BUY, limit=102, quantity=25, budget=None, lot=1)
    assert full == [(101, 10), (102, 15)]
    assert take_plan(book, Side.BUY, limit=101, quantity=25, budget=None, lot=4) == [(101, 8)]
    assert take_plan(book, Side.BUY, limit=None, quantity=None, budget=1_212, lot=1) == [
        (101, 10),
        (102, 1),
    ]
    assert take_plan(book, Side.SELL, limit=99, quantity=3, budget=None, lot=1) == [(99, 3)]
