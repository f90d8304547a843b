"""Markets, prices, pages and hosts: the rules of each venue, and what is left out."""

from decimal import Decimal

import pytest
from tests.unit.gatekeeper.venues.conftest import KEYS, PERP, SPOT, UPBIT, answer, order

from interlock_core.instrument import Instrument, Side, Venue
from interlock_gatekeeper.transport import Request
from interlock_gatekeeper.venues.binance import PERP as PERP_MARKET
from interlock_gatekeeper.venues.binance import SPOT as SPOT_MARKET
from interlock_gatekeeper.venues.binance import Binance
from interlock_gatekeeper.venues.readings import BestPrices
from interlock_gatekeeper.venues.upbit import Upbit

ALL = [UPBIT, SPOT, PERP]
ZERO = Decimal(0)
PRICE = {"filterType": "PRICE_FILTER", "tickSize": "0.10"}
LOT = {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.002", "maxQty": "1000"}
SPOT_NOTIONAL = {"filterType": "NOTIONAL", "minNotional": "5", "maxNotional": "9000000"}
PERP_NOTIONAL = {"filterType": "MIN_NOTIONAL", "notional": "50"}
SPOT_SYMBOL = {
    "symbol": "BTCUSDT",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "status": "TRADING",
    "filters": [PRICE, LOT, SPOT_NOTIONAL],
}
PERP_SYMBOL = {
    **SPOT_SYMBOL,
    "contractType": "PERPETUAL",
    "filters": [PRICE, LOT, PERP_NOTIONAL],
}


def markets(venue, *rows):
    return venue.read_instruments(answer(200, {"symbols": list(rows)}))


def book(market, *units):
    levels = [{"bid_price": bid, "ask_price": ask} for bid, ask in units]
    return {"market": market, "orderbook_units": levels}


@pytest.mark.parametrize(
    ("venue", "row", "name", "least", "most"),
    [
        (SPOT, SPOT_SYMBOL, Venue.BINANCE, Decimal(5), Decimal(9_000_000)),
        (PERP, PERP_SYMBOL, Venue.BINANCE_PERP, Decimal(50), None),
    ],
)
def test_a_binance_market_has_the_rules_of_its_filters(venue, row, name, least, most):
    """Each field from its own filter; a perpetual has no largest notional."""
    instrument = Instrument(
        venue=name,
        symbol="BTCUSDT",
        asset="BTC",
        quote="USDT",
        tick=Decimal("0.10"),
        lot=Decimal("0.001"),
        min_quantity=Decimal("0.002"),
        max_quantity=Decimal(1000),
        min_notional=least,
        max_notional=most,
    )
    assert markets(venue, row) == {f"{name}:BTCUSDT": instrument}


def test_a_spot_market_without_a_largest_notional_has_none():
    """Older markets name no maximum."""
    row = {**SPOT_SYMBOL, "filters": [PRICE, LOT, {**SPOT_NOTIONAL, "maxNotional": None}]}
    assert markets(SPOT, row)["BINANCE:BTCUSDT"].max_notional is None


@pytest.mark.parametrize(("venue", "row"), [(SPOT, SPOT_SYMBOL), (PERP, PERP_SYMBOL)])
@pytest.mark.parametrize(
    "changes", [{"quoteAsset": "USDC"}, {"status": "BREAK"}, {"status": "HALT"}, {"status": None}]
)
def test_only_usdt_markets_that_trade_are_markets(venue, row, changes):
    """What is halted or quoted in another coin is left out, and only that."""
    other = {**row, "symbol": "ETHUSDT"}
    assert list(markets(venue, {**row, **changes}, other)) == [f"{venue.venue}:ETHUSDT"]


def test_only_perpetuals_are_perpetual_markets():
    """Deliveries and kinds of contract yet unnamed are left out; spot has no contract types."""
    for kind in ("CURRENT_QUARTER", "NEXT_QUARTER", "", None):
        assert markets(PERP, {**PERP_SYMBOL, "contractType": kind}) == {}
    assert markets(PERP, SPOT_SYMBOL) == {}
    assert list(markets(SPOT, SPOT_SYMBOL)) == ["BINANCE:BTCUSDT"]


@pytest.mark.parametrize(
    ("index", "field", "value"),
    [
        (0, "tickSize", "0"),
        (0, "tickSize", "-0.1"),
        (0, "filterType", "PERCENT_PRICE"),
        (1, "stepSize", "0"),
        (1, "stepSize", None),
        (1, "minQty", "-1"),
        (1, "maxQty", "all"),
        (2, "notional", None),
        (2, "filterType", "NOTIONAL"),
    ],
)
def test_a_market_with_a_broken_rule_breaks_the_list(index, field, value):
    """A market without its rules would let wrong orders through; a tiny step is a step."""
    filters = [dict(item) for item in PERP_SYMBOL["filters"]]
    filters[index][field] = value
    with pytest.raises(ValueError, match="expected"):
        markets(PERP, {**PERP_SYMBOL, "filters": filters})
    tiny = [{**PRICE, "tickSize": "0.00000001"}, *PERP_SYMBOL["filters"][1:]]
    found = markets(PERP, {**PERP_SYMBOL, "filters": tiny})
    assert found["BINANCE_PERP:BTCUSDT"].tick == Decimal("0.00000001")


def test_an_upbit_market_has_the_documents_rules():
    """Eight decimals, 5,000 to 1,000,000,000 KRW; markets in other coins are left out."""
    rows = [
        {"market": name} for name in ("KRW-BTC", "BTC-ETH", "USDT-BTC", "KRW-", "KRW", "XKRW-A")
    ]
    instrument = Instrument(
        venue=Venue.UPBIT,
        symbol="KRW-BTC",
        asset="BTC",
        quote="KRW",
        tick=None,
        lot=Decimal("0.00000001"),
        min_quantity=ZERO,
        max_quantity=Decimal(1_000_000_000),
        min_notional=Decimal(5_000),
        max_notional=Decimal(1_000_000_000),
    )
    assert UPBIT.read_instruments(answer(200, rows)) == {"UPBIT:KRW-BTC": instrument}


@pytest.mark.parametrize(
    ("bid", "ask", "sound"),
    [
        ("1", "1.00000001", True),
        ("0.00000001", "2", True),
        ("1", "1", False),
        ("2", "1", False),
        ("0", "1", False),
        ("0", "0", False),
        ("1", "0", False),
    ],
)
def test_prices_have_two_sides_that_do_not_meet(bid, ask, sound):
    """Padded zeros, locked and crossed books are no prices."""
    prices = BestPrices(Decimal(bid), Decimal(ask))
    told = answer(200, [book("KRW-BTC", (bid, ask), ("0.5", "3"))])
    assert UPBIT.read_prices(told) == ({"KRW-BTC": prices} if sound else {})
    row = {"symbol": "BTCUSDT", "bidPrice": bid, "askPrice": ask}
    for venue in (SPOT, PERP):
        assert venue.read_prices(answer(200, [row])) == ({"BTCUSDT": prices} if sound else {})


def test_the_first_level_is_the_best_one():
    """Upbit lists the book from the best level outwards; one level is enough."""
    deep = book("KRW-BTC", ("10", "11"), ("9", "12"), ("8", "13"))
    best = {"KRW-BTC": BestPrices(Decimal(10), Decimal(11))}
    assert UPBIT.read_prices(answer(200, [deep, book("KRW-ETH")])) == best
    assert UPBIT.read_prices(answer(200, [book("KRW-BTC", ("10", "11"))])) == best


@pytest.mark.parametrize("venue", ALL)
@pytest.mark.parametrize("body", [b"", b"null", {}, ["x"], [{}]])
def test_prices_that_are_not_understood_are_none(venue, body):
    """No price is better than half of one."""
    with pytest.raises(ValueError, match=r"expected|not JSON"):
        venue.read_prices(answer(200, body))


@pytest.mark.parametrize("count", [100, 101])
@pytest.mark.parametrize("page", [1, 2, 7])
def test_a_full_page_leads_to_the_very_next_one(count, page):
    """A page left out would hide a hundred orders."""
    for state in ("watch", "wait"):
        rows = [{"state": state}] * count
        request = UPBIT.next_open_orders_request(answer(200, rows), page)
        assert f"?state={state}&page={page + 1}&" in request.target
    for short in (0, 1, 99):
        rows = [{"state": "wait"}] * short
        assert UPBIT.next_open_orders_request(answer(200, rows), page) is None


@pytest.mark.parametrize(
    ("canceled", "failed", "done"),
    [
        (0, 0, True),
        (1, 0, True),
        (299, 0, True),
        (300, 0, False),
        (301, 0, False),
        (0, 1, False),
        (0, 2, False),
        (299, 1, False),
        (300, 1, False),
        (-1, 0, False),
        (0, -1, False),
        ("many", 0, False),
        (0.5, 0, False),
        (0, None, False),
    ],
)
def test_upbit_has_canceled_all_only_below_a_full_batch_and_without_a_failure(
    canceled, failed, done
):
    """A batch of 300 may have left orders, and a count that is no count proves nothing."""
    body = {"success": {"count": canceled}, "failed": {"count": failed}}
    assert UPBIT.read_cancel_all(answer(200, body)) is done


def test_the_keys_rights_are_asked_where_they_are_answered():
    """At spot's host for a perpetual, else at the venue's own."""
    elsewhere = "http://127.0.0.2:2"
    perp = Binance(PERP_MARKET, "http://127.0.0.1:1/perp", KEYS, scopes_url=f"{elsewhere}/spot")
    assert (perp.rest_url, perp.scopes_url) == ("http://127.0.0.1:1/perp", f"{elsewhere}/spot")
    [request] = perp.key_scopes_requests()
    assert request.target.startswith("/spot/sapi/v1/account/apiRestrictions?")
    spot = Binance(SPOT_MARKET, "http://127.0.0.1:1/spot", KEYS)
    assert spot.scopes_url == spot.rest_url == "http://127.0.0.1:1/spot"
    upbit = Upbit("http://127.0.0.1:1/upbit", KEYS)
    assert upbit.scopes_url == upbit.rest_url == "http://127.0.0.1:1/upbit"


def test_an_answer_is_late_and_a_clock_coarse_as_the_venue_is():
    """Half a minute for Upbit, a quarter for Binance; Upbit's clock tells seconds only."""
    assert [(venue.late_s, venue.clock_resolution_ms) for venue in ALL] == [
        (30.0, 1_000),
        (15.0, 1),
        (15.0, 1),
    ]
    dated = answer(200, [], date="Thu, 01 Jan 1970 00:00:59 GMT")
    assert UPBIT.read_time_ms(dated) == 59_000
    assert isinstance(UPBIT.read_time_ms(dated), int)


def test_an_order_names_its_symbol_and_side_in_the_venues_words():
    """The symbol is what follows the venue's name, whatever it contains."""
    for side, word in ((Side.BUY, "BUY"), (Side.SELL, "SELL")):
        for venue, name in ((SPOT, "BINANCE"), (PERP, "BINANCE_PERP")):
            request = venue.order_request(order(f"{name}:1000SATSUSDT", side=side))
            assert f"symbol=1000SATSUSDT&side={word}&".encode() in request.body
    for side, word in ((Side.BUY, b"bid"), (Side.SELL, b"ask")):
        request = UPBIT.order_request(order("UPBIT:KRW-BTC", side=side))
        assert b'"market":"KRW-BTC","side":"' + word + b'"' in request.body


def test_an_order_that_may_rest_is_never_built():
    """The refusal keeps forty characters of what was asked."""
    with pytest.raises(ValueError, match="^expected ioc or fok, was " + "g" * 40 + "$"):
        UPBIT.order_request(order("UPBIT:KRW-BTC", time_in_force="g" * 50))
    for word in ("gtc", "post_only", "", "IOC"):
        for venue, key in ((UPBIT, "UPBIT:KRW-BTC"), (SPOT, "BINANCE:A"), (PERP, "BINANCE_PERP:A")):
            with pytest.raises((KeyError, ValueError)):
                venue.order_request(order(key, time_in_force=word))


def test_reduce_only_is_said_for_a_reducing_perpetual_alone():
    """Spot would refuse the word; an opening perpetual must not carry it."""
    for reducing in (True, False):
        said = (
            b"reduceOnly=true"
            in PERP.order_request(order("BINANCE_PERP:A", reducing=reducing)).body
        )
        assert said is reducing
        assert b"reduceOnly" not in SPOT.order_request(order("BINANCE:A", reducing=reducing)).body


def test_public_questions_are_plain_requests():
    """Neither a key nor a body travels with them."""
    assert UPBIT.time_request() == Request("GET", "/upbit/v1/trades/ticks?market=KRW-BTC&count=1")
    assert SPOT.time_request() == Request("GET", "/api/v3/time")
    assert PERP.time_request() == Request("GET", "/fapi/v1/time")
    assert UPBIT.instruments_request() == Request("GET", "/upbit/v1/market/all")
    assert SPOT.instruments_request() == Request("GET", "/api/v3/exchangeInfo")
    assert PERP.prices_request([]) == Request("GET", "/fapi/v1/ticker/bookTicker")
