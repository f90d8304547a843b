"""Every check at its boundary: the last value that passes and the first that does not."""

from dataclasses import replace
from decimal import Decimal

import pytest

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Side, Venue
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import Purpose
from interlock_gatekeeper import budget, checks, facts, limits, policy, selftest
from interlock_gatekeeper.policy import Approved, Denied
from interlock_gatekeeper.seen import Balances, Reference
from interlock_gatekeeper.selftest import NOW, PERP, SPOT, good_world
from interlock_gatekeeper.state import Boot, Bucket, Expired, Group, Hold, Killed, Live, shape_of

S, MS = NS_PER_S, NS_PER_S // 1000
T = NOW.boot_ns


def judge(world, now=NOW):
    return policy.evaluate(world.intent, world.state, now)


def reason(world, now=NOW):
    verdict = judge(world, now)
    return verdict.reason if isinstance(verdict, Denied) else None


def spot_order(world, side=Side.BUY, quantity="0.001"):
    """Make the order one on Upbit, priced at the touch."""
    price = Decimal(14_000_000) if side is Side.BUY else Decimal(13_990_000)
    world.order(
        instrument=SPOT, side=side, price=price, quoted_price=price, quantity=Decimal(quantity)
    )


def reducing(world, **changes):
    """Give the session a short of two lots, which the buy of one lot reduces."""
    world.state.positions[PERP] = Decimal("-0.002")
    world.order(purpose=Purpose.EXIT, **changes)


def test_a_good_order_passes_every_check():
    """The vector lists all checks in their order."""
    verdict = judge(good_world())
    assert isinstance(verdict, Approved)
    assert list(verdict.vector) == [code for code, _ in checks.CHECKS]


def test_checks_run_in_the_order_of_their_codes():
    """The order of the checks is the order of the enum: documentation and code agree."""
    order = list(DenyReason)
    places = [order.index(code) for code, _ in checks.CHECKS]
    assert places == sorted(places)


@pytest.mark.parametrize("number", range(len(selftest.VECTORS)))
def test_each_must_deny_vector_is_denied_for_its_reason(number):
    """The running gatekeeper asks the same once a minute."""
    expected, spoil = selftest.VECTORS[number]
    world = good_world()
    spoil(world)
    assert reason(world) is expected


def test_the_self_test_names_what_it_misses(monkeypatch):
    """A check that is taken out is found, and so is one that refuses everything."""
    assert selftest.run() == ()
    without = tuple(pair for pair in checks.CHECKS if pair[0] is not DenyReason.LEASE)
    monkeypatch.setattr(checks, "CHECKS", without)
    assert [miss.split(": ")[1] for miss in selftest.run()] == ["expected LEASE, was approved"]
    monkeypatch.setattr(checks, "CHECKS", ((DenyReason.SYMBOL, lambda _case: "no"),))
    assert selftest.run()[0] == "the good order was refused: SYMBOL"


def test_at_least_forty_vectors_over_every_check():
    """Each code that a check can give is in the self-test."""
    assert len(selftest.VECTORS) >= 40
    assert {code for code, _ in selftest.VECTORS} == {code for code, _ in checks.CHECKS}


def own(world, **changes):
    for name, value in changes.items():
        setattr(world.state.seen.self, name, value)


def perp(world, **changes):
    for name, value in changes.items():
        setattr(world.perp, name, value)


def ref(world, age_ns, key=PERP):
    best = world.state.references[key]
    world.state.references[key] = replace(best, at_ns=T - age_ns)


def fx(world, bid, ask, age_ns=0):
    world.state.krw_per_usdt = Reference(Decimal(bid), Decimal(ask), T - age_ns)


def ledger(world, **changes):
    for name, value in changes.items():
        setattr(world.state.ledger, name, value)


def open_order(world, usd="10", group="other-group"):
    selftest._open(world, usd=usd)
    order = world.state.open_orders["other-intent"]
    intent = replace(order.intent, group_id=group)
    world.state.open_orders["other-intent"] = replace(order, intent=intent)


def bucket(world, name, tokens):
    world.state.ledger.buckets[name] = Bucket(Decimal(tokens), T)


def opens(world, *ages_ns):
    world.state.ledger.opens_ns[PERP] = [T - age_ns for age_ns in ages_ns]


def funds(world, usdt, age_ns=0):
    world.perp.balances = Balances({"USDT": Decimal(usdt)}, {}, {}, T - age_ns)


def result(world, usd, peak="0"):
    ledger(world, cash_usd=Decimal(usd))
    world.state.seen.pnl_peak_usd = Decimal(peak)


def big(world):
    """Let unhedged room not be what stops."""
    world.caps(unhedged_usd=Decimal(10_000))


def shape(world, age_ns):
    world.state.ledger.shapes_ns[shape_of(world.intent)] = T - age_ns


def group(world, **changes):
    ended = changes.pop("ended", False)
    made = Group(**{"asset": "BTC", "opened_ns": T} | changes)
    world.state.ledger.groups["selftest-group"] = made
    if not ended:
        world.state.ledger.open_groups["selftest-group"] = made


def nothing(_world):
    """Leave the world as good as it is."""


def _future(world):
    for key in (PERP, SPOT):
        ref(world, -1, key)


# (code, what still passes, what does not): one unit apart.
EDGES = {
    "hold": (DenyReason.HOLD, nothing, lambda w: setattr(w.state, "hold", Hold("X", 0))),
    "epoch": (DenyReason.STALE_EPOCH, lambda w: w.order(epoch=7), lambda w: w.order(epoch=6)),
    "lease": (
        DenyReason.LEASE,
        lambda w: w.session(lease_until_ns=T + 1),
        lambda w: w.session(lease_until_ns=T),
    ),
    "deadline": (
        DenyReason.DEADLINE,
        lambda w: w.session(hard_deadline_ns=T + 2 * S + 1),
        lambda w: w.session(hard_deadline_ns=T + 2 * S),
    ),
    "old intent": (
        DenyReason.STALE_INTENT,
        lambda w: w.order(created_boot_ns=T - 500 * MS),
        lambda w: w.order(created_boot_ns=T - 500 * MS - 1),
    ),
    "future intent": (
        DenyReason.STALE_INTENT,
        lambda w: w.order(created_boot_ns=T),
        lambda w: w.order(created_boot_ns=T + 1),
    ),
    "shape": (DenyReason.DUP_SHAPE, lambda w: shape(w, 2 * S), lambda w: shape(w, 2 * S - 1)),
    "tif": (
        DenyReason.TYPE_TIF,
        lambda w: w.order(time_in_force="fok"),
        lambda w: w.order(time_in_force="FOK"),
    ),
    "lot": (
        DenyReason.VENUE_FILTER,
        lambda w: w.order(price=Decimal("9999.9")),
        lambda w: w.order(price=Decimal("9999.99")),
    ),
    "filters": (
        DenyReason.VENUE_FILTER,
        lambda w: perp(w, filters_ns=T - 3600 * S),
        lambda w: perp(w, filters_ns=T - 3600 * S - 1),
    ),
    "no filters": (DenyReason.VENUE_FILTER, nothing, lambda w: perp(w, filters_ns=None)),
    "private": (
        DenyReason.VENUE_DOWN,
        lambda w: perp(w, private_ok_ns=T - 10 * S),
        lambda w: perp(w, private_ok_ns=T - 10 * S - 1),
    ),
    "never private": (DenyReason.VENUE_DOWN, nothing, lambda w: perp(w, private_ok_ns=None)),
    "back-off": (
        DenyReason.VENUE_DOWN,
        lambda w: perp(w, back_off_until_ns=T),
        lambda w: perp(w, back_off_until_ns=T + 1),
    ),
    "reference": (DenyReason.REF_STALE, lambda w: ref(w, 2 * S), lambda w: ref(w, 2 * S + 1)),
    "other reference": (
        DenyReason.REF_STALE,
        lambda w: ref(w, 2 * S, SPOT),
        lambda w: ref(w, 2 * S + 1, SPOT),
    ),
    "future reference": (DenyReason.REF_STALE, lambda w: ref(w, 0), _future),
    "quote above": (
        DenyReason.REF_DIVERGE,
        lambda w: w.order(quoted_price=Decimal(10_100)),
        lambda w: w.order(quoted_price=Decimal("10100.000000001")),
    ),
    "quote below": (
        DenyReason.REF_DIVERGE,
        lambda w: w.order(quoted_price=Decimal(9_900)),
        lambda w: w.order(quoted_price=Decimal("9899.999999999")),
    ),
    "collar": (
        DenyReason.PRICE_COLLAR,
        lambda w: w.order(price=Decimal("10050.0")),
        lambda w: w.order(price=Decimal("10050.1")),
    ),
    "fx low": (
        DenyReason.FX_BAD,
        lambda w: _fx_at(w, "900", "900"),
        lambda w: _fx_at(w, "899.99", "900"),
    ),
    "fx high": (
        DenyReason.FX_BAD,
        lambda w: _fx_at(w, "2500", "2500"),
        lambda w: _fx_at(w, "2500", "2500.01"),
    ),
    "fx crossed": (
        DenyReason.FX_BAD,
        lambda w: fx(w, "1400", "1400"),
        lambda w: fx(w, "1401", "1400"),
    ),
    "fx age": (
        DenyReason.FX_BAD,
        lambda w: fx(w, "1399", "1400", 60 * S),
        lambda w: fx(w, "1399", "1400", 60 * S + 1),
    ),
    "fx from the future": (
        DenyReason.FX_BAD,
        lambda w: fx(w, "1399", "1400", 0),
        lambda w: fx(w, "1399", "1400", -1),
    ),
    "fx drift": (
        DenyReason.FX_BAD,
        lambda w: fx(w, "1442", "1443"),
        lambda w: fx(w, "1442.01", "1443"),
    ),
    "no fx": (DenyReason.FX_BAD, nothing, lambda w: setattr(w.state, "krw_per_usdt", None)),
    "no median": (
        DenyReason.FX_BAD,
        nothing,
        lambda w: setattr(w.state.seen, "fx_median", None),
    ),
    "edge": (
        DenyReason.EDGE_IMPLAUSIBLE,
        lambda w: w.order(edge_bps=Decimal(300)),
        lambda w: w.order(edge_bps=Decimal("300.000000000001")),
    ),
    "no edge": (
        DenyReason.EDGE_IMPLAUSIBLE,
        lambda w: w.order(edge_bps=Decimal("0.000000000001")),
        lambda w: w.order(edge_bps=Decimal(0)),
    ),
    # 0.001 x 10,000 x 1.01 x 1.0005 = 10.10505, up to a cent: 10.11 USD.
    "order cap": (
        DenyReason.ORDER_MAX,
        lambda w: w.caps(order_usd=Decimal("10.11")),
        lambda w: w.caps(order_usd=Decimal("10.10")),
    ),
    "gross": (
        DenyReason.GROSS_MAX,
        lambda w: (big(w), open_order(w, "39.89")),
        lambda w: (big(w), open_order(w, "39.90")),
    ),
    # Two of 0.001 x 10,000 x 1.01 = 10.10 USD: the fee is no part of a gap.
    "unhedged": (
        DenyReason.UNHEDGED_MAX,
        lambda w: (w.caps(unhedged_usd=Decimal("20.20")), open_order(w)),
        lambda w: (w.caps(unhedged_usd=Decimal("20.19")), open_order(w)),
    ),
    "groups": (
        DenyReason.GROUP_MAX,
        lambda w: selftest._groups(w, "group-1"),
        lambda w: selftest._groups(w, "group-1", "group-2"),
    ),
    "leg": (
        DenyReason.LEG,
        lambda w: group(w, entered={"b"}),
        lambda w: group(w, entered={"a"}),
    ),
    "ended group": (DenyReason.LEG, group, lambda w: group(w, ended=True)),
    "other asset": (DenyReason.LEG, group, lambda w: group(w, asset="ETH")),
    "repair": (
        DenyReason.LEG,
        lambda w: (w.order(purpose=Purpose.REPAIR), group(w, held={SPOT: Decimal("-0.001")})),
        lambda w: (w.order(purpose=Purpose.REPAIR), group(w, held={SPOT: Decimal("-0.00099")})),
    ),
    "open orders": (
        DenyReason.OPEN_ORDERS,
        lambda w: (big(w), open_order(w), w.caps(open_orders=2)),
        lambda w: (big(w), open_order(w), w.caps(open_orders=1)),
    ),
    "turnover": (
        DenyReason.TURNOVER,
        lambda w: (big(w), open_order(w), ledger(w, turnover_usd=Decimal("479.89"))),
        lambda w: (big(w), open_order(w), ledger(w, turnover_usd=Decimal("479.90"))),
    ),
    "orders": (
        DenyReason.ORDER_COUNT,
        lambda w: ledger(w, orders=99),
        lambda w: ledger(w, orders=100),
    ),
    "venue rate": (
        DenyReason.RATE,
        lambda w: bucket(w, "BINANCE_PERP", "1"),
        lambda w: bucket(w, "BINANCE_PERP", "0.999"),
    ),
    "symbol rate": (
        DenyReason.SYMBOL_RATE,
        lambda w: bucket(w, PERP, "1"),
        lambda w: bucket(w, PERP, "0.999"),
    ),
    "repeat": (
        DenyReason.REPEAT,
        lambda w: opens(w, 1, 2, 3, 4, 5, 300 * S),
        lambda w: opens(w, 1, 2, 3, 4, 5, 300 * S - 1),
    ),
    "loss": (
        DenyReason.LOSS,
        lambda w: (result(w, "-4.99"), w.caps(drawdown_usd=Decimal(9))),
        lambda w: (result(w, "-5"), w.caps(drawdown_usd=Decimal(9))),
    ),
    "drawdown": (
        DenyReason.DRAWDOWN,
        lambda w: result(w, "1", peak="4.99"),
        lambda w: result(w, "1", peak="5"),
    ),
    "balance": (
        DenyReason.BALANCE,
        lambda w: funds(w, "10.005"),
        lambda w: funds(w, "10.004"),
    ),
    "balance age": (
        DenyReason.BALANCE,
        lambda w: funds(w, "100", 30 * S),
        lambda w: funds(w, "100", 30 * S + 1),
    ),
    "balance with orders on their way": (
        DenyReason.BALANCE,
        lambda w: (big(w), open_order(w), funds(w, "20.01")),
        lambda w: (big(w), open_order(w), funds(w, "20.00")),
    ),
    "disk": (
        DenyReason.AUDIT,
        lambda w: own(w, free_bytes=64 * 1024 * 1024),
        lambda w: own(w, free_bytes=64 * 1024 * 1024 - 1),
    ),
    "unknown disk": (DenyReason.AUDIT, nothing, lambda w: own(w, free_bytes=None)),
    "anchor": (
        DenyReason.AUDIT,
        lambda w: own(w, anchor_ns=T - 300 * S),
        lambda w: own(w, anchor_ns=T - 300 * S - 1),
    ),
    "no anchor": (DenyReason.AUDIT, nothing, lambda w: own(w, anchor_ns=None)),
}


def _fx_at(world, bid, ask):
    fx(world, bid, ask)
    world.state.seen.fx_median = Decimal(bid)


@pytest.mark.parametrize("name", EDGES)
def test_the_last_value_passes_and_the_next_does_not(name):
    """Each limit at its last unit and one unit beyond."""
    code, good, bad = EDGES[name]
    world = good_world()
    good(world)
    assert reason(world) is None
    world = good_world()
    bad(world)
    assert reason(world) is code


# What a reducing order may do beyond a new one, each with its own limit.
REDUCING = {
    "old intent": (
        DenyReason.STALE_INTENT,
        lambda w: w.order(created_boot_ns=T - 2 * S),
        lambda w: w.order(created_boot_ns=T - 2 * S - 1),
    ),
    "reference": (DenyReason.REF_STALE, lambda w: ref(w, 10 * S), lambda w: ref(w, 10 * S + 1)),
    "quote": (
        DenyReason.REF_DIVERGE,
        lambda w: w.order(quoted_price=Decimal(10_300)),
        lambda w: w.order(quoted_price=Decimal("10300.1")),
    ),
    "collar": (
        DenyReason.PRICE_COLLAR,
        lambda w: w.order(price=Decimal("10300.0")),
        lambda w: w.order(price=Decimal("10300.1")),
    ),
    "own bucket": (
        DenyReason.RATE,
        lambda w: (bucket(w, "BINANCE_PERP", "0"), bucket(w, "BINANCE_PERP/reducing", "1")),
        lambda w: bucket(w, "BINANCE_PERP/reducing", "0.999"),
    ),
    "epoch": (DenyReason.STALE_EPOCH, nothing, lambda w: w.order(epoch=6)),
    "lease": (DenyReason.LEASE, nothing, lambda w: w.session(lease_until_ns=T)),
    "shape": (DenyReason.DUP_SHAPE, nothing, lambda w: shape(w, 1)),
    "filters": (DenyReason.VENUE_FILTER, nothing, lambda w: w.order(price=Decimal("9.99"))),
    "venue": (DenyReason.VENUE_DOWN, nothing, lambda w: perp(w, back_off_until_ns=T + 1)),
    "other asset": (DenyReason.LEG, group, lambda w: group(w, asset="ETH")),
    "disk": (DenyReason.AUDIT, nothing, lambda w: own(w, free_bytes=1)),
}


@pytest.mark.parametrize("name", REDUCING)
def test_what_binds_a_reducing_order(name):
    """Wider bounds, never none."""
    code, good, bad = REDUCING[name]
    world = good_world()
    reducing(world)
    good(world)
    assert reason(world) is None
    world = good_world()
    reducing(world)
    bad(world)
    assert reason(world) is code


@pytest.mark.parametrize(
    "spoil",
    [
        lambda w: setattr(w.state, "hold", Hold("X", 0)),
        lambda w: ref(w, 3600 * S, SPOT),
        lambda w: setattr(w.state, "krw_per_usdt", None),
        lambda w: w.order(edge_bps=Decimal(0), purpose=Purpose.ENTRY),
        lambda w: w.caps(order_usd=Decimal(1)),
        lambda w: w.caps(gross_usd=Decimal(1)),
        lambda w: w.caps(unhedged_usd=Decimal(1)),
        lambda w: selftest._groups(w, "group-1", "group-2"),
        lambda w: group(w, entered={"a"}, ended=True),
        lambda w: w.caps(open_orders=0),
        lambda w: ledger(w, turnover_usd=Decimal(10**6)),
        lambda w: ledger(w, orders=10**6),
        lambda w: bucket(w, PERP, "0"),
        lambda w: opens(w, 1, 2, 3, 4, 5, 6),
        lambda w: result(w, "-100"),
        lambda w: funds(w, "0"),
        selftest._doubt,
        lambda w: own(w, anchor_ns=None),
    ],
)
def test_what_does_not_stop_a_reducing_order(spoil):
    """Getting out is always easier than getting in."""
    world = good_world()
    reducing(world)
    spoil(world)
    assert reason(world) is None


def test_claiming_to_exit_does_not_make_an_order_reducing():
    """The engine's word is not evidence; nor is a position that the order would flip."""
    world = good_world()
    world.order(purpose=Purpose.EXIT, price=Decimal("10100.0"))
    assert reason(world) is DenyReason.PRICE_COLLAR
    world.state.positions[PERP] = Decimal("-0.0009")
    assert reason(world) is DenyReason.PRICE_COLLAR
    world.state.positions[PERP] = Decimal("-0.001")
    assert reason(world) is None
    world.state.positions[PERP] = Decimal("0.001")
    assert reason(world) is DenyReason.PRICE_COLLAR


@pytest.mark.parametrize(
    ("purpose", "held", "passes"),
    [
        (Purpose.REPAIR, {SPOT: "-0.001"}, True),  # closes the gap
        (Purpose.REPAIR, {SPOT: "0.001"}, False),  # widens it
        (Purpose.REPAIR, {}, False),  # opens one
        (Purpose.UNWIND, {SPOT: "-0.0005"}, False),  # goes beyond it
        (Purpose.EXIT, {PERP: "-0.001", SPOT: "0.001"}, True),  # closes its own leg
        (Purpose.EXIT, {PERP: "0.001", SPOT: "-0.001"}, False),  # enlarges it
    ],
)
def test_what_is_no_entry_only_closes(purpose, held, passes):
    """Naming an order a repair does not open anything."""
    world = good_world()
    world.order(purpose=purpose)
    big(world)
    group(world, held={key: Decimal(value) for key, value in held.items()})
    assert reason(world) is (None if passes else DenyReason.LEG)


def test_leftovers_count_as_unhedged():
    """Many small gaps are one large gap; of one asset they cancel out, of two they add up."""
    world = good_world()
    piece = Decimal("0.0001")
    for left, sum_usd in (
        ({"BTC": {PERP: 2 * piece}}, "12.12"),
        ({"BTC": {PERP: piece}, "ETH": {PERP: -piece}}, "12.12"),
        ({"BTC": {PERP: piece, SPOT: -piece}}, "10.10"),
    ):
        world.state.ledger.leftovers = left
        world.caps(unhedged_usd=Decimal(sum_usd))
        assert reason(world) is None
        world.caps(unhedged_usd=Decimal(sum_usd) - Decimal("0.01"))
        assert reason(world) is DenyReason.UNHEDGED_MAX


def test_an_order_of_an_ended_round_trip_widens_what_is_left():
    """It counts beside the leftovers of its asset, not beside its own alone."""
    world = good_world()
    ledger = world.state.ledger
    ledger.groups[world.intent.group_id] = Group("BTC", T, ended=True)
    ledger.leftovers = {"BTC": {PERP: Decimal("0.0001")}}
    assert budget.unhedged_usd(world.state) == Decimal("1.01")
    assert budget.unhedged_usd(world.state, world.intent) == Decimal("11.11")
    ledger.leftovers = {}
    assert budget.unhedged_usd(world.state, world.intent) == Decimal("10.10")


def test_pending_reductions_count():
    """Two orders cannot reduce the same holding."""
    world = good_world()
    open_order(world)
    reducing(world, price=Decimal("10100.0"))
    assert reason(world) is None
    world.state.positions[PERP] = Decimal("-0.0019")
    assert reason(world) is DenyReason.PRICE_COLLAR


@pytest.mark.parametrize("part", ["fx_bid", "fx_ask", "fx_age_ns"])
def test_half_a_rate_is_no_rate(part):
    """Each part of KRW per USDT has to be known."""
    world = good_world()
    known = judge(world).facts
    denied = policy.decide(world.intent, world.state, replace(known, **{part: None}))
    assert (denied.reason, denied.detail) == (DenyReason.FX_BAD, "KRW per USDT is unknown")


def test_a_sell_at_its_collar_passes():
    """The bound itself is inside."""
    world = good_world()
    world.reference("10000", "10001")
    world.order(side=Side.SELL, price=Decimal("9950.0"), quoted_price=Decimal(10_000))
    assert reason(world) is None
    world.order(price=Decimal("9949.9"))
    assert reason(world) is DenyReason.PRICE_COLLAR


def test_a_sell_has_its_own_collar_and_quote():
    """Below the bid by 50 bps, no further."""
    world = good_world()
    world.order(side=Side.SELL, price=Decimal("9949.1"), quoted_price=Decimal(9_999))
    assert reason(world) is None
    world.order(price=Decimal("9949.0"))
    assert reason(world) is DenyReason.PRICE_COLLAR


def test_a_spot_sale_needs_the_asset_and_the_allocation():
    """Never more than was set aside for this session, and what it bought, less what is pending."""
    world = good_world()
    spot_order(world, Side.SELL)
    world.order(purpose=Purpose.ENTRY)
    assert reason(world) is DenyReason.BALANCE
    balances = Balances({"BTC": Decimal("0.001")}, {}, {}, T)
    world.state.seen.venues[Venue.UPBIT].balances = balances
    world.session(allocation={SPOT: Decimal("0.0009")})
    assert reason(world) is DenyReason.BALANCE
    world.session(allocation={SPOT: Decimal("0.001")})
    assert reason(world) is None
    world.session(allocation={})
    world.state.ledger.held[SPOT] = Decimal("0.001")
    assert reason(world) is None
    selftest._open(world)
    order = world.state.open_orders["other-intent"]
    intent = replace(order.intent, instrument=SPOT, side=Side.SELL)
    world.state.open_orders["other-intent"] = replace(order, intent=intent)
    big(world)
    assert reason(world) is DenyReason.BALANCE


def test_a_spot_purchase_needs_its_money_and_fee():
    """14,000 KRW and 0.05 %: 14,007 KRW."""
    world = good_world()
    spot_order(world)
    upbit = world.state.seen.venues[Venue.UPBIT]
    upbit.balances = Balances({"KRW": Decimal(14_007)}, {}, {}, T)
    assert reason(world) is None
    upbit.balances = Balances({"KRW": Decimal("14006.99")}, {}, {}, T)
    assert reason(world) is DenyReason.BALANCE


def test_hedging_a_leg_is_not_more_unhedged():
    """The second leg of a round trip lowers the gap, whatever the cap."""
    world = good_world()
    group(world, held={SPOT: Decimal("-0.001")}, entered={"b"})
    world.caps(unhedged_usd=Decimal("10.11"))
    assert reason(world) is None
    world.state.ledger.groups["selftest-group"].held[SPOT] = Decimal("0.001")
    assert reason(world) is DenyReason.UNHEDGED_MAX


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        (Boot(), DenyReason.NOT_LIVE),
        (Expired(), DenyReason.NOT_LIVE),
        (Killed("X", 0), DenyReason.KILLED),
    ],
)
def test_no_other_state_passes(phase, code):
    """Only a session trades, not even to reduce."""
    world = good_world()
    reducing(world)
    world.state.phase = phase
    assert reason(world) is code


def test_a_check_that_breaks_is_a_denial():
    """Any exception is INTERNAL: in the facts, and in a check."""
    world = good_world()
    world.state.references[PERP] = None
    world.state.instruments[PERP] = object()
    verdict = judge(world)
    assert (verdict.reason, verdict.facts) == (DenyReason.INTERNAL, None)
    world = good_world()
    world.caps(order_usd=None)
    verdict = judge(world)
    assert verdict.reason is DenyReason.INTERNAL
    assert "ORDER_MAX" in verdict.detail
    assert verdict.vector[-1] == "EDGE_IMPLAUSIBLE"


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (nothing, None),
        (lambda w: setattr(w.state, "phase", Killed("X", 0)), DenyReason.KILLED),
        (lambda w: setattr(w.state, "phase", Expired()), DenyReason.NOT_LIVE),
        (lambda w: setattr(w.state, "hold", Hold("X", 0)), DenyReason.HOLD),
        (lambda w: w.order(epoch=6), DenyReason.STALE_EPOCH),
        (lambda w: w.session(lease_until_ns=T), DenyReason.LEASE),
        (lambda w: w.session(hard_deadline_ns=T + 2 * S), DenyReason.DEADLINE),
        (lambda w: setattr(w.state, "journal_failed", True), DenyReason.AUDIT),
    ],
)
def test_the_last_recheck_before_the_write(spoil, code):
    """State, latch, hold, epoch, lease, deadline and journal are asked again in that tick."""
    world = good_world()
    spoil(world)
    denied = policy.recheck(world.intent, world.state, NOW, reducing=False)
    assert (denied.reason if denied else None) is code


def test_a_hold_does_not_stop_a_reducing_write():
    """What was approved as reducing may still leave."""
    world = good_world()
    world.state.hold = Hold("X", 0)
    assert policy.recheck(world.intent, world.state, NOW, reducing=True) is None


def test_a_decision_can_be_made_again_from_its_record():
    """Facts survive the journal, and give the same verdict without anything that was seen."""
    world = good_world()
    first = judge(world)
    again = facts.facts_from(facts.facts_record(first.facts))
    assert again == first.facts
    world.state.references.clear()
    world.state.seen.venues.clear()
    assert policy.decide(world.intent, world.state, again) == first


def test_paper_needs_no_anchor():
    """Simulated money is not evidence."""
    world = good_world()
    own(world, anchor_ns=None)
    world.state.environment = "paper"
    assert reason(world) is None


def test_unlimited_caps_do_not_bind():
    """Turnover, counts and repetition have no limit in paper."""
    world = good_world()
    world.caps(turnover_usd=None, orders=None, opens_per_symbol=None)
    world.session(hard_deadline_ns=None)
    ledger(world, turnover_usd=Decimal(10**9), orders=10**9)
    opens(world, *range(100))
    assert reason(world) is None
    assert isinstance(world.state.phase, Live)
    assert limits.PAPER.turnover_usd is limits.PAPER.orders is limits.PAPER.opens_per_symbol is None
