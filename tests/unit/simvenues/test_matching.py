"""The matching core: money is conserved, no fill is worse than its limit, IOC never rests."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock_core.instrument import Side
from interlock_simvenues.account.futures import FuturesAccount
from interlock_simvenues.account.spot import FeePolicy, SpotLedger
from interlock_simvenues.matching.book import Book
from interlock_simvenues.matching.exchange import Exchange, Habits, Interference
from interlock_simvenues.matching.orders import (
    EventKind,
    NewOrder,
    OrderEvent,
    OrderState,
    Reason,
    RefusedError,
    TimeInForce,
)
from interlock_simvenues.matching.rules import MarketRules

D = Decimal
UNIT = 100_000_000
LENIENT = Habits(refuses_post_only=False, refuses_fill_or_kill=False, refuses_duplicates=False)
STRICT = Habits(refuses_post_only=True, refuses_fill_or_kill=True, refuses_duplicates=True)
RULES = MarketRules(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_at=lambda _: D("0.5"),
    lot=D("0.01"),
    min_quantity=D("0.01"),
    max_quantity=D(100),
    max_market_quantity=D(50),
    min_notional=D(5),
    max_notional=D(100_000),
    reduce_only_free_of_minimum=True,
)
ASKS = {101: 1, 102: 2, 104: 3}
BIDS = {100: 1, 99: 2, 97: 3}


def _book() -> Book:
    book = Book(1)
    book.refresh(
        {price * UNIT: size * UNIT for price, size in BIDS.items()},
        {price * UNIT: size * UNIT for price, size in ASKS.items()},
        0,
    )
    return book


def _spot(*, taken_from: str = "received", habits: Habits = LENIENT) -> tuple[Exchange, SpotLedger]:
    rules = {RULES.symbol: RULES}
    policy = FeePolicy(D("0.001"), "quote" if taken_from == "quote" else "received")
    ledger = SpotLedger(rules=rules, fees=policy, balances={"USDT": D(1_000), "BTC": D(10)})
    exchange = Exchange(
        rules=rules,
        books={RULES.symbol: _book()},
        settlement=ledger,
        habits=habits,
        first_id=1,
    )
    return exchange, ledger


def _perp() -> tuple[Exchange, FuturesAccount]:
    book = _book()
    account = FuturesAccount(wallet=D(1_000), fee_rate=D("0.0005"), mark=lambda _: D("100.5"))
    exchange = Exchange(
        rules={RULES.symbol: RULES},
        books={RULES.symbol: book},
        settlement=account,
        habits=STRICT,
        first_id=1,
    )
    return exchange, account


def _order(side: Side, terms: TimeInForce = TimeInForce.IOC, **given_: object) -> NewOrder:
    values: dict[str, object] = {
        "symbol": "BTCUSDT",
        "side": side,
        "kind": "limit",
        "time_in_force": terms,
        "price": D(102),
        "quantity": D(1),
    }
    values.update(given_)
    return NewOrder(**values)  # type: ignore[arg-type]


def _refused(exchange: Exchange, new: NewOrder) -> Reason:
    with pytest.raises(RefusedError) as caught:
        exchange.submit(new, 1)
    return caught.value.reason


orders = st.builds(
    lambda side, terms, ticks, lots: _order(
        side, terms, price=D(ticks) / 2, quantity=D(lots) / 100
    ),
    st.sampled_from(list(Side)),
    st.sampled_from(list(TimeInForce)),
    st.integers(190, 212),
    st.integers(10, 500),
)


@given(st.lists(orders, max_size=12), st.sampled_from(["quote", "received"]))
def test_money_is_conserved(batch: list[NewOrder], taken_from: str) -> None:
    """What the account lost in quote and base is what it paid, bit for bit; locks end at zero."""
    exchange, ledger = _spot(taken_from=taken_from)
    for now, new in enumerate(batch):
        try:
            exchange.submit(new, now)
        except RefusedError:
            continue
    for order in exchange.open_orders():
        exchange.cancel(order, 99)
    quote, base = D(1_000), D(10)
    for order in exchange.orders.values():
        for fill in order.fills:
            sign = 1 if fill.side is Side.BUY else -1
            quote -= sign * fill.price * fill.quantity + (
                fill.fee if fill.fee_asset == "USDT" else 0
            )
            base += sign * fill.quantity - (fill.fee if fill.fee_asset == "BTC" else 0)
    assert ledger.balances["USDT"].free == quote
    assert ledger.balances["BTC"].free == base
    assert all(balance.locked == 0 for balance in ledger.balances.values())
    assert all(balance.free >= 0 for balance in ledger.balances.values())


@given(st.lists(orders, max_size=12))
def test_no_fill_is_worse_than_its_limit(batch: list[NewOrder]) -> None:
    """A buy never pays more, a sell never gets less; nothing fills beyond its quantity."""
    exchange, _ = _spot()
    for now, new in enumerate(batch):
        try:
            order = exchange.submit(new, now)
        except RefusedError:
            continue
        assert order.filled <= (new.quantity or 0)
        for fill in order.fills:
            assert new.price is not None
            better = fill.price <= new.price if new.side is Side.BUY else fill.price >= new.price
            assert better


@given(orders)
def test_ioc_and_fok_never_rest(new: NewOrder) -> None:
    """Both end at once; FOK fills whole or not at all."""
    exchange, _ = _spot()
    try:
        order = exchange.submit(new, 1)
    except RefusedError:
        return
    if new.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        assert not order.is_open
        assert not exchange.open_orders()
    if new.time_in_force is TimeInForce.FOK:
        assert order.filled in (0, new.quantity)
    if new.time_in_force is TimeInForce.POST_ONLY:
        assert order.filled == 0


def test_displayed_size_is_shared_by_following_orders() -> None:
    """The second order gets what the first left."""
    exchange, _ = _spot()
    first = exchange.submit(_order(Side.BUY, price=D(101), quantity=D("0.6")), 1)
    second = exchange.submit(_order(Side.BUY, price=D(101), quantity=D("0.6")), 2)
    assert (first.filled, second.filled) == (D("0.6"), D("0.4"))
    assert second.state is OrderState.EXPIRED


def test_a_resting_order_fills_at_its_own_price_when_the_book_crosses_it() -> None:
    """The maker was there first."""
    exchange, ledger = _spot()
    order = exchange.submit(_order(Side.BUY, TimeInForce.GTC, price=D("100.5")), 1)
    assert order.is_open
    assert ledger.balances["USDT"].locked == D("100.5")
    exchange.books["BTCUSDT"].refresh({99 * UNIT: UNIT}, {100 * UNIT: UNIT // 2}, 2)
    exchange.match_resting("BTCUSDT", 2)
    assert [(f.price, f.quantity, f.maker) for f in order.fills] == [(D("100.5"), D("0.5"), True)]
    exchange.books["BTCUSDT"].refresh({99 * UNIT: UNIT}, {100 * UNIT: 5 * UNIT}, 3)
    exchange.match_resting("BTCUSDT", 3)
    assert order.state is OrderState.FILLED
    assert ledger.balances["USDT"].locked == 0


def test_events_tell_the_story_in_order() -> None:
    """Accepted, traded twice, expired: with the order as it stood."""
    exchange, _ = _spot()
    seen: list[tuple[EventKind, Decimal]] = []

    def note(event: OrderEvent) -> None:
        seen.append((event.kind, event.order.filled))

    exchange.observers.append(note)
    exchange.submit(_order(Side.BUY, price=D(102), quantity=D(5)), 1)
    assert seen == [
        (EventKind.ACCEPTED, D(0)),
        (EventKind.TRADED, D(1)),
        (EventKind.TRADED, D(3)),
        (EventKind.EXPIRED, D(3)),
    ]


def test_a_budget_buys_what_it_can() -> None:
    """A market buy by cost spends no more than its cost and its fee."""
    exchange, ledger = _spot(taken_from="quote")
    new = _order(Side.BUY, price=None, quantity=None, budget=D(150))
    order = exchange.submit(new, 1)
    assert order.filled == D("1.48")
    assert ledger.balances["USDT"].free == D(1_000) - order.funds - order.fee


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"symbol": "NOPE"}, Reason.UNKNOWN_MARKET),
        ({"price": D("101.3")}, Reason.PRICE_STEP),
        ({"price": D(-1)}, Reason.PRICE_STEP),
        ({"quantity": D("0.015")}, Reason.QUANTITY_STEP),
        ({"quantity": D(0)}, Reason.QUANTITY_LOW),
        ({"quantity": D(101)}, Reason.QUANTITY_HIGH),
        ({"quantity": D("0.02")}, Reason.NOTIONAL_LOW),
        ({"quantity": D(99), "price": D(2_000)}, Reason.NOTIONAL_HIGH),
        ({"quantity": D(20)}, Reason.FUNDS),
    ],
)
def test_each_broken_rule_is_named(change: dict[str, object], reason: Reason) -> None:
    """Every refusal says which rule, and nothing is left behind."""
    exchange, ledger = _spot()
    assert _refused(exchange, _order(Side.BUY, **change)) is reason
    assert ledger.balances["USDT"].free == D(1_000)
    assert not exchange.orders


def test_strict_venues_refuse_what_lenient_ones_end() -> None:
    """Post-only that would take, fill-or-kill that cannot fill, a client id still open."""
    exchange, _ = _spot(habits=STRICT)
    assert _refused(exchange, _order(Side.BUY, TimeInForce.POST_ONLY)) is Reason.WOULD_TAKE
    assert (
        _refused(exchange, _order(Side.BUY, TimeInForce.FOK, quantity=D(4))) is Reason.FILL_OR_KILL
    )
    resting = _order(Side.BUY, TimeInForce.GTC, price=D(90), client_id="a")
    order = exchange.submit(resting, 1)
    assert _refused(exchange, resting) is Reason.DUPLICATE
    exchange.cancel(order, 2)
    assert exchange.submit(resting, 3).is_open


def test_a_position_opens_turns_and_closes() -> None:
    """Profit is realized on what closes; the fee is charged in USDT."""
    exchange, account = _perp()
    exchange.submit(_order(Side.BUY, quantity=D(1)), 1)
    position = account.position("BTCUSDT", "BOTH")
    assert (position.amount, position.entry) == (D(1), D(101))
    exchange.submit(_order(Side.SELL, price=D(99), quantity=D(2)), 2)
    assert (position.amount, position.entry) == (D(-1), D(99))
    fees = (D(101) + D(100) + D(99)) * D("0.0005")
    assert account.wallet == D(1_000) - 1 - fees
    assert account.open_order_margin == 0


def test_reduce_only_closes_and_never_opens() -> None:
    """It needs a position of the other side and fills no more than that."""
    exchange, account = _perp()
    closing = _order(Side.SELL, price=D(97), quantity=D(2), reduce_only=True)
    assert _refused(exchange, closing) is Reason.REDUCE_ONLY
    exchange.submit(_order(Side.BUY, quantity=D(1)), 1)
    order = exchange.submit(closing, 2)
    assert order.filled == D(1)
    assert account.position("BTCUSDT", "BOTH").amount == 0


def test_margin_bounds_what_can_be_opened() -> None:
    """Twenty-fold leverage of the wallet, fee included, and no more."""
    exchange, account = _perp()
    account.config("BTCUSDT").leverage = 1
    assert _refused(exchange, _order(Side.BUY, quantity=D(10))) is Reason.FUNDS
    account.config("BTCUSDT").leverage = 20
    exchange.submit(_order(Side.BUY, TimeInForce.GTC, quantity=D(10)), 1)
    assert account.available() < D(1_000)


def test_the_position_side_must_match_the_mode() -> None:
    """LONG and SHORT belong to hedge mode, BOTH to one-way mode."""
    exchange, account = _perp()
    assert _refused(exchange, _order(Side.BUY, position_side="LONG")) is Reason.POSITION_SIDE
    account.hedged = True
    exchange.submit(_order(Side.BUY, position_side="LONG"), 1)
    exchange.submit(_order(Side.SELL, price=D(99), position_side="SHORT"), 2)
    sides = {side: p.amount for (_, side), p in account.positions.items()}
    assert (sides["LONG"], sides["SHORT"]) == (D(1), D(-1))


@given(orders, st.decimals(0, 1, places=3))
def test_an_interfered_order_gets_its_share_in_whole_lots(new: NewOrder, share: Decimal) -> None:
    """At most the share, less than a lot below it, at the prices it would have had."""
    usual, _ = _spot()
    short, ledger = _spot()
    short.interfere = lambda _new, *, would_fill, now_ns: Interference(share=share)  # noqa: ARG005
    try:
        whole = usual.submit(new, 1)
    except RefusedError:
        return
    part = short.submit(new, 1)
    assert part.filled <= whole.filled * share
    assert part.filled > whole.filled * share - RULES.lot
    assert part.filled % RULES.lot == 0
    assert [fill.price for fill in part.fills] == [f.price for f in whole.fills][: len(part.fills)]
    if not part.is_open:
        assert all(balance.locked == 0 for balance in ledger.balances.values())


def test_a_prevented_order_ends_unfilled_and_says_so() -> None:
    """Accepted, then prevented: no fill, no lock, no rest."""
    exchange, ledger = _spot()
    events: list[EventKind] = []
    exchange.observers.append(lambda event: events.append(event.kind))
    exchange.interfere = lambda _new, *, would_fill, now_ns: Interference(  # noqa: ARG005
        share=D(0), prevented=True
    )
    order = exchange.submit(_order(Side.BUY, TimeInForce.GTC), 1)
    assert order.state is OrderState.PREVENTED
    assert events == [EventKind.ACCEPTED, EventKind.PREVENTED]
    assert (ledger.balances["USDT"].free, ledger.balances["USDT"].locked) == (D(1_000), D(0))
    assert exchange.open_orders() == []


def test_interference_is_asked_only_about_orders_that_the_rules_allow() -> None:
    """A refused order is refused for its own reason; the others say whether they would fill."""
    exchange, _ = _spot()
    asked: list[bool] = []

    def interfere(_new: NewOrder, *, would_fill: bool, now_ns: int) -> None:
        assert now_ns == 1
        asked.append(would_fill)

    exchange.interfere = interfere
    assert _refused(exchange, _order(Side.BUY, price=D("100.3"))) is Reason.PRICE_STEP
    exchange.submit(_order(Side.BUY), 1)
    exchange.submit(_order(Side.BUY, TimeInForce.GTC, price=D(99)), 1)
    assert asked == [True, False]
