"""What may still be spent or sold: readings lag, orders on their way are taken off."""

from dataclasses import replace
from decimal import Decimal

import pytest

from interlock_core.instrument import Side, Venue
from interlock_gatekeeper import budget, facts
from interlock_gatekeeper.budget import Outflow
from interlock_gatekeeper.facts import Facts
from interlock_gatekeeper.limits import MAX_BALANCE_AGE_NS
from interlock_gatekeeper.selftest import NOW, PERP, SPOT, good_world
from interlock_gatekeeper.state import Group, OpenOrder, Sent

DOLLARS = Outflow(Venue.BINANCE_PERP, "USDT", Decimal(0))
COST = Decimal(10) * (1 + budget.TAKER_FEE_RATE[Venue.BINANCE_PERP])


def left(world):
    return budget.available(world.state, DOLLARS, NOW.boot_ns, MAX_BALANCE_AGE_NS)


def sent(world, name, age_ns):
    """Send the world's order of ten dollars so long before the reading; it has ended since."""
    at_ns = world.perp.balances.at_ns - age_ns
    world.state.ledger.sent.append(Sent(at_ns, replace(world.intent, intent_id=name)))


def waiting(world, name, **changes):
    """Let an order be on its way."""
    intent = replace(world.intent, intent_id=name, **changes)
    world.state.open_orders[name] = OpenOrder(
        f"gk{name}", "s", intent, "", Decimal(10), reducing=False, unknown=False
    )


def test_an_order_sent_since_the_reading_is_taken_off_even_after_its_end():
    """At the reading's own instant, too; what was sent before it is in it."""
    world = good_world()
    assert left(world) == 100
    sent(world, "before-01", 1)
    assert left(world) == 100
    sent(world, "same-0001", 0)
    assert left(world) == 100 - COST
    sent(world, "after-001", -1)
    assert left(world) == 100 - 2 * COST
    waiting(world, "after-001")
    assert left(world) == 100 - 2 * COST, "one order is taken off once"
    waiting(world, "waiting-1")
    assert left(world) == 100 - 3 * COST


@pytest.mark.parametrize(
    ("name", "changes", "may_sell"),
    [
        ("nothing", {}, "5"),
        ("same-side", {"instrument": SPOT, "side": Side.SELL}, "3"),
        ("other-side", {"instrument": SPOT, "side": Side.BUY}, "5"),
        ("elsewhere", {"instrument": PERP, "side": Side.SELL}, "5"),
    ],
)
def test_what_may_be_sold_is_allocation_and_fills_less_what_is_being_sold(name, changes, may_sell):
    """V13: never more than was given and bought, whatever is on its way."""
    world = good_world()
    world.session(allocation={SPOT: Decimal(4)})
    world.state.ledger.held[SPOT] = Decimal(1)
    if changes:
        waiting(world, name, quantity=Decimal(2), **changes)
    world.order(instrument=SPOT, side=Side.SELL)
    assert facts.gather(world.intent, world.state, NOW).allocation_left == Decimal(may_sell)


def test_facts_that_nobody_gathered_are_a_no():
    """An instrument unknown, a venue backing off."""
    bare = Facts(now_boot_ns=0, lease_until_ns=None, reducing=False, journal_works=True)
    assert not bare.is_known
    assert bare.backing_off


@pytest.mark.parametrize(
    ("held", "sold", "worst"),
    [
        ("0", "0.003", "30.30"),
        ("0", "0.001", "20.20"),
        ("0.001", "0.003", "30.30"),
        ("-0.001", "0.003", "40.40"),
    ],
)
def test_the_worst_gap_looks_both_ways(held, sold, worst):
    """What is held, and of what is on its way only what widens the gap: the larger of two."""
    world = good_world()
    world.reference("10000", "10000")
    name = world.intent.group_id
    world.state.ledger.groups[name] = Group("BTC", 0, held={PERP: Decimal(held)})
    waiting(world, "buying-01", quantity=Decimal("0.002"), group_id=name)
    waiting(world, "selling-1", quantity=Decimal(sold), group_id=name, side=Side.SELL)
    assert budget.unhedged_usd(world.state) == Decimal(worst)
