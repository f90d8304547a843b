"""Reading venue JSON: what is exact, what is refused, and where the limits are."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.gatekeeper.venues.conftest import answer

from interlock_gatekeeper.transport import Answer, Request
from interlock_gatekeeper.venues import parse
from interlock_gatekeeper.venues.readings import FORCED_PREFIXES, Ended

ZERO = Decimal(0)
SCALARS = st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=8)
ANYTHING = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS)


def refused(read, *arguments, why):
    with pytest.raises(ValueError, match=f"^{why}$"):
        read(*arguments)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b"1e" + b"9" * 30,
        b"<html></html>",
        b"{} {}",
    ],
)
def test_bytes_that_are_not_json_are_refused(body):
    """Cut off, nested without end, not text, or a number beyond any exponent."""
    refused(parse.document, Answer(200, body), why="the answer is not JSON")


def test_fractions_stay_exact():
    """A float would have rounded them; a whole number stays whole."""
    told = parse.document(Answer(200, b"[0.1, 1.65e8, 100000000.00000001, 7]"))
    assert told == [Decimal("0.1"), Decimal("1.65e8"), Decimal("100000000.00000001"), 7]
    assert [type(number) for number in told] == [Decimal, Decimal, Decimal, int]


def test_only_200_to_299_is_a_success():
    """A body under any other status is not an answer."""
    for status in range(100, 600):
        if 200 <= status <= 299:
            assert parse.answered(answer(status, [1])) == [1]
        else:
            why = f"expected a successful answer, was HTTP {status}"
            refused(parse.answered, answer(status, [1]), why=why)
    assert list(parse.HTTP_CLIENT_ERROR) == list(range(400, 500))


def test_as_many_answers_as_questions():
    """One too few or too many, or one that failed, and none is read."""
    one, two = answer(200, 1), answer(200, 2)
    assert parse.bodies([one, two], 2) == [1, 2]
    assert parse.bodies([], 0) == []
    refused(parse.bodies, [one], 2, why="expected 2 answers, were 1")
    refused(parse.bodies, [one, two], 1, why="expected 1 answers, were 2")
    refused(parse.bodies, [one, answer(500, 2)], 2, why=".*HTTP 500")


@given(ANYTHING)
def test_objects_lists_flags_and_words_are_what_they_say(value):
    """No value is taken for another kind of one."""
    row = {"a": value}
    for read, arguments, sound in (
        (parse.mapping, (value,), isinstance(value, dict)),
        (parse.rows, (value,), value == [] and isinstance(value, list)),
        (parse.flag, (row, "a"), isinstance(value, bool)),
        (parse.flag, ({}, "a"), False),
        (parse.words, ({}, "a"), False),
    ):
        if sound:
            assert read(*arguments) == value
        else:
            with pytest.raises(ValueError, match=r"^expected"):
                read(*arguments)
    texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    if texts:
        assert parse.words(row, "a") == value
    else:
        refused(parse.words, row, "a", why="expected a to be a list of texts")


def test_rows_are_objects_and_nothing_else():
    """One odd item breaks the list."""
    assert parse.rows([{"a": 1}, {}]) == [{"a": 1}, {}]
    refused(parse.rows, [{}, None], why="expected an object")
    refused(parse.rows, {"a": {}}, why="expected a list")


def test_rows_of_one_name_are_refused():
    """The second would hide the first."""
    rows = [{"a": "x", "n": 1}, {"a": "y", "n": 2}]
    assert parse.named_rows(rows, "a") == {"x": rows[0], "y": rows[1]}
    assert parse.named_rows([], "a") == {}
    refused(parse.named_rows, [*rows, {"a": "x"}], "a", why="expected each a once")
    refused(parse.named_rows, [{"a": 7}, {"a": "7"}], "a", why="expected each a once")
    refused(parse.named_rows, [{}], "a", why="expected a")


@pytest.mark.parametrize(("value", "read"), [("x", "x"), (0, "0"), (-7, "-7"), (" ", " ")])
def test_a_text_is_a_text_or_a_whole_number(value, read):
    """Ids come as either."""
    assert parse.text({"a": value}, "a") == read


@pytest.mark.parametrize("value", ["", None, True, False, Decimal("1.5"), [], {}, ["x"]])
def test_nothing_else_is_a_text(value):
    """An empty id names no order, and true is no id."""
    refused(parse.text, {"a": value}, "a", why="expected a")
    refused(parse.text, {"b": "x"}, "a", why="expected a")


def test_a_choice_is_one_of_its_words():
    """A word that no document names is refused, with forty characters of it."""
    values = {"BUY": 1, "SELL": 2}
    assert [parse.choice({"a": word}, "a", values) for word in values] == [1, 2]
    why = "expected a to be one of BUY, SELL, was "
    refused(parse.choice, {"a": "buy"}, "a", values, why=why + "buy")
    refused(parse.choice, {"a": "x" * 50}, "a", values, why=why + "x" * 40)
    refused(parse.choice, {}, "a", values, why="expected a")


AMOUNTS = [
    ("0", ZERO),
    (0, ZERO),
    ("0.10", Decimal("0.1")),
    (Decimal("1e20"), Decimal("1e20")),
    ("100000000000000000000", Decimal("1e20")),
    ("1e-12", Decimal("1e-12")),
]


@pytest.mark.parametrize(("value", "read"), AMOUNTS)
def test_an_amount_is_an_exact_decimal_up_to_the_largest(value, read):
    """Texts and numbers alike; below zero only where a sign makes sense."""
    row = {"a": value}
    assert parse.amount(row, "a") == parse.signed_amount(row, "a") == read
    minus = {"a": f"-{value}"}
    assert parse.signed_amount(minus, "a") == -read
    if read:
        refused(parse.amount, minus, "a", why="expected a non-negative number in a")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "expected a"),
        (True, "expected a"),
        (False, "expected a"),
        (0.5, "expected a"),
        ([], "expected a"),
        ({}, "expected a"),
        ("", "expected a number in a"),
        ("x", "expected a number in a"),
        ("1,5", "expected a number in a"),
        ("NaN", "expected a plausible number in a"),
        ("sNaN", "expected a plausible number in a"),
        ("Infinity", "expected a plausible number in a"),
        ("-Infinity", "expected a plausible number in a"),
        ("100000000000000000000.1", "expected a plausible number in a"),
        ("-100000000000000000001", "expected a plausible number in a"),
        (10**20 + 1, "expected a plausible number in a"),
        ("1e999999", "expected a plausible number in a"),
    ],
)
def test_nothing_else_is_an_amount(value, why):
    """No number, no plausible one, or a kind that loses digits."""
    refused(parse.signed_amount, {"a": value}, "a", why=why)
    refused(parse.amount, {"a": value}, "a", why=why)


def test_a_whole_number_has_no_fraction_and_no_sign():
    """Times and counts."""
    assert parse.whole({"a": "7.0"}, "a") == 7
    assert parse.whole({"a": 0}, "a") == 0
    assert isinstance(parse.whole({"a": "1e3"}, "a"), int)
    refused(parse.whole, {"a": "7.5"}, "a", why="expected a whole number in a")
    refused(parse.whole, {"a": -1}, "a", why="expected a non-negative number in a")
    refused(parse.whole, {}, "a", why="expected a")


@given(SCALARS, st.none() | st.text(max_size=4))
def test_an_answer_names_our_order_or_none(named, ours):
    """Any other name is another order's answer."""
    if ours is None or named is None or named == ours:
        parse.require_own(named, ours)
    else:
        refused(parse.require_own, named, ours, why="the answer names another order")


def test_zeros_are_left_out_and_nothing_else():
    """A debt is not a zero."""
    amounts = {"a": Decimal("0.00"), "b": Decimal(-1), "c": Decimal("1e-12")}
    assert parse.not_zero(amounts) == {"b": Decimal(-1), "c": Decimal("1e-12")}


def test_every_other_status_asks_for_no_quiet():
    """Only 418 and 429 do; each has its own default."""
    quiet = {status: parse.back_off_s(answer(status)) for status in range(100, 600)}
    assert {status: wait_s for status, wait_s in quiet.items() if wait_s is not None} == {
        418: 60.0,
        429: 1.0,
    }
    assert parse.back_off_s(answer(429, retry_after="0")) == 0.0
    for odd in ("", " 7", "7.5", "-7", "seven", "\u0667"):
        assert parse.back_off_s(answer(429, retry_after=odd)) == 1.0


def test_an_average_is_exact_to_twelve_decimals():
    """Nothing filled has no price; a price that no message can carry is refused."""
    assert parse.average(Decimal(10), Decimal(3)) == Decimal("3.333333333333")
    assert parse.average(Decimal(20), Decimal(3)) == Decimal("6.666666666667")
    assert parse.average(Decimal("1e20"), Decimal(1)) == Decimal("1e20")
    assert parse.average(Decimal(5), ZERO) == ZERO
    why = "expected a plausible average price"
    refused(parse.average, Decimal(1), Decimal("1e-300"), why=why)


def test_a_signed_request_keeps_its_bytes():
    """Path, query, headers and body as signed; what is missing is empty."""
    signed = {"url": "http://host/a/b?x=1&y=%20", "method": "GET", "headers": None, "body": None}
    assert parse.signed_request(signed) == Request("GET", "/a/b?x=1&y=%20", (), b"")
    posted = {"url": "http://host/a", "method": "POST", "headers": {"K": 7}, "body": "x=é"}
    expected = Request("POST", "/a", (("K", "7"),), "x=é".encode())
    assert parse.signed_request(posted) == expected


def test_an_order_without_a_fill_has_no_price_and_no_fee():
    """All zero, in no currency."""
    assert parse.unfilled("u") == Ended("u", ZERO, ZERO, ZERO, None)


def test_forced_orders_begin_as_the_venue_says():
    """Its documents name three beginnings."""
    assert FORCED_PREFIXES == ("autoclose-", "adl_autoclose", "settlement_autoclose-")
