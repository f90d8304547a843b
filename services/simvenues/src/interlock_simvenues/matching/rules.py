"""Tick, lot and notional rules of one market, checked in exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from interlock_core.money import is_multiple
from interlock_simvenues.matching.orders import ZERO, NewOrder, Reason, RefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRules:
    """What the venue asks of every order of one market; notionals are in quote currency."""

    symbol: str
    base: str
    quote: str
    tick_at: Callable[[Decimal], Decimal]
    lot: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    max_market_quantity: Decimal
    min_notional: Decimal
    max_notional: Decimal | None
    price_down: Decimal | None = None
    price_up: Decimal | None = None
    reduce_only_free_of_minimum: bool = False

    def check(self, new: NewOrder, reference: Decimal | None) -> None:
        """Raise RefusedError where the order breaks a rule; reference is the market's price now."""
        if new.price is not None:
            self._check_price(new.price, reference)
        if new.quantity is not None:
            self._check_quantity(new)
        notional = self._notional(new, reference)
        if notional is None:
            return
        exempt = new.reduce_only and self.reduce_only_free_of_minimum
        if notional < self.min_notional and not exempt:
            raise RefusedError(Reason.NOTIONAL_LOW, f"{self.min_notional}")
        if self.max_notional is not None and notional > self.max_notional:
            raise RefusedError(Reason.NOTIONAL_HIGH, f"{self.max_notional}")

    def _check_price(self, price: Decimal, reference: Decimal | None) -> None:
        if price <= ZERO or not is_multiple(price, self.tick_at(price)):
            raise RefusedError(Reason.PRICE_STEP, f"tick {self.tick_at(max(price, ZERO))}")
        if reference is None:
            return
        if self.price_up is not None and price > reference * self.price_up:
            raise RefusedError(Reason.PRICE_RANGE_HIGH, f"{reference * self.price_up}")
        if self.price_down is not None and price < reference * self.price_down:
            raise RefusedError(Reason.PRICE_RANGE_LOW, f"{reference * self.price_down}")

    def _check_quantity(self, new: NewOrder) -> None:
        quantity = new.quantity or ZERO
        highest = self.max_quantity if new.price is not None else self.max_market_quantity
        if quantity <= ZERO or quantity < self.min_quantity:
            raise RefusedError(Reason.QUANTITY_LOW, f"minimum {self.min_quantity}")
        if quantity > highest:
            raise RefusedError(Reason.QUANTITY_HIGH, f"maximum {highest}")
        if not is_multiple(quantity, self.lot):
            raise RefusedError(Reason.QUANTITY_STEP, f"step {self.lot}")

    def _notional(self, new: NewOrder, reference: Decimal | None) -> Decimal | None:
        if new.budget is not None:
            return new.budget
        price = new.price if new.price is not None else reference
        return None if price is None or new.quantity is None else price * new.quantity
