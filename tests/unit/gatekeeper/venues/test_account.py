"""Canceling, listing, owning, clocks, modes and keys: requests out, readings or ValueError."""

from decimal import Decimal

import pytest
from tests.unit.gatekeeper.venues.conftest import (
    INSTRUMENT,
    KEYS,
    OWN,
    PERP,
    SPOT,
    UPBIT,
    adapters,
    answer,
    order,
    upbit_error,
)

from interlock_core.instrument import Side
from interlock_gatekeeper.venues.readings import (
    FORCED_PREFIXES,
    Absent,
    Accepted,
    AccountMode,
    Ambiguous,
    Ended,
    Holdings,
    KeyScopes,
    Resting,
)

ALL = [UPBIT, SPOT, PERP]
CANCELED = {"orderId": 7, "executedQty": "0.1", "status": "CANCELED"}
RESTING = {
    "orderId": 7,
    "clientOrderId": "autoclose-1",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "origQty": "0.3",
    "executedQty": "0.1",
}
CONDITIONAL = {
    "algoId": 9,
    "clientAlgoId": "c",
    "symbol": "ETHUSDT",
    "side": "BUY",
    "quantity": "2",
}
WAITING = {
    "uuid": "u",
    "state": "wait",
    "market": "KRW-BTC",
    "side": "bid",
    "volume": "0.3",
    "executed_volume": "0.1",
    "identifier": OWN,
}
PERP_ACCOUNT = {
    "assets": [
        {"asset": "USDT", "walletBalance": "100.5", "availableBalance": "60"},
        {"asset": "BNB", "walletBalance": "0", "availableBalance": "0"},
    ],
    "positions": [
        {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.010"},
        {"symbol": "ETHUSDT", "positionSide": "BOTH", "positionAmt": "0"},
    ],
}


def targets(requests):
    """Return method, path and own parameters of each request."""
    found = []
    for request in requests:
        path, _, query = request.target.partition("?")
        signing = ("timestamp=", "recvWindow=", "signature=")
        own = [pair for pair in query.split("&") if pair and not pair.startswith(signing)]
        found.append(" ".join([request.method, path, *own]))
    return found


def test_a_cancel_names_our_order():
    """By client order id: the venue's own id may never have been learnt."""
    requests = [venue.cancel_request(order(INSTRUMENT[venue])) for venue in ALL]
    assert targets(requests) == [
        f"DELETE /upbit/v1/order identifier={OWN}",
        f"DELETE /api/v3/order symbol=BTCUSDT origClientOrderId={OWN}",
        f"DELETE /fapi/v1/order symbol=BTCUSDT origClientOrderId={OWN}",
    ]


def test_a_cancel_proves_what_its_answer_says():
    """Binance cancels at once, Upbit only accepts; a fill before it is kept."""
    zero = Decimal(0)
    ended = Ended("7", Decimal("0.1"), zero, zero, None)
    assert PERP.read_cancel(answer(200, {**CANCELED, "clientOrderId": OWN}), OWN) == ended
    spot = {**CANCELED, "clientOrderId": "of-the-cancel", "origClientOrderId": OWN}
    assert SPOT.read_cancel(answer(200, spot), OWN) == ended
    assert SPOT.read_cancel(answer(200, {**CANCELED, "status": "PENDING_CANCEL"})) == Accepted("7")
    assert UPBIT.read_cancel(answer(200, WAITING), OWN) == Accepted("u")
    done = {**WAITING, "state": "cancel"}
    assert UPBIT.read_cancel(answer(200, done)) == Accepted("u")
    nothing = {**done, "executed_volume": "0"}
    assert UPBIT.read_cancel(answer(200, nothing)) == Ended("u", zero, zero, zero, None)


def test_nothing_to_cancel_is_absent_and_no_more():
    """Only the venue's own word for it, on a status that its refusals have."""
    unknown = {"code": -2011, "msg": "Unknown order sent."}
    missing = {"code": -2013, "msg": "Order does not exist."}
    for venue in (SPOT, PERP):
        assert venue.read_cancel(answer(400, unknown)) == Absent()
        assert venue.read_cancel(answer(400, missing)) == Absent()
        for status, body in [
            (500, unknown),
            (403, unknown),
            (503, missing),
            (400, {"code": -2011, "msg": "This account may not place or cancel orders."}),
            (400, {"code": -1003, "msg": "Unknown order sent."}),
            (400, {"code": -2011}),
        ]:
            assert isinstance(venue.read_cancel(answer(status, body)), Ambiguous)
    assert UPBIT.read_cancel(answer(404, upbit_error("order_not_found"))) == Absent()
    assert isinstance(UPBIT.read_cancel(answer(404, upbit_error("not_found"))), Ambiguous)
    assert isinstance(UPBIT.read_cancel(answer(500, upbit_error("order_not_found"))), Ambiguous)


def test_cancel_all_covers_conditional_orders_and_more_than_a_default_batch():
    """Per symbol on Binance, the market's own only; the account with a count on Upbit."""
    keys = ["BINANCE_PERP:BTCUSDT", "UPBIT:KRW-BTC", "BINANCE:BTCUSDT", "BINANCE_PERP:ETHUSDT"]
    assert targets(PERP.cancel_all_requests(keys)) == [
        "DELETE /fapi/v1/allOpenOrders symbol=BTCUSDT",
        "DELETE /fapi/v1/allOpenOrders symbol=ETHUSDT",
        "DELETE /fapi/v1/algoOpenOrders symbol=BTCUSDT",
        "DELETE /fapi/v1/algoOpenOrders symbol=ETHUSDT",
    ]
    assert targets(SPOT.cancel_all_requests(keys)) == ["DELETE /api/v3/openOrders symbol=BTCUSDT"]
    everything = ["DELETE /upbit/v1/orders/open cancel_side=all count=300"]
    assert targets(UPBIT.cancel_all_requests([])) == everything


def batch(canceled, failed):
    return {
        "success": {"count": canceled, "orders": []},
        "failed": {"count": failed, "orders": []},
    }


@pytest.mark.parametrize(
    ("venue", "status", "body", "done"),
    [
        (PERP, 200, {"code": 200, "msg": "done"}, True),
        (PERP, 200, {"code": "200", "msg": "done"}, True),
        (PERP, 200, {"code": -1, "msg": ""}, False),
        (PERP, 200, [], False),
        (PERP, 400, {"code": -2011, "msg": "Unknown order sent."}, True),
        (PERP, 400, {"code": -1121, "msg": "Invalid symbol."}, False),
        (PERP, 500, {"code": 200}, False),
        (SPOT, 200, [CANCELED], True),
        (SPOT, 200, {}, False),
        (SPOT, 400, {"code": -2011, "msg": "Unknown order sent."}, True),
        (SPOT, 400, [], False),
        (SPOT, 503, [CANCELED], False),
        (SPOT, 200, b"", False),
        (UPBIT, 200, batch(0, 0), True),
        (UPBIT, 200, batch(299, 0), True),
        (UPBIT, 200, batch(300, 0), False),
        (UPBIT, 200, batch(1, 1), False),
        (UPBIT, 200, {}, False),
        (UPBIT, 500, batch(0, 0), False),
    ],
)
def test_all_is_canceled_only_where_the_venue_says_so(venue, status, body, done):
    """A full batch, a failed order or an error leaves something to do."""
    assert venue.read_cancel_all(answer(status, body)) is done


def test_open_orders_are_listed_for_the_whole_account():
    """Without a symbol; conditional and reserved orders too."""
    assert targets(SPOT.open_orders_requests()) == ["GET /api/v3/openOrders"]
    assert targets(PERP.open_orders_requests()) == [
        "GET /fapi/v1/openOrders",
        "GET /fapi/v1/openAlgoOrders",
    ]
    assert targets(UPBIT.open_orders_requests()) == [
        "GET /upbit/v1/orders/open state=watch page=1 limit=100 order_by=asc",
        "GET /upbit/v1/orders/open state=wait page=1 limit=100 order_by=asc",
    ]


def test_open_orders_are_read_with_what_is_left_of_them():
    """Ids, side, quantity, filled; a foreign order may have no client id."""
    quantity, filled = Decimal("0.3"), Decimal("0.1")
    assert SPOT.read_open_orders(answer(200, [RESTING])) == [
        Resting("autoclose-1", "7", "BINANCE:BTCUSDT", Side.SELL, quantity, filled)
    ]
    assert PERP.read_open_orders(answer(200, [CONDITIONAL, RESTING])) == [
        Resting("c", "9", "BINANCE_PERP:ETHUSDT", Side.BUY, Decimal(2), Decimal(0)),
        Resting("autoclose-1", "7", "BINANCE_PERP:BTCUSDT", Side.SELL, quantity, filled),
    ]
    foreign = {name: value for name, value in WAITING.items() if name != "identifier"}
    assert UPBIT.read_open_orders(answer(200, [WAITING, {**foreign, "side": "ask"}])) == [
        Resting(OWN, "u", "UPBIT:KRW-BTC", Side.BUY, quantity, filled),
        Resting(None, "u", "UPBIT:KRW-BTC", Side.SELL, quantity, filled),
    ]
    for venue in ALL:
        assert venue.read_open_orders(answer(200, [])) == []


@pytest.mark.parametrize(
    ("venue", "status", "body"),
    [
        (SPOT, 500, []),
        (SPOT, 200, {}),
        (SPOT, 200, [{**RESTING, "side": "BOTH"}]),
        (SPOT, 200, [{**RESTING, "origQty": "-1"}]),
        (SPOT, 200, [{**RESTING, "clientOrderId": ""}]),
        (PERP, 200, [{"algoId": 9}]),
        (UPBIT, 404, []),
        (UPBIT, 200, [{**WAITING, "side": "BUY"}]),
        (UPBIT, 200, [{**WAITING, "volume": None}]),
    ],
)
def test_a_list_that_is_not_understood_is_no_list(venue, status, body):
    """An order left out would look like an order gone."""
    with pytest.raises(ValueError, match="expected"):
        venue.read_open_orders(answer(status, body))


def test_a_full_page_has_a_next_one():
    """Upbit gives a hundred at most; the next page is of the same state."""
    reserved = {**WAITING, "state": "watch"}
    request = UPBIT.next_open_orders_request(answer(200, [reserved] * 100), 2)
    assert targets([request]) == [
        "GET /upbit/v1/orders/open state=watch page=3 limit=100 order_by=asc"
    ]
    assert UPBIT.next_open_orders_request(answer(200, [reserved] * 99), 1) is None
    for venue in (SPOT, PERP):
        assert venue.next_open_orders_request(answer(200, [RESTING] * 1000), 1) is None


def test_holdings_are_what_is_free_what_is_owned_and_what_is_open():
    """Zeros are left out; what an order holds counts as owned; a short is negative."""
    assert targets(UPBIT.holdings_requests()) == ["GET /upbit/v1/accounts"]
    assert targets(SPOT.holdings_requests()) == ["GET /api/v3/account omitZeroBalances=true"]
    assert targets(PERP.holdings_requests()) == ["GET /fapi/v3/account"]
    krw = {"currency": "KRW", "balance": "1000.5", "locked": "99.5"}
    btc = {"currency": "BTC", "balance": "0", "locked": "0.1"}
    eth = {"currency": "ETH", "balance": "0", "locked": "0"}
    assert UPBIT.read_holdings([answer(200, [krw, btc, eth])]) == Holdings(
        {"KRW": Decimal("1000.5")}, {"KRW": Decimal(1100), "BTC": Decimal("0.1")}, {}
    )
    usdt = {"asset": "USDT", "free": "7", "locked": "0.5"}
    assert SPOT.read_holdings([answer(200, {"balances": [usdt]})]) == Holdings(
        {"USDT": Decimal(7)}, {"USDT": Decimal("7.5")}, {}
    )
    assert PERP.read_holdings([answer(200, PERP_ACCOUNT)]) == Holdings(
        {"USDT": Decimal(60)},
        {"USDT": Decimal("100.5")},
        {"BINANCE_PERP:BTCUSDT": Decimal("-0.010")},
    )


def changed(**position):
    return {**PERP_ACCOUNT, "positions": [{**PERP_ACCOUNT["positions"][0], **position}]}


@pytest.mark.parametrize(
    ("venue", "answers"),
    [
        (UPBIT, []),
        (UPBIT, [answer(401, upbit_error("jwt_verification"))]),
        (UPBIT, [answer(200, [{"currency": "KRW", "balance": "1"}])]),
        (UPBIT, [answer(200, [{"currency": "KRW", "balance": "1", "locked": "0"}] * 2)]),
        (SPOT, [answer(200, {})]),
        (SPOT, [answer(200, {"balances": [{"asset": "A", "free": "x", "locked": "0"}]})]),
        (PERP, [answer(200, changed(positionSide="LONG"))]),
        (PERP, [answer(200, changed(positionAmt="NaN"))]),
        (PERP, [answer(200, changed(positionAmt=True))]),
        (PERP, [answer(200, {**PERP_ACCOUNT, "positions": PERP_ACCOUNT["positions"] * 2})]),
        (PERP, [answer(200, {**PERP_ACCOUNT, "assets": None})]),
        (PERP, [answer(200, PERP_ACCOUNT), answer(200, PERP_ACCOUNT)]),
    ],
)
def test_holdings_that_are_not_understood_are_none(venue, answers):
    """Half a balance is worse than no balance."""
    with pytest.raises(ValueError, match="expected"):
        venue.read_holdings(answers)


def test_the_venues_clocks_are_read():
    """Binance tells milliseconds, Upbit's Date header whole seconds."""
    assert targets([SPOT.time_request()]) == ["GET /api/v3/time"]
    assert targets([PERP.time_request()]) == ["GET /fapi/v1/time"]
    assert targets([UPBIT.time_request()]) == ["GET /upbit/v1/trades/ticks market=KRW-BTC count=1"]
    assert (SPOT.clock_resolution_ms, UPBIT.clock_resolution_ms) == (1, 1000)
    assert PERP.read_time_ms(answer(200, {"serverTime": 1_700_000_000_123})) == 1_700_000_000_123
    dated = answer(200, [], date="Mon, 23 Nov 2026 14:00:01 GMT")
    assert UPBIT.read_time_ms(dated) == 1_795_442_401_000


@pytest.mark.parametrize(
    ("venue", "told"),
    [
        (PERP, answer(200, {"serverTime": "1.5"})),
        (PERP, answer(200, {"serverTime": 1e30})),
        (PERP, answer(200, {})),
        (PERP, answer(500, {"serverTime": 1})),
        (UPBIT, answer(200, [])),
        (UPBIT, answer(200, [], date="Mon, 23 Nov 2026 14:00:01 +0900")),
        (UPBIT, answer(502, [], date="Mon, 23 Nov 2026 14:00:01 GMT")),
    ],
)
def test_a_clock_that_is_not_understood_is_none(venue, told):
    """A guessed time would sign into the past."""
    with pytest.raises(ValueError):  # noqa: PT011 - one of the messages is the standard library's
        venue.read_time_ms(told)


def test_signed_times_follow_the_measured_offset(monkeypatch):
    """A venue clock ahead of ours moves the time stamp forward."""
    upbit, spot, perp = adapters()
    for venue in (spot, perp):
        monkeypatch.setattr(venue._ccxt, "milliseconds", lambda: 1_000_000)
        for offset_ms, stamp in ((0, 1_000_000), (250, 1_000_250), (-250, 999_750)):
            venue.set_clock_offset_ms(offset_ms)
            assert f"timestamp={stamp}&" in venue.query_request(order(INSTRUMENT[PERP])).target
    upbit.set_clock_offset_ms(250)


def test_the_futures_mode_is_read_and_spot_has_none():
    """One-way or hedged, leverage and margin type by instrument."""
    assert targets(PERP.account_mode_requests()) == [
        "GET /fapi/v1/accountConfig",
        "GET /fapi/v1/symbolConfig",
    ]
    rows = [
        {"symbol": "BTCUSDT", "leverage": 1, "marginType": "ISOLATED"},
        {"symbol": "ETHUSDT", "leverage": 20, "marginType": "CROSSED"},
    ]
    answers = [answer(200, {"dualSidePosition": False}), answer(200, rows)]
    btc, eth = "BINANCE_PERP:BTCUSDT", "BINANCE_PERP:ETHUSDT"
    mode = AccountMode(one_way=True, leverage={btc: 1, eth: 20}, isolated={btc: True, eth: False})
    assert PERP.read_account_mode(answers) == mode
    hedged = PERP.read_account_mode([answer(200, {"dualSidePosition": True}), answers[1]])
    assert not hedged.one_way
    odd = answer(200, [{**rows[0], "marginType": "cross"}])
    for wrong in ([answers[0]], [answer(200, {}), answers[1]], [answers[0], odd]):
        with pytest.raises(ValueError, match="expected"):
            PERP.read_account_mode(wrong)
    for venue in (UPBIT, SPOT):
        assert venue.account_mode_requests() == []
        assert venue.read_account_mode([]) is None


def test_binance_tells_what_a_key_may_do():
    """Trading is asked for the market at hand; only spot's host answers."""
    rights = {
        "enableSpotAndMarginTrading": True,
        "enableFutures": False,
        "enableWithdrawals": False,
        "ipRestrict": True,
    }
    for venue in (SPOT, PERP):
        assert targets(venue.key_scopes_requests()) == ["GET /sapi/v1/account/apiRestrictions"]
    assert SPOT.read_key_scopes([answer(200, rights)]) == KeyScopes(
        can_trade=True, can_withdraw=False, ip_restricted=True
    )
    withdrawing = {**rights, "enableWithdrawals": True, "ipRestrict": False}
    assert PERP.read_key_scopes([answer(200, withdrawing)]) == KeyScopes(
        can_trade=False, can_withdraw=True, ip_restricted=False
    )
    for missing in rights.keys() - {"enableFutures"}:
        told = {name: value for name, value in rights.items() if name != missing}
        with pytest.raises(ValueError, match="expected"):
            SPOT.read_key_scopes([answer(200, told)])


def test_upbit_tells_scopes_only_to_a_key_that_manages_pockets():
    """Without that right nothing is known; with it everything is."""
    assert targets(UPBIT.key_scopes_requests()) == [
        "GET /upbit/v1/api_keys",
        "GET /upbit/v1/pockets/api_keys",
    ]
    listed = answer(200, [{"access_key": KEYS.key, "expire_at": "2027-01-01T00:00:00+09:00"}])
    unknown = KeyScopes(can_trade=None, can_withdraw=None, ip_restricted=None)
    refused = answer(403, upbit_error("out_of_scope"))
    assert UPBIT.read_key_scopes([listed, refused]) == unknown

    def pockets(**changes):
        key = {"access_key": KEYS.key, "permissions": ["make_orders"], "allowed_ips": ["192.0.2.1"]}
        foreign = {"access_key": "x", "permissions": ["withdraw"], "allowed_ips": []}
        return answer(200, [{"keys": [foreign]}, {"keys": [{**key, **changes}]}])

    assert UPBIT.read_key_scopes([listed, pockets()]) == KeyScopes(
        can_trade=True, can_withdraw=False, ip_restricted=True
    )
    over = pockets(permissions=["withdraw"], allowed_ips=[])
    assert UPBIT.read_key_scopes([listed, over]) == KeyScopes(
        can_trade=False, can_withdraw=True, ip_restricted=False
    )
    assert UPBIT.read_key_scopes([listed, answer(200, [{"keys": []}])]) == unknown
    for wrong in (
        [answer(200, []), refused],
        [refused, refused],
        [listed, answer(500)],
        [listed, pockets(permissions="withdraw")],
        [listed, pockets(allowed_ips=[1])],
    ):
        with pytest.raises(ValueError, match="expected"):
            UPBIT.read_key_scopes(wrong)
    with pytest.raises(ValueError, match="values to unpack"):
        UPBIT.read_key_scopes([listed])


@pytest.mark.parametrize("venue", ALL)
@pytest.mark.parametrize(
    ("told", "wait_s"),
    [
        (answer(429, retry_after="7"), 7.0),
        (answer(418, retry_after="259200"), 259200.0),
        (answer(429), 1.0),
        (answer(418), 60.0),
        (answer(429, retry_after="Mon, 23 Nov 2026 14:00:01 GMT"), 1.0),
        (answer(418, retry_after="-1"), 60.0),
        (answer(418, retry_after="²"), 60.0),
        (answer(200, retry_after="7"), None),
        (answer(503, retry_after="7"), None),
    ],
)
def test_a_venue_that_wants_quiet_gets_it(venue, told, wait_s):
    """429 and 418 only; the named time, or a default."""
    assert venue.back_off_s(told) == wait_s


def test_forced_orders_have_names_that_ours_never_have():
    """Liquidation, auto-deleveraging, settlement."""
    assert not OWN.startswith(FORCED_PREFIXES)
    for name in ("autoclose-123", "adl_autoclose", "settlement_autoclose-9"):
        assert name.startswith(FORCED_PREFIXES)
