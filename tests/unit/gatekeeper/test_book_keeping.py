"""The session's books entry by entry: what is counted, for how long, and in which currency."""

from dataclasses import replace
from decimal import Decimal

import pytest

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Side, Venue
from interlock_core.wire.gate import OrderResult, Outcome, Purpose
from interlock_gatekeeper import books
from interlock_gatekeeper.books import SENT_MEMORY_NS
from interlock_gatekeeper.limits import DUST_USD, REPEAT_WINDOW_NS, SAME_SHAPE_NS
from interlock_gatekeeper.selftest import PERP, SPOT, good_world
from interlock_gatekeeper.state import Group, shape_of

FX = (Decimal(1399), Decimal(1400))


@pytest.fixture
def world():
    return good_world()


def count(world, at_ns, *, reducing=False, **changes):
    intent = replace(world.intent, **changes)
    books.count_order(world.state, world.running, intent, at_ns, reducing=reducing)
    return intent


def fill(world, filled="0.001", price="10000", fee="0", currency="USDT", **changes):
    intent = replace(world.intent, **changes)
    result = OrderResult(
        intent_id=intent.intent_id,
        client_order_id="gk1",
        outcome=Outcome.FILLED,
        code=None,
        detail=None,
        filled_quantity=Decimal(filled),
        average_price=Decimal(price),
        fee=Decimal(fee),
        fee_currency=currency,
        venue_order_id="v1",
        latency_ms=1.0,
    )
    books.book_fill(world.state.ledger, intent, result, FX)


@pytest.mark.parametrize(
    ("window_ns", "kept"),
    [
        (SENT_MEMORY_NS, lambda ledger, _: len(ledger.sent)),
        (REPEAT_WINDOW_NS, lambda ledger, _: len(ledger.opens_ns[PERP])),
        (SAME_SHAPE_NS, lambda ledger, first: 1 + (shape_of(first) in ledger.shapes_ns)),
    ],
)
@pytest.mark.parametrize(("off_ns", "expected"), [(-1, 2), (0, 1)])
def test_what_was_sent_is_remembered_for_its_window(world, window_ns, kept, off_ns, expected):
    """A minute of orders, five of entries, two seconds of shapes; to the nanosecond."""
    first = count(world, 0)
    count(world, window_ns + off_ns, price=Decimal(9_999))
    assert kept(world.state.ledger, first) == expected


def test_the_windows_are_those_of_the_specification():
    """One minute covers any balance that still counts as known."""
    assert SENT_MEMORY_NS == 60 * NS_PER_S
    assert (REPEAT_WINDOW_NS, SAME_SHAPE_NS) == (300 * NS_PER_S, 2 * NS_PER_S)


@pytest.mark.parametrize(
    ("purpose", "reducing", "entered", "opens"),
    [
        (Purpose.ENTRY, False, {"a"}, 1),
        (Purpose.ENTRY, True, set(), 0),
        (Purpose.EXIT, False, set(), 0),
        (Purpose.REPAIR, False, set(), 0),
    ],
)
def test_every_order_counts_and_an_entry_opens_a_leg(world, purpose, reducing, entered, opens):
    """Once each."""
    for number in (1, 2):
        count(world, number, reducing=reducing, purpose=purpose)
        assert world.state.ledger.orders == number
    ledger = world.state.ledger
    assert ledger.groups[world.intent.group_id].entered == entered
    assert len(ledger.opens_ns.get(PERP, ())) == 2 * opens


@pytest.mark.parametrize(
    ("side", "fee", "currency", "cash"),
    [
        (Side.BUY, "0.5", "USDT", "-10.5"),
        (Side.SELL, "0.5", "USDT", "9.5"),
        (Side.BUY, "0.5", None, "-10.5"),
        (Side.BUY, "0.00001", "BTC", "-10"),
        (Side.SELL, "0.001", "BNB", "10"),
    ],
)
def test_a_venues_money_moves_by_the_value_and_the_fee_in_it(world, side, fee, currency, cash):
    """A fee in another coin leaves the quote alone; reconciliation compares exactly this."""
    intent = count(world, 0, side=side)
    fill(world, fee=fee, currency=currency, side=intent.side)
    assert world.state.ledger.cash == {Venue.BINANCE_PERP: Decimal(cash)}
    assert world.state.ledger.traded == {Venue.BINANCE_PERP: Decimal(10)}


def group(world, *, held, cash="0", traded=(PERP, SPOT)):
    made = Group("BTC", 0, traded=set(traded), held=dict(held), cash_usd=Decimal(cash))
    made.unit_usd = Decimal(10_000)
    ledger = world.state.ledger
    ledger.groups["g"] = ledger.open_groups["g"] = made
    return made


DUST = DUST_USD / 10_000


@pytest.mark.parametrize(
    ("quantity", "unhedged", "ended"),
    [(DUST, False, True), (DUST + Decimal("1e-8"), True, False), (-DUST, False, True)],
)
def test_dust_is_neither_a_gap_nor_a_leg(world, quantity, unhedged, ended):
    """Six dollars are; a hundredth of a cent more is not."""
    made = group(world, held={PERP: quantity})
    books.weigh(world.state.ledger, "g", 5, waiting=False)
    assert (made.unhedged_since_ns == 5) is unhedged
    assert ("g" not in world.state.ledger.open_groups) is ended
    assert world.state.ledger.leftovers == ({"BTC": {PERP: quantity}} if ended else {})
    assert made.ended is ended


def test_what_ended_round_trips_left_counts_together(world):
    """The dust of one leaves with the next: on any instrument of the asset, once."""
    ledger = world.state.ledger
    group(world, held={PERP: DUST})
    books.weigh(ledger, "g", 5, waiting=False)
    books.weigh(ledger, "g", 6, waiting=False)
    assert ledger.leftovers == {"BTC": {PERP: DUST}}
    other = Group("BTC", 1, held={PERP: -DUST, SPOT: DUST})
    other.unit_usd = Decimal(1)
    ledger.groups["h"] = ledger.open_groups["h"] = other
    books.weigh(ledger, "h", 7, waiting=False)
    assert ledger.leftovers == {"BTC": {SPOT: DUST}}


def test_a_leftover_that_is_closed_at_last_is_forgotten(world):
    """A fill of an ended round trip changes what is left of all."""
    made = group(world, held={PERP: Decimal("0.0001")})
    ledger = world.state.ledger
    books.weigh(ledger, "g", 5, waiting=False)
    assert ledger.leftovers == {"BTC": {PERP: Decimal("0.0001")}}
    ledger.groups[world.intent.group_id] = ledger.groups.pop("g")
    fill(world, "0.0001", side=Side.SELL)
    assert made.held == ledger.leftovers == {}


def test_a_round_trip_that_is_opened_again_is_no_leftover(world):
    """It is counted by itself while it is open, and with the others once it has ended again."""
    made = group(world, held={PERP: Decimal("0.0001")})
    ledger = world.state.ledger
    books.weigh(ledger, "g", 5, waiting=False)
    name = world.intent.group_id
    ledger.groups[name] = ledger.groups.pop("g")
    count(world, 6)
    assert (ledger.leftovers, made.ended) == ({}, False)
    books.weigh(ledger, name, 7, waiting=False)
    assert ledger.leftovers == {"BTC": {PERP: Decimal("0.0001")}}


@pytest.mark.parametrize(
    ("cash", "traded", "wins", "losses"),
    [
        ("0.01", (PERP, SPOT), 1, 0),
        ("0", (PERP, SPOT), 0, 0),
        ("-0.01", (PERP, SPOT), 0, 1),
        ("0.01", (PERP,), 0, 0),
    ],
)
def test_a_win_is_more_than_nothing_on_both_venues(world, cash, traded, wins, losses):
    """Even is neither; one leg alone is no round trip that was won."""
    group(world, held={}, cash=cash, traded=traded)
    books.weigh(world.state.ledger, "g", 5, waiting=False)
    assert (world.state.ledger.wins, world.state.ledger.losses) == (wins, losses)
