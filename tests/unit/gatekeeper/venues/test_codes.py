"""What an error proves. Only a documented refusal is one; anything else is in doubt."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.gatekeeper.venues.conftest import PERP, SPOT, UPBIT, answer, upbit_error

from interlock_gatekeeper.transport import Answer
from interlock_gatekeeper.venues import codes
from interlock_gatekeeper.venues.codes import Proof
from interlock_gatekeeper.venues.readings import Ambiguous, Refused

TABLES = {SPOT: codes.BINANCE_SPOT, PERP: codes.BINANCE_PERP, UPBIT: codes.UPBIT}
EVERY = [(venue, code) for venue, table in TABLES.items() for code in table]
DEFINITIVE = {
    venue: {code for code, meaning in table.items() if meaning.proof is Proof.DEFINITIVE}
    for venue, table in TABLES.items()
}

# The codes on the venues' error pages, as numbers without their sign.
SPOT_PAGE = """
1000-1004 1006-1008 1010 1013-1016 1020-1022 1033-1035 1100-1106 1108 1111 1112 1114-1122 1125
1127 1128 1130 1131 1134 1135 1139 1145 1151-1153 1155 1158 1160 1161 1165 1166 1168-1191 1194
1196-1199 1210 1211 1220-1225 2010 2011 2013-2016 2021 2022 2026 2035 2036 2038 2039 2042
"""
PERP_PAGE = """
1000-1008 1010 1011 1013-1016 1020-1023 1099-1106 1108-1122 1125-1128 1130 1136 2010-2028
4000-4033 4044-4088 4104 4114-4118 4120 4131 4135 4137-4142 4144 4161 4164 4165 4167-4172 4183
4184 4192 4202 4203 4205 4206 4208-4211 4400-4403 4531 5021 5022 5024-5029 5037-5041
"""
# Of those, the codes whose text says that no order was taken; every other one proves nothing.
SPOT_REFUSALS = """
1002 1003 1013-1015 1020-1022 1100-1106 1108 1111 1112 1114-1118 1121 1128 1130 1131 1134 1135
1152 1153 1155 1182 1194 1210 1211 1221 2010 2014 2015
"""
PERP_REFUSALS = """
1002 1003 1011 1013-1015 1020-1022 1099-1106 1108-1112 1114-1118 1121 1126 1128 1130 1136 2010
2014 2015 2017-2019 2021-2028 4001-4007 4013-4016 4020 4023 4024 4027 4031 4045 4050 4051 4056
4060-4062 4084 4087 4088 4104 4118 4120 4131 4135 4137-4142 4144 4164 4183 4184 4192 4210 4211
4400-4402 5021 5022 5028 5037-5041
"""
UPBIT_REFUSALS = """
QUERY_PARAMETER_NOT_SUPPORTED bad_request create_ask_error create_bid_error expired_access_key
insufficient_funds_ask insufficient_funds_bid invalid_access_key invalid_parameter
invalid_post_only invalid_price_ask invalid_price_bid invalid_query_payload invalid_time_in_force
jwt_verification market_offline no_authorization_ip no_authorization_token notfoundmarket
out_of_scope over_krw_funds_ask over_krw_funds_bid thirdparty_agreement_required too_many_requests
under_min_total_ask under_min_total_bid validation_error
"""
# The statuses with which a venue itself refuses; Binance's 403 is its firewall.
STATUSES = {
    SPOT: {400, 401, 418, 429},
    PERP: {400, 401, 418, 429},
    UPBIT: {400, 401, 403, 404, 418, 429},
}
# Inside the ranges above and on neither page.
SPOT_GAPS = {1005}
PERP_GAPS = {1107}

# What must never be taken for a refusal, whatever the tables say.
IN_DOUBT = {
    SPOT: {-1000, -1001, -1006, -1007, -1008, -1010, -1016, -1161, -2011, -2013, -2021, -2022},
    PERP: {-1000, -1001, -1006, -1007, -1008, -1010, -1016, -2011, -2012, -2013, -2020, -4116},
    UPBIT: {"duplicated_identifier", "nonce_used", "order_not_found", "not_found"},
}
# What must release the order's budget.
REFUSALS = {
    SPOT: {-1003, -1013, -1015, -1021, -1022, -1102, -1111, -1121, -2010, -2014, -2015},
    PERP: {-1003, -1015, -1021, -1111, -2019, -2022, -2027, -4014, -4061, -4164, -4400, -5021}
    | {-5028},
    UPBIT: {"insufficient_funds_bid", "invalid_price_ask", "market_offline", "jwt_verification"}
    | {"over_krw_funds_bid", "too_many_requests", "under_min_total_bid", "validation_error"},
}


def page(text):
    listed = set()
    for word in text.split():
        first, _, last = word.partition("-")
        listed |= set(range(int(first), int(last or first) + 1))
    return {-number for number in listed}


def said(venue, code, message="why"):
    return upbit_error(code, message) if venue is UPBIT else {"code": code, "msg": message}


def statuses(venue):
    return STATUSES[venue]


def test_the_tables_hold_the_venues_pages():
    """Nothing documented is left to chance, and nothing is invented."""
    assert set(codes.BINANCE_SPOT) == page(SPOT_PAGE) - {-gap for gap in SPOT_GAPS}
    assert set(codes.BINANCE_PERP) == page(PERP_PAGE) - {-gap for gap in PERP_GAPS}
    assert all(meaning.reason for table in TABLES.values() for meaning in table.values())


def test_exactly_the_codes_that_say_not_taken_are_refusals():
    """The whole table by hand: one code more would release an order that may be on the book."""
    assert DEFINITIVE[SPOT] == page(SPOT_REFUSALS)
    assert DEFINITIVE[PERP] == page(PERP_REFUSALS)
    assert DEFINITIVE[UPBIT] == set(UPBIT_REFUSALS.split())
    assert set(codes.UPBIT_NAMELESS) == {418, 429}


@pytest.mark.parametrize("venue", [SPOT, PERP])
def test_a_number_on_no_page_is_in_doubt(venue):
    """Positive codes, unlisted ones, and tomorrow's."""
    for code in set(range(-6000, 6000)) - page(SPOT_PAGE if venue is SPOT else PERP_PAGE):
        assert isinstance(venue.read_order(answer(400, said(venue, code))), Ambiguous)


@pytest.mark.parametrize("venue", TABLES)
def test_what_may_have_reached_the_book_is_in_doubt(venue):
    """The venue's own words: unknown, duplicate, not found, half done."""
    assert not IN_DOUBT[venue] & DEFINITIVE[venue]
    assert IN_DOUBT[venue] <= set(TABLES[venue])
    assert REFUSALS[venue] <= DEFINITIVE[venue]


@pytest.mark.parametrize(("venue", "code"), EVERY)
def test_every_listed_code_reads_as_its_table_says(venue, code):
    """A refusal on each status a refusal can have, and on no other."""
    for status in range(100, 600):
        reading = venue.read_order(answer(status, said(venue, code)))
        refused = status in statuses(venue) and code in DEFINITIVE[venue]
        if refused:
            assert reading == Refused(str(code), "why")
        else:
            nameless = venue is UPBIT and status in (418, 429) and code not in TABLES[UPBIT]
            assert isinstance(reading, Refused if nameless else Ambiguous)


@pytest.mark.parametrize("venue", [SPOT, PERP])
@pytest.mark.parametrize("message", ["Duplicate order sent.", "ClientOrderId is DUPLICATED."])
def test_a_duplicate_is_in_doubt_under_any_code(venue, message):
    """An order of this id exists: that is no proof that ours was not taken."""
    for code in DEFINITIVE[venue]:
        assert isinstance(venue.read_order(answer(400, said(venue, code, message))), Ambiguous)


@pytest.mark.parametrize("status", [418, 429])
def test_upbits_limits_need_no_name(status):
    """The documents give these statuses no name; a name that says otherwise still counts."""
    for body in (b"Too many API requests.", {}, upbit_error("something_new")):
        assert isinstance(UPBIT.read_order(answer(status, body)), Refused)
    doubtful = answer(status, upbit_error("duplicated_identifier"))
    assert isinstance(UPBIT.read_order(doubtful), Ambiguous)


@pytest.mark.parametrize("venue", TABLES)
@pytest.mark.parametrize(
    "status", [200, 201, 301, 400, 401, 403, 404, 408, 409, 500, 502, 503, 504]
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>blocked</html>", b"null", b"[]", b'{"code":', b"\xff"]
)
def test_a_body_that_is_no_answer_is_in_doubt(venue, status, body):
    """Firewalls, proxies and cut-off answers prove nothing."""
    assert isinstance(venue.read_order(answer(status, body)), Ambiguous)


@pytest.mark.parametrize("code", ["-1013", -1013.0, True, None, [-1013], {"n": -1013}])
def test_a_code_of_another_type_is_in_doubt(code):
    """Codes are whole numbers."""
    assert isinstance(SPOT.read_order(answer(400, {"code": code, "msg": ""})), Ambiguous)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
ERRORS = st.fixed_dictionaries(
    {},
    optional={
        "code": SCALARS | st.integers(-6000, -900),
        "msg": SCALARS,
        "error": JSON
        | st.fixed_dictionaries(
            {"name": SCALARS | st.sampled_from(sorted(codes.UPBIT))}, optional={"message": JSON}
        ),
        "orderId": SCALARS,
        "executedQty": SCALARS,
        "status": SCALARS | st.sampled_from(["FILLED", "NEW"]),
        "uuid": SCALARS,
        "state": SCALARS | st.sampled_from(["done", "wait"]),
    },
)
BODIES = st.binary(max_size=60) | (JSON | ERRORS).map(lambda body: json.dumps(body).encode())


@given(st.integers(100, 599), BODIES, st.sampled_from([UPBIT, SPOT, PERP]))
def test_what_is_not_listed_never_reads_as_a_refusal(status, body, venue):
    """Any status with any bytes: a refusal only where a table says so, and no exception ever."""
    reading = venue.read_order(Answer(status, body))
    venue.read_query(Answer(status, body))
    venue.read_cancel(Answer(status, body))
    venue.read_cancel_all(Answer(status, body))
    if not isinstance(reading, Refused):
        return
    assert status in statuses(venue)
    if venue is UPBIT:
        listed = any(f'"{name}"'.encode() in body for name in DEFINITIVE[UPBIT])
        assert listed or status in (418, 429)
    else:
        assert json.loads(body)["code"] in DEFINITIVE[venue]
