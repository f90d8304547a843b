"""A USD-M account: one USDT wallet, positions in one-way or hedge mode, cross margin."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

from interlock_core.instrument import Side
from interlock_simvenues.account.spot import FEE_STEP
from interlock_simvenues.matching.exchange import Charge
from interlock_simvenues.matching.orders import ZERO, NewOrder, Order, Reason, RefusedError

DEFAULT_LEVERAGE = 20
MAINTENANCE_RATE = Decimal("0.004")


@dataclass(slots=True)
class Position:
    """One position: amount is signed, entry is the average price, realized is after no fees."""

    symbol: str
    side: str
    amount: Decimal = ZERO
    entry: Decimal = ZERO
    realized: Decimal = ZERO
    updated_ns: int = 0


@dataclass(slots=True)
class SymbolConfig:
    """What the client set for a symbol."""

    leverage: int = DEFAULT_LEVERAGE
    isolated: bool = False


class FuturesAccount:
    """Settles orders of one USD-M account; marks come from the callable it is given."""

    def __init__(
        self, *, wallet: Decimal, fee_rate: Decimal, mark: Callable[[str], Decimal | None]
    ) -> None:
        self.wallet = wallet
        self.fee_rate = fee_rate
        self.hedged = False
        self.positions: dict[tuple[str, str], Position] = {}
        self.configs: dict[str, SymbolConfig] = {}
        self._mark = mark
        self._open_margin = ZERO

    def frozen(self) -> FuturesAccount:
        """Return a copy of wallet and positions that later changes do not reach."""
        kept = copy(self)
        kept.positions = {key: replace(held) for key, held in self.positions.items()}
        return kept

    def config(self, symbol: str) -> SymbolConfig:
        """Return a symbol's settings, made with the defaults where there were none."""
        return self.configs.setdefault(symbol, SymbolConfig())

    def position(self, symbol: str, side: str) -> Position:
        """Return a position, made flat where there was none."""
        return self.positions.setdefault((symbol, side), Position(symbol, side))

    def mark(self, symbol: str) -> Decimal:
        """Return the mark price, or zero where the market has none."""
        return self._mark(symbol) or ZERO

    def unrealized(self, position: Position) -> Decimal:
        """Return the profit of closing a position at its mark."""
        if position.amount == ZERO:
            return ZERO
        return (self.mark(position.symbol) - position.entry) * position.amount

    def initial_margin(self, position: Position) -> Decimal:
        """Return the margin that a position holds."""
        if position.amount == ZERO:
            return ZERO
        notional = abs(position.amount) * self.mark(position.symbol)
        return notional / self.config(position.symbol).leverage

    def total_unrealized(self) -> Decimal:
        """Return the unrealized profit of all positions."""
        return sum((self.unrealized(p) for p in self.positions.values()), ZERO)

    def position_margin(self) -> Decimal:
        """Return the margin of all positions."""
        return sum((self.initial_margin(p) for p in self.positions.values()), ZERO)

    @property
    def open_order_margin(self) -> Decimal:
        """Return the margin that open orders hold."""
        return self._open_margin

    def available(self) -> Decimal:
        """Return what new orders may use as margin."""
        return self.wallet + self.total_unrealized() - self.position_margin() - self._open_margin

    def fillable(self, new: NewOrder) -> Decimal | None:
        """Return how much a reduce-only order may close, or raise where that is nothing."""
        if self.hedged == (new.position_side == "BOTH"):
            raise RefusedError(Reason.POSITION_SIDE)
        closing = self._closing(new)
        if self.hedged and self._closes_in_hedge(new):
            if closing < (new.quantity or ZERO):
                raise RefusedError(Reason.REDUCE_ONLY)
            return closing
        if not new.reduce_only:
            return None
        if closing == ZERO:
            raise RefusedError(Reason.REDUCE_ONLY)
        return closing

    def reserve(self, order: Order, cost: Decimal) -> None:
        """Hold margin for the part of an order that opens risk, or raise RefusedError(FUNDS)."""
        new = order.new
        quantity = new.quantity or ZERO
        opening = max(quantity - self._closing(new), ZERO)
        if opening == ZERO:
            return
        margin = cost * opening / quantity / self.config(new.symbol).leverage
        if margin + cost * self.fee_rate > self.available():
            raise RefusedError(Reason.FUNDS, "USDT")
        order.locked = margin
        self._open_margin += margin

    def settle(self, order: Order, price: Decimal, quantity: Decimal) -> Charge:
        """Move the position, realize profit, charge the fee in USDT."""
        self._shrink_lock(order, quantity)
        position = self.position(order.new.symbol, order.new.position_side)
        signed = quantity if order.new.side is Side.BUY else -quantity
        realized = _apply(position, signed, price)
        fee = (price * quantity * self.fee_rate).quantize(FEE_STEP, ROUND_HALF_EVEN)
        position.realized += realized
        position.updated_ns = order.updated_ns
        self.wallet += realized - fee
        return Charge(fee, "USDT", realized)

    def release(self, order: Order) -> None:
        """Give back the margin an ended order still holds."""
        self._open_margin -= order.locked
        order.locked = ZERO

    def _shrink_lock(self, order: Order, quantity: Decimal) -> None:
        remaining = order.remaining
        share = order.locked if remaining <= quantity else order.locked * quantity / remaining
        order.locked -= share
        self._open_margin -= share

    def _closing(self, new: NewOrder) -> Decimal:
        amount = self.position(new.symbol, new.position_side).amount
        opposite = amount < ZERO if new.side is Side.BUY else amount > ZERO
        return min(abs(amount), new.quantity or ZERO) if opposite else ZERO

    @staticmethod
    def _closes_in_hedge(new: NewOrder) -> bool:
        return (new.position_side == "LONG") == (new.side is Side.SELL)


def _apply(position: Position, signed: Decimal, price: Decimal) -> Decimal:
    """Change a position by a signed quantity; return the realized profit."""
    amount = position.amount
    if amount == ZERO or (amount > ZERO) == (signed > ZERO):
        total = amount + signed
        position.entry = (position.entry * abs(amount) + price * abs(signed)) / abs(total)
        position.amount = total
        return ZERO
    closed = min(abs(amount), abs(signed))
    direction = 1 if amount > ZERO else -1
    realized = (price - position.entry) * closed * direction
    position.amount = amount + signed
    if position.amount == ZERO:
        position.entry = ZERO
    elif abs(signed) > abs(amount):
        position.entry = price
    return realized
