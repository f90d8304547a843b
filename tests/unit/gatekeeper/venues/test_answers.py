"""The edges of what an answer proves: contradictions, near misses and over-long texts."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.gatekeeper.venues.conftest import OWN, PERP, SPOT, UPBIT, answer, upbit_error

from interlock_gatekeeper.venues.readings import Absent, Accepted, Ambiguous, Ended, Refused

BINANCE = [SPOT, PERP]
ZERO = Decimal(0)
LONG = "".join(chr(ord("a") + index % 26) for index in range(300))
ENDED = Ended("7", Decimal("0.3"), ZERO, ZERO, None)
FILL = {"orderId": 7, "qty": "0.3", "price": "10", "commission": "0.01", "commissionAsset": "USDT"}


def state(status, executed="0.1"):
    return {"orderId": 7, "executedQty": executed, "status": status}


def upbit_state(name, executed="0.3", **changes):
    trades = [{"volume": "0.1", "funds": "1000"}, {"volume": "0.2", "funds": "2300"}]
    body = {"uuid": "u", "state": name, "executed_volume": executed, "paid_fee": "2.1"}
    return {**body, "trades": trades, **changes}


def readers(venue):
    return venue.read_order, venue.read_query, venue.read_cancel


@pytest.mark.parametrize("venue", BINANCE)
@pytest.mark.parametrize("executed", ["0", "0.000", 0])
def test_a_filled_order_that_filled_nothing_proves_nothing(venue, executed):
    """An answer that contradicts itself must not release the order as one without a fill."""
    for read in readers(venue):
        assert isinstance(read(answer(200, state("FILLED", executed))), Ambiguous)


@pytest.mark.parametrize("executed", ["0", "0.000", 0])
def test_a_done_upbit_order_that_executed_nothing_proves_nothing(executed):
    """Done means executed in full; only a cancel, and one without trades, ends unfilled."""
    for trades in ([], upbit_state("done")["trades"]):
        told = answer(200, upbit_state("done", executed, trades=trades))
        assert isinstance(UPBIT.read_query(told), Ambiguous)
        assert isinstance(UPBIT.read_cancel(told), Ambiguous)
    contradicted = upbit_state("cancel", executed)
    assert UPBIT.read_query(answer(200, contradicted)) == Accepted("u")
    unfilled = Ended("u", ZERO, ZERO, ZERO, None)
    assert UPBIT.read_query(answer(200, upbit_state("cancel", executed, trades=[]))) == unfilled


@pytest.mark.parametrize("venue", BINANCE)
def test_a_duplicate_is_found_however_late_its_message_says_so(venue):
    """What is kept of a message is cut; what is judged is not."""
    for code in (-2010, -1013):
        body = {"code": code, "msg": LONG + " Duplicate order sent."}
        assert isinstance(venue.read_order(answer(400, body)), Ambiguous)


@pytest.mark.parametrize("venue", BINANCE)
@pytest.mark.parametrize(
    ("status", "reading"),
    [
        ("NEW", Accepted("7")),
        ("PENDING_NEW", Accepted("7")),
        ("PARTIALLY_FILLED", Accepted("7")),
        ("PENDING_CANCEL", Accepted("7")),
        ("FILLED", Ended("7", Decimal("0.1"), ZERO, ZERO, None)),
        ("CANCELED", Ended("7", Decimal("0.1"), ZERO, ZERO, None)),
        ("REJECTED", Ended("7", Decimal("0.1"), ZERO, ZERO, None)),
        ("EXPIRED", Ended("7", Decimal("0.1"), ZERO, ZERO, None)),
        ("EXPIRED_IN_MATCH", Ended("7", Decimal("0.1"), ZERO, ZERO, None)),
    ],
)
def test_every_documented_binance_state_is_read_as_what_it_is(venue, status, reading):
    """Working states are followed, ended ones end; only in a success."""
    for read in readers(venue):
        for http in (200, 201, 299):
            assert read(answer(http, state(status))) == reading
        for http in (199, 300, 302, 400, 403, 409, 500, 503):
            assert isinstance(read(answer(http, state(status))), Ambiguous)


@pytest.mark.parametrize("venue", BINANCE)
@pytest.mark.parametrize("word", ["", "filled", "FILLED ", "TRADE", "CANCELLED", "DONE", LONG])
def test_a_binance_state_that_no_document_names_proves_nothing(venue, word):
    """Not even a near miss; the reason keeps 40 characters of it."""
    for read in readers(venue):
        assert isinstance(read(answer(200, state(word))), Ambiguous)
    assert PERP.read_query(answer(200, state(LONG))) == Ambiguous(
        f"HTTP 200: expected a known status, was {LONG[:40]}"
    )


@pytest.mark.parametrize("venue", BINANCE)
@pytest.mark.parametrize("field", ["orderId", "executedQty", "status"])
@pytest.mark.parametrize("wrong", [None, "", True, [], {}, 0.5, "x" * 2])
def test_a_binance_order_with_a_broken_field_proves_nothing(venue, field, wrong):
    """A success is one only with its order's id, quantity and state."""
    broken = {**state("FILLED"), field: wrong}
    missing = {name: value for name, value in state("FILLED").items() if name != field}
    for read in readers(venue):
        if (field, wrong) not in (("executedQty", 0.5), ("orderId", "xx")):
            assert isinstance(read(answer(200, broken)), Ambiguous)
        assert isinstance(read(answer(200, missing)), Ambiguous)


@pytest.mark.parametrize("venue", BINANCE)
def test_a_success_is_never_a_refusal_nor_an_absence(venue):
    """An error body under 200 makes no sense, and so proves nothing."""
    for code, text in ((-2013, "Order does not exist."), (-2011, "Unknown order sent.")):
        for read in readers(venue):
            assert isinstance(read(answer(200, {"code": code, "msg": text})), Ambiguous)
    assert isinstance(venue.read_order(answer(200, {"code": -2010, "msg": "no"})), Ambiguous)


@pytest.mark.parametrize("venue", BINANCE)
def test_only_the_two_codes_for_it_say_that_an_order_is_not_there(venue):
    """Every code around them, and every other sign of them, is in doubt."""
    for code in [*range(-2030, -1990), *range(1990, 2030), None, "-2013", "-2011", [-2013]]:
        told = answer(400, {"code": code, "msg": "Unknown order sent."})
        absent = code == -2013
        assert venue.read_query(told) == Absent() if absent else True
        assert absent or isinstance(venue.read_query(told), Ambiguous)
        nothing = code in (-2013, -2011)
        assert isinstance(venue.read_cancel(told), Absent if nothing else Ambiguous)
        assert venue.read_cancel_all(told) is nothing


@pytest.mark.parametrize("venue", BINANCE)
def test_an_order_is_absent_only_under_a_status_of_the_venues_own_refusals(venue):
    """A firewall or a time-out that quotes the code knows nothing of the order."""
    for status in range(100, 600):
        refusing = status in (400, 401, 418, 429)
        missing = answer(status, {"code": -2013, "msg": "Order does not exist."})
        unknown = answer(status, {"code": -2011, "msg": "UNKNOWN ORDER sent."})
        assert isinstance(venue.read_query(missing), Absent if refusing else Ambiguous)
        assert isinstance(venue.read_cancel(missing), Absent if refusing else Ambiguous)
        assert isinstance(venue.read_cancel(unknown), Absent if refusing else Ambiguous)


def test_upbit_calls_an_order_absent_only_under_a_status_of_its_own_refusals():
    """Elsewhere the same name is quoted by someone who knows nothing of the order."""
    for status in range(100, 600):
        told = answer(status, upbit_error("order_not_found"))
        refusing = status in (400, 401, 403, 404, 418, 429)
        assert isinstance(UPBIT.read_query(told), Absent if refusing else Ambiguous)
        other = answer(status, upbit_error("market_offline", "order_not_found"))
        assert isinstance(UPBIT.read_query(other), Ambiguous)


@pytest.mark.parametrize(
    ("changes", "reading"),
    [
        ({"state": "wait"}, Accepted("u")),
        ({"state": "watch"}, Accepted("u")),
        ({"state": "done"}, Ended("u", Decimal("0.3"), Decimal(11000), Decimal("2.1"), "KRW")),
        ({"state": "cancel"}, Ended("u", Decimal("0.3"), Decimal(11000), Decimal("2.1"), "KRW")),
        ({"state": "cancel", "executed_volume": "0.30000001"}, Accepted("u")),
        ({"state": "cancel", "executed_volume": "0.29999999"}, Accepted("u")),
    ],
)
def test_every_documented_upbit_state_is_read_as_what_it_is(changes, reading):
    """An order ends together with trades that make up exactly what it executed."""
    assert UPBIT.read_query(answer(200, {**upbit_state("done"), **changes})) == reading


@pytest.mark.parametrize("word", ["", "trade", "prevented", "DONE", "canceled", "done ", LONG])
def test_an_upbit_state_that_no_document_names_proves_nothing(word):
    """Not even a near miss; the reason keeps 40 characters of it."""
    assert isinstance(UPBIT.read_query(answer(200, upbit_state(word))), Ambiguous)
    assert UPBIT.read_query(answer(200, upbit_state(LONG))) == Ambiguous(
        f"HTTP 200: expected a known state, was {LONG[:40]}"
    )


@pytest.mark.parametrize("field", ["uuid", "state", "executed_volume", "paid_fee", "trades"])
@pytest.mark.parametrize("wrong", [None, "", True, {}, ["x"]])
def test_an_upbit_order_with_a_broken_field_proves_nothing(field, wrong):
    """An ended order needs every field that its end is read from."""
    assert isinstance(
        UPBIT.read_query(answer(200, upbit_state("done", **{field: wrong}))), Ambiguous
    )


def test_a_binance_order_has_a_price_only_with_fees_in_one_asset():
    """Fees in two assets are no one amount, and fees in none are no fills."""
    priced = Ended("7", Decimal("0.3"), Decimal(10), Decimal("0.01"), "USDT")
    assert PERP.read_fills(ENDED, answer(200, [FILL])) == priced
    halves = [{**FILL, "qty": "0.15"}, {**FILL, "qty": "0.15", "commissionAsset": "BNB"}]
    assert PERP.read_fills(ENDED, answer(200, halves)) == Ambiguous("fees in 2 assets")
    nothing = Ended("7", ZERO, ZERO, ZERO, None)
    assert PERP.read_fills(nothing, answer(200, [])) == Ambiguous("fees in 0 assets")
    for field in FILL:
        lacking = {name: value for name, value in FILL.items() if name != field}
        assert isinstance(PERP.read_fills(ENDED, answer(200, [lacking])), Ambiguous)


def test_a_refusal_keeps_the_code_and_the_messages_beginning():
    """Two hundred characters of a message, and of a name or code that proves nothing forty."""
    refused = Refused("-1013", LONG[:200])
    assert SPOT.read_order(answer(400, {"code": -1013, "msg": LONG})) == refused
    assert SPOT.read_order(answer(400, {"code": -1013})) == Refused("-1013", "")
    strange = {"code": LONG, "msg": ""}
    assert SPOT.read_order(answer(400, strange)) == Ambiguous(f"HTTP 400 code {LONG[:40]}")
    assert SPOT.read_query(answer(400, strange)) == Ambiguous(f"HTTP 400 code {LONG[:40]}")
    named = answer(400, upbit_error("market_offline", LONG))
    assert UPBIT.read_order(named) == Refused("market_offline", LONG[:200])
    assert UPBIT.read_order(answer(400, upbit_error(LONG))) == Ambiguous(f"HTTP 400 {LONG[:40]}")


def test_a_refusal_without_name_or_message_still_says_why():
    """The status stands for the name, the documents' words for the message."""
    limit = "over the request limit: refused at the door"
    assert UPBIT.read_order(answer(429, b"slow down")) == Refused("HTTP 429", limit)
    assert UPBIT.read_order(answer(400, upbit_error("market_offline", ""))) == Refused(
        "market_offline", "maintenance"
    )
    assert UPBIT.read_order(answer(400, b"")) == Ambiguous("HTTP 400 ")
    doubt = "the identifier was used: an order of this id may exist"
    told = answer(400, upbit_error("duplicated_identifier"))
    assert UPBIT.read_order(told) == Ambiguous(f"HTTP 400 duplicated_identifier: {doubt}")


IDS = [OWN, "gkother", None, ""]
NUMBERS = ["0", "0.0", "0.1", "0.3", "-0.3", "", None, "NaN", "1e21", 0, True]
WORDS = ["FILLED", "CANCELED", "EXPIRED", "NEW", "done", "cancel", "wait", "prevented", "", None]
TRADE = {"volume": "0.1", "funds": "1000"}
BROKEN = {"volume": "0.1", "funds": None}
UNFILLED = {
    "orderId": 7,
    "uuid": "u",
    "status": "CANCELED",
    "state": "cancel",
    "executedQty": "0",
    "executed_volume": "0",
    "paid_fee": "0",
    "trades": [],
}
CHANGES = {
    "orderId": ["7", "", None, True],
    "uuid": ["", None, True],
    "status": WORDS,
    "state": WORDS,
    "executedQty": NUMBERS,
    "executed_volume": NUMBERS,
    "paid_fee": NUMBERS,
    "trades": [[TRADE], [TRADE] * 3, [BROKEN], [{}], {}, None],
    "clientOrderId": IDS,
    "origClientOrderId": IDS,
    "identifier": IDS,
    "code": [-2013, -2011, -2010, 200, None],
    "error": [{"name": "order_not_found"}, None],
}
CHANGED = st.lists(
    st.sampled_from([(name, value) for name, values in CHANGES.items() for value in values]),
    max_size=4,
)
STATUS = st.just(200) | st.sampled_from([201, 204, 301, 400, 401, 403, 404, 409, 429, 500, 503])


def told_body(changes, left_out):
    body = {**UNFILLED, **dict(changes)}
    return {name: value for name, value in body.items() if name != left_out}


BODY = st.builds(told_body, CHANGED, st.none() | st.sampled_from(list(UNFILLED)))


@given(STATUS, BODY, st.sampled_from([UPBIT, SPOT, PERP]))
def test_an_order_has_ended_only_where_a_success_says_so_of_ours(status, body, venue):
    """Whatever is missing, foreign, contradictory or not a success leaves it in doubt."""
    for read in readers(venue):
        reading = read(answer(status, body), OWN)
        if not isinstance(reading, Ended):
            continue
        assert 200 <= status < 300
        own = (OWN, None)
        if venue is UPBIT:
            assert body["state"] in ("done", "cancel")
            assert body["uuid"] == reading.venue_order_id
            assert body.get("identifier") in own
            assert reading.filled_quantity == Decimal(body["executed_volume"]) >= ZERO
            trades = sum((Decimal(row["volume"]) for row in body.get("trades", [])), ZERO)
            assert reading.filled_quantity == trades
            assert body["state"] == "cancel" or reading.filled_quantity > ZERO
        else:
            assert body["status"] in ("FILLED", "CANCELED", "EXPIRED")
            assert str(body["orderId"]) == reading.venue_order_id
            assert body.get("origClientOrderId", body.get("clientOrderId")) in own
            assert reading.filled_quantity == Decimal(body["executedQty"]) >= ZERO
            assert body["status"] != "FILLED" or reading.filled_quantity > ZERO
