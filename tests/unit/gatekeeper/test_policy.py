"""Every check, at its boundary: the last value that passes and the first that does not."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import FX, PERP_BTC, UPBIT_BTC

from interlock_core.instrument import Side
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import Purpose
from interlock_gatekeeper import policy
from interlock_gatekeeper.policy import Approved, Denied
from interlock_gatekeeper.state import Boot, Killed, Paper, Reference

MS = 1_000_000


@pytest.fixture
def bench(paper):
    paper.open()
    return paper


def judge(bench, **changes):
    return policy.evaluate(bench.intent(**changes), bench.state, bench.now)


def reason(bench, **changes):
    verdict = judge(bench, **changes)
    return verdict.reason if isinstance(verdict, Denied) else None


def test_a_good_order_passes_every_check(bench):
    """The vector lists all checks in their order."""
    verdict = judge(bench)
    assert isinstance(verdict, Approved)
    assert list(verdict.vector) == [code for code, _ in policy.CHECKS]


def test_checks_run_in_the_order_of_their_codes():
    """The order of the checks is the order of the enum: documentation and code agree."""
    order = list(DenyReason)
    places = [order.index(code) for code, _ in policy.CHECKS]
    assert places == sorted(places)


def session_with(bench, **changes):
    bench.state.phase = Paper(replace(bench.state.session, **changes))


def test_the_lease_ends_exactly_at_its_instant(bench):
    """One nanosecond before is the last."""
    session_with(bench, lease_until_ns=bench.now.boot_ns + 1)
    assert reason(bench) is None
    session_with(bench, lease_until_ns=bench.now.boot_ns)
    assert reason(bench) is DenyReason.LEASE


def test_two_seconds_before_the_hard_deadline_it_is_over(bench):
    """An order must have time to end before the session does."""
    session_with(bench, hard_deadline_ns=bench.now.boot_ns + 2000 * MS + 1)
    assert reason(bench) is None
    session_with(bench, hard_deadline_ns=bench.now.boot_ns + 2000 * MS)
    assert reason(bench) is DenyReason.DEADLINE


@pytest.mark.parametrize(
    ("age_ms", "expected"),
    [
        (0, None),
        (500, None),
        (500.000001, DenyReason.STALE_INTENT),
        (-0.000001, DenyReason.STALE_INTENT),
    ],
)
def test_an_intent_lives_half_a_second(bench, age_ms, expected):
    """Older is stale; from the future is wrong."""
    created = bench.now.boot_ns - round(age_ms * MS)
    assert reason(bench, created_boot_ns=created) is expected


@pytest.mark.parametrize("change", [{"type": "market"}, {"time_in_force": "gtc"}, {"type": ""}])
def test_only_limit_ioc(bench, change):
    """Nothing can rest, nothing goes at any price."""
    assert reason(bench, **change) is DenyReason.TYPE_TIF


@pytest.mark.parametrize("key", ["UPBIT:KRW-ETH", FX])
def test_only_the_sessions_instruments(bench, key):
    """Unknown and unlisted instruments are refused."""
    assert reason(bench, instrument=key) is DenyReason.SYMBOL


def test_an_instrument_without_filters_is_refused(bench):
    """What the gatekeeper has no rules for it does not send."""
    del bench.state.instruments[PERP_BTC]
    assert reason(bench) is DenyReason.SYMBOL


@pytest.mark.parametrize(
    "change", [{"quantity": Decimal("0.0015")}, {"price": Decimal("10000.05")}]
)
def test_venue_filters(bench, change):
    """Off-lot and off-tick orders never leave."""
    assert reason(bench, **change) is DenyReason.VENUE_FILTER


@pytest.mark.parametrize(
    ("age_ms", "expected"), [(2000, None), (2000.000001, DenyReason.REF_STALE)]
)
def test_the_reference_must_be_fresh(bench, age_ms, expected):
    """Two seconds, then nothing is known."""
    bid, ask = Decimal("9999.9"), Decimal("10000.0")
    at = bench.now.boot_ns - round(age_ms * MS)
    bench.state.references[PERP_BTC] = Reference(bid, ask, at)
    assert reason(bench) is expected


def test_no_reference_no_order(bench):
    """A missing price denies."""
    del bench.state.references[PERP_BTC]
    assert reason(bench) is DenyReason.REF_STALE


@pytest.mark.parametrize(
    ("side", "price", "expected"),
    [
        (Side.BUY, "10050.0", None),
        (Side.BUY, "10050.1", DenyReason.PRICE_COLLAR),
        (Side.SELL, "9950.0", None),
        (Side.SELL, "9949.9", DenyReason.PRICE_COLLAR),
    ],
)
def test_the_collar_is_fifty_bps_from_our_own_touch(bench, side, price, expected):
    """The last price inside and the first outside."""
    assert reason(bench, side=side, price=Decimal(price)) is expected


@pytest.mark.parametrize(
    ("bid", "ask", "age_s", "expected"),
    [
        ("900", "901", 60, None),
        ("899.99", "901", 0, DenyReason.FX_BAD),
        ("2499", "2500", 0, None),
        ("2499", "2500.01", 0, DenyReason.FX_BAD),
        ("1400", "1399", 0, DenyReason.FX_BAD),
        ("1399", "1400", 60.000000001, DenyReason.FX_BAD),
    ],
)
def test_fx_must_be_plausible_and_fresh(bench, bid, ask, age_s, expected):
    """Outside the band, crossed, or older than a minute is refused."""
    at = bench.now.boot_ns - round(age_s * 1e9)
    bench.state.krw_per_usdt = Reference(Decimal(bid), Decimal(ask), at)
    assert reason(bench) is expected


def test_no_fx_no_order(bench):
    """There is no default rate."""
    bench.state.krw_per_usdt = None
    assert reason(bench) is DenyReason.FX_BAD
    upbit = {"instrument": UPBIT_BTC, "price": Decimal(14_000_000)}
    assert reason(bench, **upbit) is DenyReason.FX_BAD


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        ("0", DenyReason.EDGE_IMPLAUSIBLE),
        ("0.1", None),
        ("300", None),
        ("300.1", DenyReason.EDGE_IMPLAUSIBLE),
    ],
)
def test_too_good_is_an_error_too(bench, edge, expected):
    """An entry claims an edge in (0, 300] bps."""
    assert reason(bench, edge_bps=Decimal(edge)) is expected


def test_only_entries_claim_an_edge(bench):
    """A repair needs none."""
    assert reason(bench, purpose=Purpose.REPAIR, edge_bps=Decimal(0)) is None


def test_the_order_cap_is_worst_case(bench):
    """10.11 USD: a cap of 10.10 is too small."""
    session_with(bench, order_cap_usd=Decimal("10.11"))
    assert reason(bench) is None
    session_with(bench, order_cap_usd=Decimal("10.10"))
    assert reason(bench) is DenyReason.ORDER_MAX


def test_the_gross_cap_is_worst_case(bench):
    """The last cent decides."""
    session_with(bench, gross_cap_usd=Decimal("10.11"))
    assert reason(bench) is None
    session_with(bench, gross_cap_usd=Decimal("10.10"))
    assert reason(bench) is DenyReason.GROSS_MAX


def test_a_position_that_cannot_be_valued_denies(bench):
    """Unknown exposure is not zero exposure."""
    bench.state.positions["UPBIT:KRW-XYZ"] = Decimal(1)
    assert reason(bench) is DenyReason.GROSS_MAX


def test_a_reducing_order_has_wider_bounds_and_cannot_flip(bench):
    """With a long of 0.001, selling 0.001 reduces; selling 0.002 is new risk."""
    bench.state.positions[PERP_BTC] = Decimal("0.001")
    far = {"side": Side.SELL, "price": Decimal("9800.0"), "purpose": Purpose.EXIT}
    assert reason(bench, **far) is None
    assert reason(bench, quantity=Decimal("0.002"), **far) is DenyReason.PRICE_COLLAR
    assert reason(bench, **{**far, "price": Decimal("9699.0")}) is DenyReason.PRICE_COLLAR
    late = bench.now.boot_ns - 2000 * MS
    assert reason(bench, created_boot_ns=late, **far) is None


def test_claiming_to_exit_does_not_make_an_order_reducing(bench):
    """The engine's word is not evidence."""
    far = {"side": Side.SELL, "price": Decimal("9800.0"), "purpose": Purpose.EXIT}
    assert reason(bench, **far) is DenyReason.PRICE_COLLAR


def test_a_failed_journal_denies_everything(bench):
    """What cannot be recorded is not sent."""
    bench.state.journal_failed = True
    assert reason(bench) is DenyReason.AUDIT
    assert policy.recheck(bench.intent(), bench.state, bench.now).reason is DenyReason.AUDIT


@pytest.mark.parametrize("phase", [Boot(), Killed("X", 0), Paper(None)])
def test_no_other_state_passes(bench, phase):
    """Only a session trades."""
    intent = bench.intent()
    bench.state.phase = phase
    verdict = policy.evaluate(intent, bench.state, bench.now)
    assert verdict.reason in (DenyReason.NOT_LIVE, DenyReason.KILLED)


def test_a_check_that_breaks_denies_and_kills(bench):
    """Any exception in a check is INTERNAL: denied, and the latch is set."""
    bench.state.references[PERP_BTC] = None
    intent = bench.intent()
    bench.state.instruments[PERP_BTC] = object()
    verdict = bench.machine.order(intent, bench.now)
    assert verdict.reason is DenyReason.INTERNAL
    assert bench.state.phase_name == "KILLED"
