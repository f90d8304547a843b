"""A spot ledger: free and locked amounts a currency, exact; fees as the venue takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from interlock_core.instrument import Side
from interlock_simvenues.matching.exchange import Charge
from interlock_simvenues.matching.orders import ZERO, NewOrder, Order, Reason, RefusedError
from interlock_simvenues.matching.rules import MarketRules

FEE_STEP = Decimal("0.00000001")


@dataclass(slots=True)
class Balance:
    """One currency: free and locked never go below zero."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """`quote`: in quote currency on both sides, paid on top of a buy (Upbit).

    `received`: taken from what the order receives, to 8 digits (Binance spot).
    """

    rate: Decimal
    taken_from: Literal["quote", "received"]


class SpotLedger:
    """Settles orders of one account on a spot venue."""

    def __init__(
        self, *, rules: Mapping[str, MarketRules], fees: FeePolicy, balances: Mapping[str, Decimal]
    ) -> None:
        self.balances = {asset: Balance(free) for asset, free in balances.items()}
        self.fees = fees
        self.on_change: Callable[[tuple[str, str]], None] | None = None
        self._rules = rules

    def frozen(self) -> SpotLedger:
        """Return a copy that later changes do not reach."""
        kept = copy(self)
        kept.balances = {asset: replace(held) for asset, held in self.balances.items()}
        return kept

    def balance(self, asset: str) -> Balance:
        """Return a currency's balance, made empty where there was none."""
        return self.balances.setdefault(asset, Balance())

    def fillable(self, new: NewOrder) -> Decimal | None:
        """Return None: a spot order has no position to reduce."""
        _ = new
        return None

    def reserve(self, order: Order, cost: Decimal) -> None:
        """Move what the order may spend from free to locked, or raise RefusedError(FUNDS)."""
        rules = self._rules[order.new.symbol]
        if order.new.side is Side.BUY:
            asset, amount = rules.quote, self._with_fee(cost)
        else:
            asset, amount = rules.base, order.new.quantity or ZERO
        balance = self.balance(asset)
        if amount > balance.free:
            raise RefusedError(Reason.FUNDS, asset)
        balance.free -= amount
        balance.locked += amount
        order.locked = amount

    def settle(self, order: Order, price: Decimal, quantity: Decimal) -> Charge:
        """Book one execution; the lock of a buy shrinks by its limit price, not by the fill's."""
        rules = self._rules[order.new.symbol]
        base, quote = self.balance(rules.base), self.balance(rules.quote)
        funds = price * quantity
        if order.new.side is Side.BUY:
            charge, spent, received = self._buy_amounts(rules, funds, quantity)
            unlocked = self._unlocked(order, funds, quantity)
            order.locked -= unlocked
            quote.locked -= unlocked
            quote.free += unlocked - spent
            base.free += received
            return charge
        fee = funds * self.fees.rate
        if self.fees.taken_from == "received":
            fee = fee.quantize(FEE_STEP, ROUND_HALF_EVEN)
        order.locked -= quantity
        base.locked -= quantity
        quote.free += funds - fee
        return Charge(fee, rules.quote)

    def release(self, order: Order) -> None:
        """Move what an ended order still holds back to free."""
        rules = self._rules[order.new.symbol]
        balance = self.balance(rules.quote if order.new.side is Side.BUY else rules.base)
        balance.locked -= order.locked
        balance.free += order.locked
        order.locked = ZERO

    def _with_fee(self, cost: Decimal) -> Decimal:
        return cost * (1 + self.fees.rate) if self.fees.taken_from == "quote" else cost

    def _buy_amounts(
        self, rules: MarketRules, funds: Decimal, quantity: Decimal
    ) -> tuple[Charge, Decimal, Decimal]:
        if self.fees.taken_from == "quote":
            fee = funds * self.fees.rate
            return Charge(fee, rules.quote), funds + fee, quantity
        fee = (quantity * self.fees.rate).quantize(FEE_STEP, ROUND_HALF_EVEN)
        return Charge(fee, rules.base), funds, quantity - fee

    def _unlocked(self, order: Order, funds: Decimal, quantity: Decimal) -> Decimal:
        at_limit = order.new.price
        cost = funds if at_limit is None else at_limit * quantity
        return self._with_fee(cost)
