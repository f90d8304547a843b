"""What the machine writes down and says, number by number."""

from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import PERP_BTC

from interlock_core.clock import NS_PER_S
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import Outcome
from interlock_gatekeeper.records import Kind


def sent(bench, name="intent-0001"):
    return bench.order(bench.intent(name)).order


def last(bench, kind):
    return [record for record in bench.take() if record.kind is kind][-1].data


@pytest.mark.parametrize(("known", "fx"), [(True, ("1399", "1400")), (False, None)])
def test_a_result_carries_the_rate_it_was_booked_at(paper, known, fx):
    """A replay converts as the running gatekeeper did; without a rate it says so."""
    paper.open()
    order = sent(paper)
    if not known:
        paper.state.krw_per_usdt = None
    paper.settle(paper.result(order, "0.001"))
    found = last(paper, Kind.RESULT)["fx"]
    assert (None if found is None else tuple(found)) == fx


def test_what_is_settled_or_in_doubt_is_not_put_in_doubt_again(paper):
    """One record for one doubt, none after the end."""
    paper.open()
    order = sent(paper)
    paper.unknown(order)
    paper.take()
    paper.unknown(order)
    paper.settle(paper.result(order, "0", Outcome.UNFILLED))
    paper.take()
    paper.unknown(order)
    assert paper.take() == []


def residual(bench):
    bench.open()
    bench.settle(bench.result(sent(bench), "0.001"))
    bench.kill()
    bench.flatten_out()
    return bench.state.residual.sha256


def test_a_flattening_order_holds_its_worst_value_and_passed_no_checks(paper):
    """It is reserved like any other; the operator's word stands for the checks."""
    (order,) = paper.machine.flatten(residual(paper), paper.now)
    assert order.notional_usd > Decimal(10)
    data = last(paper, Kind.SENT)
    assert (data["passed"], data["facts"], data["own"]) == (0, None, True)


def test_an_own_order_that_may_not_leave_says_why(paper):
    """NOT_LIVE with the flattener's reason."""
    (order,) = paper.machine.flatten(residual(paper), paper.now)
    paper.state.journal_failed = True
    aborted = paper.recheck(order)
    assert (aborted.code, aborted.detail) == (DenyReason.NOT_LIVE, "the journal failed")


@pytest.mark.parametrize(
    ("left_ns", "said"), [(30 * NS_PER_S, "wait 30 s"), (1, "wait 0 s"), (0, None)]
)
def test_a_latch_is_looked_into_for_a_minute(paper, left_ns, said):
    """From the kill, to the nanosecond, whatever the clock showed then."""
    paper.advance(1_000)
    sha256 = residual(paper)
    paper.clock.advance(paper.state.phase.since_ns + 60 * NS_PER_S - left_ns - paper.now.boot_ns)
    refusal = paper.reset(residual=sha256)
    assert (None if refusal is None else refusal.detail.partition(":")[0]) == said


def test_a_reset_releases_what_the_residual_lists_and_nothing_else(paper):
    """The operator has taken it over."""
    sha256 = residual(paper)
    paper.advance(60)
    paper.take()
    assert paper.reset(residual=sha256) is None
    assert last(paper, Kind.RESET)["released"] == {PERP_BTC: "0.001"}


def test_a_refused_request_passed_nothing(paper):
    """Its record says so."""
    paper.machine.refuse_request(DenyReason.AUTH, "wrong peer", paper.now)
    assert last(paper, Kind.DENY)["passed"] == 0
