"""A leg that the engine leaves unhedged: the gatekeeper closes it once, by the same checks."""

import hashlib
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import PERP_BTC, UPBIT_BTC

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Side
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import Holding, Purpose, SessionBooks
from interlock_gatekeeper import flatten, guards
from interlock_gatekeeper.books import books_of
from interlock_gatekeeper.guards import Level
from interlock_gatekeeper.limits import LEG_REPAIR_NS, MAX_REDUCING_REFERENCE_AGE_NS
from interlock_gatekeeper.machine import Submit
from interlock_gatekeeper.policy import Denied
from interlock_gatekeeper.records import Kind

QUANTITY = Decimal("0.001")


@pytest.fixture
def trading(live):
    live.arm()
    live.open()
    return live


def fill(bench, name="intent-0001", filled="0.001", **changes):
    made = bench.order(bench.intent(name, **changes))
    bench.settle(bench.result(made.order, filled))


def wait(bench, ns=LEG_REPAIR_NS):
    """Let a leg stay open for so long, with a living engine; time passes in whole seconds."""
    bench.later(ns // NS_PER_S)


@pytest.mark.parametrize(("side", "against"), [(Side.BUY, Side.SELL), (Side.SELL, Side.BUY)])
def test_after_six_seconds_one_order_closes_the_leg(trading, side, against):
    """The held quantity, the other way, inside the reducing collar, in its own round trip."""
    price = Decimal(10_000) if side is Side.BUY else Decimal("9999.9")
    fill(trading, side=side, price=price, quoted_price=price)
    wait(trading, LEG_REPAIR_NS - NS_PER_S)
    assert trading.machine.repair(trading.now) is None
    wait(trading, NS_PER_S)
    trading.machine.guard(trading.now)
    assert trading.state.holding == "UNHEDGED_LEG", "its own order passes the hold"
    sent = trading.machine.repair(trading.now)
    assert isinstance(sent, Submit)
    intent = sent.order.intent
    assert (intent.instrument, intent.side, intent.quantity) == (PERP_BTC, against, QUANTITY)
    assert (intent.group_id, intent.purpose) == ("group-0001", Purpose.UNWIND)
    assert sent.order.reducing
    assert trading.machine.recheck(sent.order, trading.now) is None
    assert trading.machine.repair(trading.now) is None, "once"
    trading.settle(trading.result(sent.order, "0.001"))
    assert trading.state.positions == {}
    assert trading.machine.repair(trading.now) is None


def test_the_leg_that_is_too_large_is_the_one_closed(trading):
    """Of two legs only the surplus goes, from the leg that has it."""
    krw = {"price": Decimal(14_000_000), "quoted_price": Decimal(14_000_000)}
    usdt = {"price": Decimal("9999.9"), "quoted_price": Decimal("9999.9")}
    more = Decimal("0.0017")
    fill(trading, filled="0.0017", instrument=UPBIT_BTC, quantity=more, **krw)
    hedge = {"side": Side.SELL, "group_id": "group-0001", "leg": "b"}
    fill(trading, "intent-0002", **hedge, **usdt)
    wait(trading)
    intent = trading.machine.repair(trading.now).order.intent
    assert (intent.instrument, intent.side) == (UPBIT_BTC, Side.SELL)
    assert intent.quantity == more - QUANTITY


def test_an_order_on_its_way_is_waited_for(trading):
    """What may still hedge the leg is not raced."""
    fill(trading)
    wait(trading)
    low = {"price": Decimal("9999.9"), "quoted_price": Decimal("9999.9")}
    exit_ = trading.intent("intent-0003", group_id="group-0001", side=Side.SELL, **low)
    assert isinstance(trading.order(exit_), Submit)
    assert trading.machine.repair(trading.now) is None


def test_what_the_checks_deny_is_recorded_once_and_left_to_the_kill(trading):
    """No order without its checks, not even ours; at ten seconds the trigger kills."""
    fill(trading)
    wait(trading)
    trading.take()
    for seen in trading.state.seen.venues.values():
        seen.private_ok_ns = None
    denied = trading.machine.repair(trading.now)
    assert isinstance(denied, Denied)
    assert denied.reason is DenyReason.VENUE_DOWN
    assert [record.kind for record in trading.take()] == [Kind.DENY]
    assert trading.machine.repair(trading.now) is None
    wait(trading, 5 * NS_PER_S)
    assert guards.assess(trading.state, trading.state.session, trading.now) == (
        Level.KILL,
        "UNHEDGED_LEG",
    )


def test_in_paper_the_engine_keeps_its_own_legs(paper):
    """There the trigger only holds, so that books stay the engine's."""
    paper.open()
    fill(paper)
    wait(paper)
    assert paper.machine.repair(paper.now) is None


def test_a_leg_that_is_no_position_any_more_is_nobodys_to_close(trading):
    """The books of the round trip say long, the account holds nothing: nothing is ordered."""
    fill(trading)
    wait(trading)
    del trading.state.positions[PERP_BTC]
    assert trading.machine.repair(trading.now) is None


def test_a_leg_with_rules_but_without_a_price_is_not_ordered(trading):
    """And one with a price but without rules: neither can be priced."""
    fill(trading)
    wait(trading)
    reference = trading.state.references.pop(PERP_BTC)
    assert trading.machine.repair(trading.now) is None
    trading.state.references[PERP_BTC] = reference
    del trading.state.instruments[PERP_BTC]
    assert trading.machine.repair(trading.now) is None


def test_names_of_own_orders_fit_and_are_the_same_every_time(trading):
    """Sixteen hexadecimal digits of the round trip; eighteen characters of the instrument."""
    fill(trading)
    wait(trading)
    digest = hashlib.sha256(b"group-0001").hexdigest()[:16]
    assert trading.machine.repair(trading.now).order.intent.intent_id == f"flat-1-{digest}"
    long = "BINANCE_PERP:1000000MOGUSDT"
    assert flatten.next_name(trading.state, long) == "flat-1-BINANCEPERP1000000-1"


def test_a_price_that_is_ten_seconds_old_still_closes(trading):
    """The last age at which a reducing order may trust it."""
    fill(trading)
    trading.kill()
    trading.flatten_out()
    reference = trading.state.references[PERP_BTC]
    for age_ns, closes in [
        (MAX_REDUCING_REFERENCE_AGE_NS, 1),
        (MAX_REDUCING_REFERENCE_AGE_NS + 1, 0),
    ]:
        at_ns = trading.now.boot_ns - age_ns
        trading.state.references[PERP_BTC] = replace(reference, at_ns=at_ns)
        found = flatten.plan(trading.state, trading.now)
        assert isinstance(found, list) is bool(closes)


def test_the_tick_is_that_of_the_price_asked(trading):
    """Three percent below a step of Upbit's table, the finer tick of the lower band holds."""
    trading.state.positions[UPBIT_BTC] = Decimal("0.01")
    reference = trading.state.references[UPBIT_BTC]
    trading.state.references[UPBIT_BTC] = replace(
        reference, bid=Decimal(1_010_000), ask=Decimal(1_011_000)
    )
    intent = flatten._closing(trading.state, UPBIT_BTC, Decimal("0.01"), trading.now)
    assert intent.price == Decimal(980_000), "979,700 rounded up to the tick of 500, not of 1,000"


def test_the_engine_is_told_what_is_held_and_what_the_gatekeeper_reduced_itself(trading):
    """Fills of its own orders only, and none that filled nothing."""
    assert books_of(trading.state) == SessionBooks(trading.state.epoch, (), (), ())
    fill(trading)
    held = Holding(PERP_BTC, Side.BUY, QUANTITY)
    assert books_of(trading.state).holdings == (held,)
    assert books_of(trading.state).own_fills == ()
    wait(trading)
    sent = trading.machine.repair(trading.now)
    assert books_of(trading.state).open_intents == (sent.order.intent.intent_id,)
    trading.settle(trading.result(sent.order, "0.0004"))
    books = books_of(trading.state)
    assert books.holdings == (replace(held, quantity=Decimal("0.0006")),)
    (own,) = books.own_fills
    assert (own.intent_id, own.instrument, own.side, own.filled_quantity) == (
        sent.order.intent.intent_id,
        PERP_BTC,
        Side.SELL,
        Decimal("0.0004"),
    )


def test_short_holdings_are_told_as_sold_and_an_empty_own_order_is_not_told(trading):
    low = {"price": Decimal("9999.9"), "quoted_price": Decimal("9999.9")}
    fill(trading, side=Side.SELL, **low)
    wait(trading)
    sent = trading.machine.repair(trading.now)
    trading.settle(trading.result(sent.order, "0"))
    books = books_of(trading.state)
    assert books.holdings == (Holding(PERP_BTC, Side.SELL, QUANTITY),)
    assert books.own_fills == ()
