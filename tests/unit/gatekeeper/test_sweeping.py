"""The rounds of a halt: when each comes, which listings count, what a person is told."""

from dataclasses import replace
from decimal import Decimal

import pytest

from interlock_core.clock import NS_PER_S
from interlock_gatekeeper import halt
from interlock_gatekeeper.halt import Leftover, Listing, Progress
from interlock_gatekeeper.selftest import NOW, PERP, good_world
from interlock_gatekeeper.state import OpenOrder, Residual, State

S = NS_PER_S


def state(**changes):
    return State(environment="live", **changes)


def round_at(progress, of, at_s, *, resting=()):
    """Let a sweep that lists this begin and end at at_s."""
    return progress.claim(of, Listing(round(at_s * S), resting, None), round(at_s * S))


def due_after(progress, at_s):
    """Return the whole seconds after which the next round is due, to the nanosecond."""
    seconds = next(n for n in range(100) if progress.due((at_s + n) * S))
    assert not progress.due((at_s + seconds) * S - 1)
    return seconds


def test_rounds_come_ever_more_rarely_while_something_rests():
    """At once, then after 2, 3, 10, 15 and 30 s; two clean ones are soon had."""
    progress, at_s = Progress(), 5
    progress.begin(at_s * S)
    assert progress.due(at_s * S)
    waits = []
    for _ in range(6):
        round_at(progress, state(), at_s, resting=("x",))
        waits.append(due_after(progress, at_s))
        at_s += waits[-1]
    assert waits == [2, 3, 10, 15, 30, 30]
    round_at(progress, state(), at_s)
    assert due_after(progress, at_s) == 2


@pytest.mark.parametrize("spoil", ["order", "residual"])
def test_what_is_not_proven_or_is_known_to_be_left_is_looked_at_rarely(spoil):
    """A clean listing is no hope while an order may still arrive."""
    of = state()
    if spoil == "order":
        intent = good_world().intent
        of.open_orders["x"] = OpenOrder(
            "gk1", "s", intent, "", Decimal(1), reducing=False, unknown=True
        )
    else:
        of.residual = Residual((), {}, "0")
    progress = Progress()
    progress.begin(0)
    for at_s in (0, 2, 5):
        round_at(progress, of, at_s)
    assert due_after(progress, 5) == 10


def test_a_listing_counts_only_if_it_began_after_the_last_order_was_proven():
    """In the very nanosecond does not count: the venue may have answered before."""
    progress, of = Progress(), state()
    progress.begin(0)
    progress.settled(10 * S)
    assert round_at(progress, of, 10) is None
    assert progress.clean_since_ns is None
    round_at(progress, of, 10 + 1e-9)
    assert progress.clean_since_ns == 10 * S + 1
    assert round_at(progress, of, 12 + 1e-9) is halt.FLAT


def test_a_halt_that_never_began_is_due_and_counts_nothing():
    """Before `begin` nothing was settled and no round was swept."""
    fresh = Progress()
    assert (fresh.began_ns, fresh.rounds, fresh.settled_ns) == (0, 0, 0)
    assert fresh.due(0)
    assert not fresh.due(-1)


def test_a_residual_is_told_whole():
    """Orders and positions by name, with the hash that accepts them; none is said as none."""
    left = Leftover(("gk1",), {PERP: "1"})
    assert len(left.sha256) == 16
    residual = Residual(left.orders, {PERP: Decimal(1)}, left.sha256)
    assert halt.describe(state(residual=residual)) == (
        f"orders gk1; positions {PERP} 1; residual hash {left.sha256}"
    )
    empty = Residual((), {}, "0")
    assert halt.describe(state(residual=empty)) == "orders none; positions none; residual hash 0"


def test_a_stage_without_marks_a_length_or_a_result_is_never_passed():
    """Paper, an endless session, and books that cannot be valued."""
    world = good_world()
    world.state.ledger.wins, world.state.ledger.cash_usd = 100, Decimal(100)
    until = NOW.boot_ns + 3_600 * S
    assert halt.earned_stage(world.state, world.running, until) == "smoke"
    assert halt.earned_stage(world.state, replace(world.running, stage="paper"), until) is None
    endless = replace(world.running, caps=replace(world.running.caps, duration_ns=None))
    assert halt.earned_stage(world.state, endless, until) is None
    world.state.ledger.held["UPBIT:KRW-ETH"] = Decimal(1)
    assert halt.earned_stage(world.state, world.running, until) is None
