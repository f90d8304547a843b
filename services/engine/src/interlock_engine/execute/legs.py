"""The two legs of a round trip, as a state machine: enter both, balance them, leave both.

The phases and the orders are told to the ledger before they are acted on, so that another process
can go on from any point. Only fills change a position. An order in doubt is waited for: never sent
again, never assumed. What cannot be balanced stays in the position; the caller sees it as its gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from interlock_core.clock import Clock
from interlock_core.instrument import Instrument, Side
from interlock_core.money import ZERO
from interlock_core.wire.gate import OrderResult, Outcome, Purpose
from interlock_engine.account.leg import LEG_BINANCE, LEG_UPBIT, LEGS
from interlock_engine.account.pnl import Fx, Touch
from interlock_engine.account.position import Phase, Position
from interlock_engine.decide.budget import Bounds
from interlock_engine.execute.order import Gate, Order, Wanted, build, fill_of

# The gatekeeper's bounds are 50 and 300 bps from its own touch; its touch and ours may differ.
MAX_ENTRY_COLLAR_BPS = Decimal(45)
MAX_EXIT_COLLAR_BPS = Decimal(280)
REPAIR_TRIES = 2
UNWIND_TRIES = 3
CLOSE_TRIES = 3
# A smaller gap is carried to the exit: both venues' minimums (5,000 KRW, 5 USDT) are near it.
CARRY_USD = Decimal(6)


@dataclass(frozen=True, slots=True)
class LegSettings:
    """How orders are placed; `legging_ns` is how long a leg may wait for the other one."""

    sequential: bool
    entry_collar_bps: Decimal
    exit_collar_bps: Decimal
    legging_ns: int

    def bounds(self, stop_bps: float) -> Bounds:
        """Return how far the orders of a round trip may go."""
        return Bounds(
            entry_bps=min(self.entry_collar_bps * 2**REPAIR_TRIES, MAX_ENTRY_COLLAR_BPS),
            unwind_bps=min(self.exit_collar_bps * 2 ** (UNWIND_TRIES - 1), MAX_EXIT_COLLAR_BPS),
            exit_bps=self.exit_collar_bps,
            stop_bps=Decimal(repr(stop_bps)),
            legging_ns=self.legging_ns,
        )


class Quotes(Protocol):
    """The market as it is now."""

    def touch(self, position: Position, leg: str) -> Touch | None:
        """Return the best prices of a leg's instrument, or None where they are not usable."""
        ...

    def fx(self) -> Fx | None:
        """Return KRW per USDT, or None where it is not known."""
        ...


class Observer(Protocol):
    """Who is told about orders and phases; `sending` and `moved` are kept before it goes on."""

    def sending(self, position: Position, order: Order) -> bool:
        """Keep an order that is about to be sent; return whether that was possible."""
        ...

    def moved(self, position: Position) -> None:
        """Keep the phase that a position has come to."""
        ...

    def doubt_began(self, order: Order) -> None:
        """Take note of an order in doubt."""
        ...

    def doubt_ended(self, order: Order) -> None:
        """Take note of its proof."""
        ...

    def settled(self, position: Position, order: Order, result: OrderResult) -> None:
        """Take note of a proven outcome."""
        ...

    def over_budget(self, position: Position, order: Order) -> None:
        """Take note that undoing a leg costs more than was priced."""
        ...


class Legs:
    """Trades both legs of a position through the gate.

    Nothing is sent for a position whose number is `unconfirmed`: whether it is still ours is not
    known until our books were compared with the gatekeeper's under its present session.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        quotes: Quotes,
        observer: Observer,
        clock: Clock,
        settings: LegSettings,
        session_id: str,
        unconfirmed: AbstractSet[int],
    ) -> None:
        self._gate = gate
        self._quotes = quotes
        self._observer = observer
        self._clock = clock
        self._settings = settings
        self._session_id = session_id
        self._unconfirmed = unconfirmed
        self._travelling: dict[str, tuple[int, Order]] = {}

    def travelling(self, position: Position) -> list[Order]:
        """Return the position's orders that were sent and are not proven."""
        return [order for number, order in self._travelling.values() if number == position.number]

    async def enter(self, position: Position) -> None:
        """Open both legs and balance them; the position then holds what could be hedged."""
        upbit, binance = (self._entry(position, leg, position.quantity) for leg in LEGS)
        if self._settings.sequential:
            await self._send(position, upbit)
            filled = position.entered(LEG_UPBIT)
            hedge = tradable(position, LEG_BINANCE, filled, self._touch(position, LEG_BINANCE))
            if hedge > ZERO:
                await self._send(position, self._entry(position, LEG_BINANCE, hedge))
        else:
            await asyncio.gather(self._send(position, upbit), self._send(position, binance))
        await self.balance(position)

    def _entry(self, position: Position, leg: str, quantity: Decimal) -> Wanted:
        collar = min(self._settings.entry_collar_bps, MAX_ENTRY_COLLAR_BPS)
        return Wanted(leg, position.entry_side(leg), quantity, Purpose.ENTRY, collar)

    async def balance(self, position: Position) -> None:
        """Go on from any phase of an entry: extend the short leg in time, else undo the long one.

        Afterwards the position is held, a gap included, or done where nothing is left of it.
        """
        if position.phase is Phase.OPENING:
            self._move(position, Phase.REPAIRING)
        if position.phase is Phase.REPAIRING:
            await self._repair(position)
            if self._undoable(position):
                self._move(position, Phase.UNWINDING)
        if position.phase is Phase.UNWINDING:
            await self._unwind(position)
        self._move(position, Phase.DONE if self.is_closed(position) else Phase.HOLDING)

    async def _repair(self, position: Position) -> None:
        collar = self._settings.entry_collar_bps
        for _ in range(REPAIR_TRIES):
            collar = min(collar * 2, MAX_ENTRY_COLLAR_BPS)
            if self._too_late(position) or not await self._extend_short_leg(position, collar):
                return

    async def _unwind(self, position: Position) -> None:
        collar = self._settings.exit_collar_bps
        for _ in range(UNWIND_TRIES):
            if not await self._unwind_long_leg(position, collar):
                return
            collar = min(collar * 2, MAX_EXIT_COLLAR_BPS)

    def _too_late(self, position: Position) -> bool:
        since_ns = position.unhedged_since_ns
        late_ns = position.budget.legging_ns
        return since_ns is not None and self._clock.boot_ns() - since_ns >= late_ns

    async def _extend_short_leg(self, position: Position, collar_bps: Decimal) -> bool:
        gap = position.gap
        leg = LEG_BINANCE if gap > ZERO else LEG_UPBIT
        wanted = tradable(position, leg, abs(gap), self._touch(position, leg))
        if wanted == ZERO:
            return False
        side = position.entry_side(leg)
        await self._send(position, Wanted(leg, side, wanted, Purpose.REPAIR, collar_bps))
        return position.gap != ZERO

    def _undoable(self, position: Position) -> Decimal:
        """Return how much of the long leg its venue would take back."""
        leg = _long_leg(position)
        return tradable(position, leg, abs(position.gap), self._touch(position, leg))

    async def _unwind_long_leg(self, position: Position, collar_bps: Decimal) -> bool:
        wanted, leg = self._undoable(position), _long_leg(position)
        if wanted == ZERO:
            return False
        side = position.entry_side(leg).opposite
        await self._send(position, Wanted(leg, side, wanted, Purpose.UNWIND, collar_bps))
        return position.gap != ZERO

    async def close(self, position: Position) -> bool:
        """Close both legs within a few tries at wider collars; return whether all is closed."""
        if position.phase is Phase.HOLDING:
            self._move(position, Phase.CLOSING)
        await self._close(position)
        self._move(position, Phase.DONE if self.is_closed(position) else Phase.HOLDING)
        return position.phase is Phase.DONE

    async def _close(self, position: Position) -> None:
        collar = self._settings.exit_collar_bps
        for _ in range(CLOSE_TRIES):
            if self._settings.sequential:
                await self._close_leg(position, LEG_UPBIT, collar)
                await self._close_leg(position, LEG_BINANCE, collar, down_to=LEG_UPBIT)
            else:
                both = (self._close_leg(position, leg, collar) for leg in LEGS)
                await asyncio.gather(*both)
            if self.is_closed(position):
                return
            collar = min(collar * 2, MAX_EXIT_COLLAR_BPS)

    async def _close_leg(
        self, position: Position, leg: str, collar_bps: Decimal, *, down_to: str | None = None
    ) -> None:
        held = position.held[leg]
        keep = (
            abs(position.held[down_to]) if down_to and not self._is_dust(position, down_to) else 0
        )
        wanted = tradable(position, leg, abs(held) - keep, self._touch(position, leg))
        if wanted > ZERO:
            side = Side.SELL if held > ZERO else Side.BUY
            await self._send(position, Wanted(leg, side, wanted, Purpose.EXIT, collar_bps))

    def is_closed(self, position: Position) -> bool:
        """Say whether nothing is left that a venue would still take."""
        return all(self._is_dust(position, leg) for leg in LEGS)

    def _is_dust(self, position: Position, leg: str) -> bool:
        held = abs(position.held[leg])
        touch = self._touch(position, leg)
        if held == ZERO or touch is None:
            return held == ZERO
        if tradable(position, leg, held, touch) > ZERO:
            return False
        return self._value_usd(position, leg, held) <= CARRY_USD

    def gap_usd(self, position: Position) -> Decimal:
        """Return the value of the unhedged quantity."""
        return self._value_usd(position, LEG_BINANCE, abs(position.gap))

    def _value_usd(self, position: Position, leg: str, quantity: Decimal) -> Decimal:
        touch, fx = self._touch(position, leg), self._quotes.fx()
        if touch is None or fx is None:
            # Not knowing what it is worth must not make it worth nothing.
            return Decimal("Infinity") if quantity else ZERO
        value = quantity * touch.ask
        return value / fx.bid if position.instrument(leg).quote == "KRW" else value

    def _touch(self, position: Position, leg: str) -> Touch | None:
        return self._quotes.touch(position, leg)

    def _move(self, position: Position, phase: Phase) -> None:
        position.move(phase)
        self._observer.moved(position)

    async def _send(self, position: Position, wanted: Wanted) -> None:
        touch, fx = self._touch(position, wanted.leg), self._quotes.fx()
        if touch is None or fx is None or position.number in self._unconfirmed:
            return
        wish = build(
            wanted,
            position,
            session_id=self._session_id,
            epoch=self._gate.epoch,
            touch=touch,
            fx=fx,
            now_boot_ns=self._clock.boot_ns(),
        )
        order = self._within_budget(position, wish)
        if order is None:
            return
        if not self._observer.sending(position, order) and order.opens:
            # What no later process would know of is not begun; what reduces goes on.
            return
        self._travelling[order.intent.intent_id] = (position.number, order)
        result = await self._gate.submit(order.intent)
        if result.outcome is Outcome.UNKNOWN:
            result = await self._proven(order)
        self._settle(position, order, result)

    def _within_budget(self, position: Position, order: Order) -> Order | None:
        """Return the order with its limit within the budget, or None where nothing would fill."""
        intent, budget = order.intent, position.budget
        if order.opens:
            price = budget.within_entry(order.leg, intent.side, intent.price)
            reaches = price >= intent.quoted_price
            if intent.side is Side.SELL:
                reaches = price <= intent.quoted_price
            return replace(order, intent=replace(intent, price=price)) if reaches else None
        unwinds = intent.purpose is Purpose.UNWIND
        if unwinds and budget.breaks_unwind(order.leg, intent.side, intent.quoted_price):
            # It is undone all the same: a leg left alone may cost any amount.
            self._observer.over_budget(position, order)
        return order

    async def prove(self, position: Position, order: Order) -> None:
        """Wait for the outcome of an order that another process sent, and take its fill."""
        self._settle(position, order, await self._proven(order))

    async def _proven(self, order: Order) -> OrderResult:
        self._observer.doubt_began(order)
        result = await self._gate.prove(order.intent)
        self._observer.doubt_ended(order)
        return result

    def _settle(self, position: Position, order: Order, result: OrderResult) -> None:
        self._travelling.pop(order.intent.intent_id, None)
        fill = fill_of(order, result)
        if fill is not None:
            position.apply(order.intent.purpose, fill)
        self._watch_gap(position)
        self._observer.settled(position, order, result)

    def _watch_gap(self, position: Position) -> None:
        if self.gap_usd(position) <= CARRY_USD:
            position.unhedged_since_ns = None
        elif position.unhedged_since_ns is None:
            position.unhedged_since_ns = self._clock.boot_ns()


def _long_leg(position: Position) -> str:
    return LEG_UPBIT if position.gap > ZERO else LEG_BINANCE


def tradable(position: Position, leg: str, wanted: Decimal, touch: Touch | None) -> Decimal:
    """Return the largest quantity of at most `wanted` that the leg's venue takes, or zero."""
    instrument: Instrument = position.instrument(leg)
    if touch is None or wanted <= ZERO:
        return ZERO
    rounded = instrument.round_quantity(wanted)
    # A limit may lie below the touch by the collar: leave room for the minimum notional.
    room = touch.bid * (1 - MAX_EXIT_COLLAR_BPS / 10_000)
    refused = (
        rounded <= ZERO
        or rounded < instrument.min_quantity
        or rounded * room < instrument.min_notional
    )
    return ZERO if refused else min(rounded, instrument.max_quantity)
