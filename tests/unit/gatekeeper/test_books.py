"""The gatekeeper's own books: round trips, profit, gaps and balances from its fills alone."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.gatekeeper.conftest import PERP_BTC, UPBIT_BTC, make

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Side, Venue
from interlock_core.money import worst_case_notional_usd
from interlock_core.wire.gate import Outcome, Purpose
from interlock_gatekeeper import budget, recon
from interlock_gatekeeper.machine import Submit
from interlock_gatekeeper.seen import Balances
from interlock_gatekeeper.venues.readings import Resting

KRW_BID, KRW_ASK = Decimal(1399), Decimal(1400)


@pytest.fixture
def desk(paper):
    paper.open()
    return paper


class Trip:
    """One round trip: a is Upbit, b is the perpetual."""

    def __init__(self, bench, name="trip-0001"):
        self.bench, self.name, self.count = bench, name, 0

    def fill(self, leg, side, quantity="0.001", *, price=None, fee="0", currency=None, **changes):
        self.count += 1
        self.bench.later()
        touch = {
            ("a", Side.BUY): Decimal(14_000_000),
            ("a", Side.SELL): Decimal(13_990_000),
            ("b", Side.BUY): Decimal(10_000),
            ("b", Side.SELL): Decimal("9999.9"),
        }[leg, side]
        entry = self.count <= 2
        intent = self.bench.intent(
            f"{self.name}-{self.count}",
            group_id=self.name,
            leg=leg,
            instrument=UPBIT_BTC if leg == "a" else PERP_BTC,
            side=side,
            quantity=Decimal(quantity),
            price=touch,
            quoted_price=touch,
            purpose=Purpose.ENTRY if entry else Purpose.EXIT,
            **changes,
        )
        decision = self.bench.machine.order(intent, self.bench.now)
        assert isinstance(decision, Submit), decision
        result = self.bench.result(decision.order, quantity)
        paid = Decimal(price) if price else touch
        currency = currency or ("KRW" if leg == "a" else "USDT")
        self.bench.settle(replace_result(result, paid, Decimal(fee), currency))


def replace_result(result, price, fee, currency):
    from dataclasses import replace  # noqa: PLC0415 - one helper's need

    return replace(result, average_price=price, fee=fee, fee_currency=currency)


def test_a_round_trip_that_gains_is_a_win(desk):
    """Cash at the rate of each fill: KRW paid at the bid, received at the ask."""
    trip, ledger = Trip(desk), desk.state.ledger
    trip.fill("a", Side.BUY, fee="7")
    trip.fill("b", Side.SELL, fee="0.005")
    assert list(ledger.open_groups) == ["trip-0001"]
    trip.fill("a", Side.SELL, price="14100000", fee="7")
    trip.fill("b", Side.BUY, price="9990", fee="0.005")
    cash = -14_007 / KRW_BID + 14_093 / KRW_ASK * 0 + (14_100 / KRW_ASK - 7 / KRW_BID)
    cash += Decimal("9.9999") - Decimal("0.005") - Decimal("9.990") - Decimal("0.005")
    assert abs(ledger.cash_usd - cash) < Decimal("1e-20")
    assert (ledger.wins, ledger.losses, ledger.losing_streak) == (1, 0, 0)
    assert ledger.open_groups == {}
    assert ledger.held == {}
    assert budget.pnl_usd(desk.state) == ledger.cash_usd


def test_losses_in_a_row_are_counted_and_a_win_ends_them(desk):
    """The streak that ends a live session."""
    ledger = desk.state.ledger
    for number, exit_price in enumerate(["9000", "9000"]):
        trip = Trip(desk, f"trip-{number:04}")
        trip.fill("b", Side.BUY)
        trip.fill("b", Side.SELL, price=exit_price)
        assert ledger.losing_streak == number + 1
    one_leg = Trip(desk, "trip-0003")
    one_leg.fill("b", Side.BUY)
    one_leg.fill("b", Side.SELL, price="11000")
    assert (ledger.wins, ledger.losses, ledger.losing_streak) == (0, 2, 2), "one leg wins nothing"
    both = Trip(desk, "trip-0004")
    both.fill("a", Side.BUY)
    both.fill("b", Side.SELL)
    both.fill("a", Side.SELL, price="15000000")
    both.fill("b", Side.BUY)
    assert (ledger.wins, ledger.losses, ledger.losing_streak) == (1, 2, 0)


def test_what_is_left_of_a_round_trip_counts_in_its_result(desk):
    """A small naked sale is no win: what it owes is taken off."""
    trip, ledger = Trip(desk), desk.state.ledger
    trip.fill("a", Side.SELL, "0.0004", fee="3")
    assert ledger.open_groups == {}
    assert ledger.leftovers == {"BTC": {UPBIT_BTC: Decimal("-0.0004")}}
    assert (ledger.wins, ledger.losses) == (0, 1)


def test_turnover_counts_every_fill_and_never_falls(desk):
    """Both ways, in dollars."""
    trip = Trip(desk)
    trip.fill("b", Side.BUY)
    trip.fill("b", Side.SELL, price="10000")
    assert desk.state.ledger.turnover_usd == 20


def test_an_order_without_a_fill_ends_its_round_trip_unnoticed(desk):
    """Neither won nor lost, and no longer open."""
    decision = desk.machine.order(desk.intent(), desk.now)
    assert list(desk.state.ledger.open_groups) == ["group-0001"]
    desk.settle(desk.result(decision.order, "0", Outcome.UNFILLED))
    ledger = desk.state.ledger
    assert (ledger.open_groups, ledger.wins, ledger.losses) == ({}, 0, 0)


def test_a_gap_is_dated_from_its_beginning(desk):
    """Unhedged since the first fill, until the second."""
    trip, ledger = Trip(desk), desk.state.ledger
    trip.fill("a", Side.BUY)
    group = ledger.groups["trip-0001"]
    since = group.unhedged_since_ns
    assert since == desk.now.boot_ns
    trip.fill("b", Side.SELL)
    assert group.unhedged_since_ns is None


def test_closing_what_an_earlier_session_opened_is_no_round_trip(desk):
    """Only paper goes on with positions; they take no room of the new session's round trips."""
    desk.state.positions[PERP_BTC] = Decimal("0.001")
    trip, ledger = Trip(desk), desk.state.ledger
    trip.fill("b", Side.SELL)
    assert desk.state.positions == {}
    assert ledger.open_groups == ledger.leftovers == {}
    assert (ledger.wins, ledger.losses) == (0, 0)


def test_dust_is_no_gap_and_no_open_round_trip(desk):
    """What no venue would take away is not waited for: 6 USD."""
    trip, ledger = Trip(desk), desk.state.ledger
    trip.fill("b", Side.BUY)
    trip.fill("a", Side.SELL, "0.00041")  # a gap of 5.9 USD
    assert ledger.groups["trip-0001"].unhedged_since_ns is None
    trip.fill("b", Side.SELL)
    trip.fill("a", Side.BUY, "0.0004", currency="KRW")
    assert ledger.open_groups == {}


def test_a_fee_in_the_asset_is_not_held(desk):
    """Binance takes a spot buyer's fee from what was bought."""
    trip = Trip(desk)
    trip.fill("b", Side.BUY, fee="0.000001", currency="BTC")
    assert desk.state.positions[PERP_BTC] == Decimal("0.000999")
    assert desk.state.ledger.cash_usd == -10


def test_a_fee_in_a_third_coin_is_counted_at_the_taker_rate(desk):
    """Its price is not known, and no discount coin costs more."""
    Trip(desk).fill("b", Side.BUY, fee="0.00001", currency="BNB")
    assert desk.state.ledger.cash_usd == Decimal("-10.005")


def test_holdings_are_marked_on_the_bad_side_with_their_fee(desk):
    """A long at the bid, a short at the ask."""
    trip = Trip(desk)
    trip.fill("b", Side.BUY)
    assert budget.pnl_usd(desk.state) == Decimal("9.9999") * Decimal("0.9995") - 10
    del desk.state.references[PERP_BTC]
    assert budget.pnl_usd(desk.state) is None


def test_krw_holdings_need_a_rate(desk):
    """Without KRW per USDT the result is unknown, not zero."""
    Trip(desk).fill("a", Side.BUY)
    assert budget.pnl_usd(desk.state) is not None
    desk.state.krw_per_usdt = None
    assert budget.pnl_usd(desk.state) is None


def test_the_worst_gap_counts_what_may_fill_alone(desk):
    """Both legs on their way: the gap is one leg, not none and not two."""
    first = desk.intent("intent-0001", group_id="group-0001")
    desk.machine.order(first, desk.now)
    other = desk.intent("intent-0002", group_id="group-0001", side=Side.SELL, leg="b")
    assert budget.unhedged_usd(desk.state) == Decimal("10.10")
    assert budget.unhedged_usd(desk.state, other) == Decimal("10.10")
    elsewhere = desk.intent("intent-0003", group_id="group-0002", side=Side.SELL)
    assert budget.unhedged_usd(desk.state, elsewhere) == Decimal("20.20")


@given(
    quantity=st.decimals("0.00000001", "1000", places=8),
    price=st.decimals("0.00000001", "200000000", places=8),
    rate=st.fractions(Fraction(1, 2500), Fraction(101, 100)),
    fee=st.sampled_from([Decimal("0.0005"), Decimal("0.001")]),
)
def test_notional_is_never_below_the_exact_value(quantity, price, rate, fee):
    """V10: rounded up by less than a cent, against an exact oracle."""
    per_quote = Decimal(rate.numerator) / Decimal(rate.denominator)
    counted = worst_case_notional_usd(quantity, price, usd_per_quote=per_quote, fee_rate=fee)
    exact = Fraction(quantity) * Fraction(price) * Fraction(per_quote) * (1 + Fraction(fee))
    assert exact <= Fraction(counted) < exact + Fraction(1, 100)


def balances(total=None, positions=None, at=0):
    return Balances(total or {}, total or {}, positions or {}, at)


BASE = {"KRW": Decimal(10**6), "BTC": Decimal(1)}


def test_books_that_agree_are_silent(desk):
    """Baseline plus own fills is what the venue says."""
    trip = Trip(desk)
    trip.fill("a", Side.BUY, fee="7")
    trip.fill("b", Side.SELL)
    now = {"KRW": Decimal(10**6 - 14_007), "BTC": Decimal("1.001")}
    assert recon.compare(desk.state, Venue.UPBIT, balances(BASE), balances(now), []) == []
    short = balances(positions={PERP_BTC: Decimal("-0.001")})
    assert recon.compare(desk.state, Venue.BINANCE_PERP, balances(), short, []) == []


@pytest.mark.parametrize(
    ("venue", "seen", "what"),
    [
        (Venue.UPBIT, balances({**BASE, "BTC": Decimal("1.00000002")}), "balance BTC"),
        (Venue.UPBIT, balances({**BASE, "BTC": Decimal("0.99999998")}), "balance BTC"),
        (Venue.UPBIT, balances({**BASE, "ETH": Decimal(1)}), "balance ETH"),
        (Venue.UPBIT, balances({**BASE, "KRW": Decimal(10**6 - 1001)}), "balance KRW"),
        (
            Venue.BINANCE_PERP,
            balances(positions={PERP_BTC: Decimal("0.0011")}),
            f"position {PERP_BTC}",
        ),
    ],
)
def test_what_differs_by_more_than_a_lot_is_named(desk, venue, seen, what):
    """One lot is rounding, more is somebody else."""
    (found,) = recon.compare(desk.state, venue, balances(BASE), seen, [])
    assert found.what == what
    assert not found.forced


@pytest.mark.parametrize(
    ("venue", "seen"),
    [
        (Venue.UPBIT, balances({**BASE, "BTC": Decimal("1.00000001")})),
        (Venue.UPBIT, balances({**BASE, "KRW": Decimal(10**6 - 1000)})),
        (Venue.BINANCE_PERP, balances(positions={PERP_BTC: Decimal("0.001")})),
    ],
)
def test_a_lot_or_a_thousand_won_is_rounding(desk, venue, seen):
    """The last difference that says nothing."""
    desk.state.ledger.held[UPBIT_BTC] = Decimal(0)
    assert recon.compare(desk.state, venue, balances(BASE), seen, []) == []


def test_a_thousandth_of_what_was_traded_is_rounding_too(desk):
    """Fees are rounded order by order; on Binance a dollar is always allowed."""
    base = {"USDT": Decimal(1000), "KRW": Decimal(10**6)}
    for venue, quote, traded, slack in [
        (Venue.BINANCE, "USDT", "0", "1"),
        (Venue.BINANCE, "USDT", "500", "1.5"),
        (Venue.UPBIT, "KRW", "2000000", "3000"),
    ]:
        desk.state.ledger.traded[venue] = Decimal(traded)
        for off, count in [(Decimal(slack), 0), (Decimal(slack) + Decimal("0.01"), 1)]:
            for sign in (1, -1):
                seen = balances({**base, quote: base[quote] + sign * off})
                start = balances(base)
                found = recon.compare(desk.state, venue, start, seen, [])
                assert len([m for m in found if m.what == f"balance {quote}"]) == count


def resting(name, **changes):
    values = {
        "client_order_id": name,
        "venue_order_id": "v1",
        "instrument": PERP_BTC,
        "side": Side.BUY,
        "quantity": Decimal(1),
        "filled": Decimal(0),
        **changes,
    }
    return Resting(**values)


def test_foreign_orders_are_named_and_forced_ones_at_once(desk):
    """Ours may rest while it is in doubt; nobody else's may."""
    order = desk.machine.order(desk.intent(), desk.now).order
    ours = resting(order.client_order_id)
    args = (desk.state, Venue.BINANCE_PERP, balances(), balances())
    assert recon.compare(*args, [ours]) == []
    foreign = recon.compare(*args, [resting("web_abc"), resting(None)])
    assert [(m.what, m.forced) for m in foreign] == [
        ("open order web_abc", False),
        ("open order v1", False),
    ]
    (forced,) = recon.compare(*args, [resting("autoclose-1")])
    assert forced.forced
    desk.settle(desk.result(order, "0", Outcome.UNFILLED))
    assert len(recon.compare(*args, [ours])) == 1


def test_a_rate_bucket_refills_with_time():
    """Eight at once, then four a second; reducing orders have their own."""
    bench = make("paper")
    bench.open()
    outcomes = []
    for number in range(10):
        intent = bench.intent(
            f"intent-{number:04}",
            price=Decimal("10000.0") + Decimal("0.1") * number,
        )
        decision = bench.machine.order(intent, bench.now)
        outcomes.append(getattr(decision, "reason", "sent"))
        if isinstance(decision, Submit):
            bench.settle(bench.result(decision.order, "0", Outcome.UNFILLED))
        bench.clock.advance(NS_PER_S // 100)
    assert outcomes[:3] == ["sent", "sent", "SYMBOL_RATE"]


def test_what_was_sent_is_remembered_for_a_minute(desk):
    """So long a balance may lag behind; then it falls off, the oldest first."""
    sent = []
    for number in range(3):
        order = desk.machine.order(desk.intent(f"intent-010{number}"), desk.now).order
        desk.settle(desk.result(order, "0", Outcome.UNFILLED))
        sent.append(order.intent.intent_id)
        assert [s.intent.intent_id for s in desk.state.ledger.sent] == sent[-2:]
        desk.later(30)


def foreign(name="gk-not-ours"):
    return Resting(name, "v1", UPBIT_BTC, Side.BUY, Decimal(1), Decimal(0))


def test_side_by_side_shows_everything_and_names_what_differs(desk):
    """Balances with our fills, and an order that nobody here sent."""
    trip = Trip(desk)
    trip.fill("a", Side.BUY, fee="7")
    trip.fill("b", Side.SELL)
    now = balances({"KRW": Decimal(10**6 - 14_007), "BTC": Decimal("1.101"), "ETH": Decimal(0)})
    rows = recon.side_by_side(desk.state, Venue.UPBIT, balances(BASE), now, [foreign()])
    assert [(row.what, row.verdict) for row in rows] == [
        ("balance BTC", "DIFFERS"),
        ("balance ETH", "ok"),
        ("balance KRW", "ok"),
        ("open order gk-not-ours", "DIFFERS"),
    ]
    assert (rows[0].ours, rows[0].theirs) == ("1.001", "1.101")
    assert (rows[3].ours, rows[3].theirs) == (None, f"buy {UPBIT_BTC}")
    short = balances(positions={PERP_BTC: Decimal("-0.001")})
    (row,) = recon.side_by_side(desk.state, Venue.BINANCE_PERP, balances(), short, [])
    assert (row.what, row.verdict) == (f"position {PERP_BTC}", "ok")


def test_without_a_session_positions_are_the_journals_and_balances_are_only_shown(desk):
    """What was there before nobody counted is not called equal."""
    trip = Trip(desk)
    trip.fill("a", Side.BUY)
    trip.fill("b", Side.SELL)
    (row,) = recon.side_by_side(desk.state, Venue.UPBIT, None, balances({"KRW": Decimal(5)}), [])
    assert (row.what, row.ours, row.theirs, row.verdict) == (
        "balance KRW",
        None,
        "5",
        "not compared",
    )
    for held, verdict in (("-0.001", "ok"), ("0", "DIFFERS")):
        seen = balances(positions={PERP_BTC: Decimal(held)})
        (row,) = recon.side_by_side(desk.state, Venue.BINANCE_PERP, None, seen, [])
        assert (row.ours, row.verdict) == ("-0.001", verdict)


def test_an_order_of_ours_that_is_open_is_no_difference(desk):
    decision = desk.machine.order(desk.intent("intent-0001"), desk.now)
    mine = foreign(decision.order.client_order_id)
    (row,) = recon.side_by_side(desk.state, Venue.UPBIT, None, balances(), [mine])
    assert (row.verdict, row.ours) == ("ok", row.theirs)
    nameless = replace(mine, client_order_id=None)
    (row,) = recon.side_by_side(desk.state, Venue.UPBIT, None, balances(), [nameless])
    assert (row.what, row.verdict) == ("open order v1", "DIFFERS")
