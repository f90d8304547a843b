"""One venue's order handling: accept or refuse, fill against the displayed book, rest, cancel."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Protocol

from interlock_core.instrument import Side
from interlock_simvenues.matching.book import Book, Level, shortened, take_plan
from interlock_simvenues.matching.orders import (
    ZERO,
    EventKind,
    Fill,
    NewOrder,
    Order,
    OrderEvent,
    OrderState,
    Reason,
    RefusedError,
    TimeInForce,
)
from interlock_simvenues.matching.rules import MarketRules
from interlock_simvenues.units import DIGITS, EXACT_PRECISION, to_decimal, to_units

Observer = Callable[[OrderEvent], None]
_ENDINGS = {
    OrderState.CANCELED: EventKind.CANCELED,
    OrderState.EXPIRED: EventKind.EXPIRED,
    OrderState.PREVENTED: EventKind.PREVENTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interference:
    """What befalls an accepted order: the share of its fill that it gets, and whether it ends."""

    share: Decimal
    prevented: bool = False


class Interfere(Protocol):
    """Asked about every order that the rules allow."""

    def __call__(self, new: NewOrder, *, would_fill: bool, now_ns: int) -> Interference | None:
        """Return what befalls the order, None for nothing, or raise RefusedError."""
        ...


@dataclass(frozen=True, slots=True)
class Charge:
    """What one execution cost besides price x quantity."""

    fee: Decimal
    fee_asset: str
    realized: Decimal = ZERO


class Settlement(Protocol):
    """Where an exchange's money is: a spot ledger or a futures account."""

    def fillable(self, new: NewOrder) -> Decimal | None:
        """Return the most that may fill (reduce only), None for no limit, or raise RefusedError."""
        ...

    def reserve(self, order: Order, cost: Decimal) -> None:
        """Lock what the order may spend; cost is in quote currency. Raise RefusedError(FUNDS)."""
        ...

    def settle(self, order: Order, price: Decimal, quantity: Decimal) -> Charge:
        """Book one execution; order.filled does not include it yet."""
        ...

    def release(self, order: Order) -> None:
        """Unlock what an order that ended still holds."""
        ...


@dataclass(frozen=True, slots=True)
class Habits:
    """Where the venues differ in what they do with an order that cannot rest or fill."""

    refuses_post_only: bool
    refuses_fill_or_kill: bool
    refuses_duplicates: bool
    max_orders_kept: int = 20_000


class Exchange:
    """Orders of one account on one venue. Time is an argument of every call."""

    def __init__(
        self,
        *,
        rules: Mapping[str, MarketRules],
        books: Mapping[str, Book],
        settlement: Settlement,
        habits: Habits,
        first_id: int,
    ) -> None:
        self.rules = rules
        self.books = books
        self.settlement = settlement
        self.observers: list[Observer] = []
        self.interfere: Interfere | None = None
        self.orders: OrderedDict[int, Order] = OrderedDict()
        self._by_client: dict[tuple[str, str], Order] = {}
        self._open: dict[str, dict[int, Order]] = {}
        self._habits = habits
        self._next_order = first_id
        self._next_trade = first_id

    def submit(self, new: NewOrder, now_ns: int) -> Order:
        """Accept an order and fill what the book offers, or raise RefusedError."""
        with localcontext() as context:
            context.prec = EXACT_PRECISION
            plan, cost = self._vet(new)
            befallen = (
                None
                if self.interfere is None
                else self.interfere(new, would_fill=bool(plan), now_ns=now_ns)
            )
            if befallen is not None:
                lot = to_units(self.rules[new.symbol].lot)
                plan = shortened(plan, befallen.share, lot)
            order = Order(self._next_order, new, now_ns, now_ns)
            self.settlement.reserve(order, cost)
            self._next_order += 1
            self._keep(order)
            self._emit(EventKind.ACCEPTED, order, now_ns)
            for price, size in plan:
                self._fill(order, price, size, now_ns, maker=False)
            if befallen is not None and befallen.prevented:
                self._end(order, OrderState.PREVENTED, now_ns)
            self._rest_or_end(order, now_ns)
        return order

    def check(self, new: NewOrder) -> None:
        """Raise RefusedError where submit would, without accepting anything."""
        with localcontext() as context:
            context.prec = EXACT_PRECISION
            _, cost = self._vet(new)
            trial = Order(0, new, 0, 0)
            self.settlement.reserve(trial, cost)
            self.settlement.release(trial)

    def cancel(self, order: Order, now_ns: int) -> None:
        """Cancel an open order and unlock its money; a terminal order stays as it is."""
        if order.is_open:
            self._end(order, OrderState.CANCELED, now_ns)

    def match_resting(self, symbol: str, now_ns: int) -> None:
        """Fill the resting orders that the book of a symbol crosses, oldest first."""
        resting = self._open.get(symbol)
        if not resting:
            return
        with localcontext() as context:
            context.prec = EXACT_PRECISION
            for order in list(resting.values()):
                self._match_one(order, now_ns)

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return the open orders of one symbol or of all, oldest first."""
        if symbol is not None:
            return list(self._open.get(symbol, {}).values())
        found = [order for orders in self._open.values() for order in orders.values()]
        return sorted(found, key=lambda order: order.order_id)

    def by_client_id(self, symbol: str, client_id: str) -> Order | None:
        """Return the newest order of a client id."""
        return self._by_client.get((symbol, client_id))

    def touch(self, symbol: str) -> Decimal | None:
        """Return the middle of the displayed book."""
        book = self.books[symbol]
        bid, ask = book.bids.best(), book.asks.best()
        if bid is None or ask is None:
            return None
        return to_decimal(bid[0] + ask[0]) / 2

    def _vet(self, new: NewOrder) -> tuple[list[Level], Decimal]:
        rules = self.rules.get(new.symbol)
        if rules is None:
            raise RefusedError(Reason.UNKNOWN_MARKET, new.symbol)
        rules.check(new, self.touch(new.symbol))
        if self._habits.refuses_duplicates and new.client_id:
            known = self.by_client_id(new.symbol, new.client_id)
            if known is not None and known.is_open:
                raise RefusedError(Reason.DUPLICATE, new.client_id)
        cap = self.settlement.fillable(new)
        plan = self._plan(new, cap)
        self._vet_terms(new, plan)
        return plan, self._cost(new, plan)

    def _vet_terms(self, new: NewOrder, plan: list[Level]) -> None:
        terms = new.time_in_force
        if terms is TimeInForce.POST_ONLY and plan and self._habits.refuses_post_only:
            raise RefusedError(Reason.WOULD_TAKE)
        killed = terms is TimeInForce.FOK and not self._is_full(new, plan)
        if killed and self._habits.refuses_fill_or_kill:
            raise RefusedError(Reason.FILL_OR_KILL)
        if killed or terms is TimeInForce.POST_ONLY:
            plan.clear()
        if new.price is None and not plan and terms is not TimeInForce.FOK:
            raise RefusedError(Reason.THIN_BOOK)

    def _plan(self, new: NewOrder, cap: Decimal | None) -> list[Level]:
        quantity = new.quantity
        if quantity is not None and cap is not None:
            quantity = min(quantity, cap)
        return take_plan(
            self.books[new.symbol],
            new.side,
            limit=None if new.price is None else to_units(new.price),
            quantity=None if quantity is None else to_units(quantity),
            budget=None if new.budget is None else int(new.budget.scaleb(2 * DIGITS)),
            lot=to_units(self.rules[new.symbol].lot),
        )

    def _is_full(self, new: NewOrder, plan: list[Level]) -> bool:
        if new.quantity is not None:
            return sum(size for _, size in plan) >= to_units(new.quantity)
        depth = sum(size * price for price, size in self.books[new.symbol].against(new.side))
        return new.budget is not None and depth >= int(new.budget.scaleb(2 * DIGITS))

    def _cost(self, new: NewOrder, plan: list[Level]) -> Decimal:
        if new.budget is not None and new.price is None:
            return new.budget
        if new.price is not None and new.quantity is not None:
            return new.price * new.quantity
        return sum((to_decimal(price) * to_decimal(size) for price, size in plan), ZERO)

    def _match_one(self, order: Order, now_ns: int) -> None:
        limit = order.new.price
        if limit is None or not self._crosses(order):
            return
        try:
            cap = self.settlement.fillable(order.new)
        except RefusedError:
            # Reduce only, and there is nothing left to reduce.
            self._end(order, OrderState.EXPIRED, now_ns)
            return
        plan = take_plan(
            self.books[order.new.symbol],
            order.new.side,
            limit=to_units(limit),
            quantity=to_units(order.remaining if cap is None else min(cap, order.remaining)),
            budget=None,
            lot=to_units(self.rules[order.new.symbol].lot),
        )
        for price, size in plan:
            self._fill(order, price, size, now_ns, maker=True)

    def _fill(self, order: Order, price: int, size: int, now_ns: int, *, maker: bool) -> None:
        self.books[order.new.symbol].take(order.new.side, price, size, now_ns)
        # A resting order was there first: it trades at its own price.
        resting_price = order.new.price if maker else None
        paid = resting_price if resting_price is not None else to_decimal(price)
        quantity = to_decimal(size)
        charge = self.settlement.settle(order, paid, quantity)
        fill = Fill(
            trade_id=self._next_trade,
            order_id=order.order_id,
            symbol=order.new.symbol,
            side=order.new.side,
            price=paid,
            quantity=quantity,
            fee=charge.fee,
            fee_asset=charge.fee_asset,
            maker=maker,
            realized=charge.realized,
            time_ns=now_ns,
        )
        self._next_trade += 1
        order.fills.append(fill)
        order.filled += quantity
        order.funds += fill.funds
        order.fee += charge.fee
        order.updated_ns = now_ns
        if order.new.quantity is not None and order.remaining <= ZERO:
            order.state = OrderState.FILLED
            self._open.get(order.new.symbol, {}).pop(order.order_id, None)
            self.settlement.release(order)
        self._emit(EventKind.TRADED, order, now_ns, fill)

    def _rest_or_end(self, order: Order, now_ns: int) -> None:
        if not order.is_open:
            return
        terms, crossing = order.new.time_in_force, order.new.price is None
        if (
            terms in (TimeInForce.IOC, TimeInForce.FOK)
            or crossing
            or (terms is TimeInForce.POST_ONLY and self._crosses(order))
        ):
            self._end(order, OrderState.EXPIRED, now_ns)

    def _crosses(self, order: Order) -> bool:
        best = self.books[order.new.symbol].against(order.new.side).best()
        if best is None or order.new.price is None:
            return False
        limit = to_units(order.new.price)
        return best[0] <= limit if order.new.side is Side.BUY else best[0] >= limit

    def _end(self, order: Order, state: OrderState, now_ns: int) -> None:
        self._open.get(order.new.symbol, {}).pop(order.order_id, None)
        if order.is_open:
            order.state = state
            order.updated_ns = now_ns
            with localcontext() as context:
                context.prec = EXACT_PRECISION
                self.settlement.release(order)
            self._emit(_ENDINGS[state], order, now_ns)

    def _keep(self, order: Order) -> None:
        symbol = order.new.symbol
        self.orders[order.order_id] = order
        self._open.setdefault(symbol, {})[order.order_id] = order
        if order.new.client_id:
            self._by_client[symbol, order.new.client_id] = order
        while len(self.orders) > self._habits.max_orders_kept:
            oldest = next(iter(self.orders.values()))
            if oldest.is_open:
                break
            self.orders.popitem(last=False)
            key = (oldest.new.symbol, oldest.new.client_id)
            if self._by_client.get(key) is oldest:
                del self._by_client[key]

    def _emit(self, kind: EventKind, order: Order, now_ns: int, fill: Fill | None = None) -> None:
        event = OrderEvent(kind, order, fill, now_ns)
        for observer in self.observers:
            observer(event)
