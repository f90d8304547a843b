"""The two legs of a round trip: enter both, repair what is short, leave both.

Only fills change a position. An order in doubt is waited for: never sent again, never assumed.
What repair cannot balance stays in the position; the caller sees it as its gap.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from interlock_core.clock import Clock
from interlock_core.instrument import Instrument, Side
from interlock_core.money import ZERO
from interlock_core.wire.gate import OrderResult, Outcome, Purpose
from interlock_engine.account.pnl import Fx, Touch
from interlock_engine.account.position import LEG_BINANCE, LEG_UPBIT, LEGS, Position
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
    """How orders are placed."""

    sequential: bool
    entry_collar_bps: Decimal
    exit_collar_bps: Decimal


class Quotes(Protocol):
    """The market as it is now."""

    def touch(self, position: Position, leg: str) -> Touch | None:
        """Return the best prices of a leg's instrument, or None where they are not usable."""
        ...

    def fx(self) -> Fx | None:
        """Return KRW per USDT, or None where it is not known."""
        ...


class Observer(Protocol):
    """Who is told about orders."""

    def doubt_began(self, order: Order) -> None:
        """Take note of an order in doubt."""
        ...

    def doubt_ended(self, order: Order) -> None:
        """Take note of its proof."""
        ...

    def settled(self, order: Order, result: OrderResult) -> None:
        """Take note of a proven outcome."""
        ...


class Legs:
    """Trades both legs of a position through the gate."""

    def __init__(
        self,
        gate: Gate,
        *,
        quotes: Quotes,
        observer: Observer,
        clock: Clock,
        settings: LegSettings,
        session_id: str,
    ) -> None:
        self._gate = gate
        self._quotes = quotes
        self._observer = observer
        self._clock = clock
        self._settings = settings
        self._session_id = session_id

    async def enter(self, position: Position, quantity: Decimal) -> None:
        """Open both legs and balance them; the position then holds what could be hedged."""
        upbit, binance = (self._entry(position, leg, quantity) for leg in LEGS)
        if self._settings.sequential:
            await self._send(position, upbit)
            filled = abs(position.held[LEG_UPBIT])
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
        """Repair a gap: extend the short leg at wider collars, else unwind the long one."""
        collar = self._settings.entry_collar_bps
        for _ in range(REPAIR_TRIES):
            collar = min(collar * 2, MAX_ENTRY_COLLAR_BPS)
            if not await self._extend_short_leg(position, collar):
                break
        collar = self._settings.exit_collar_bps
        for _ in range(UNWIND_TRIES):
            if not await self._unwind_long_leg(position, collar):
                break
            collar = min(collar * 2, MAX_EXIT_COLLAR_BPS)

    async def _extend_short_leg(self, position: Position, collar_bps: Decimal) -> bool:
        gap = position.gap
        leg = LEG_BINANCE if gap > ZERO else LEG_UPBIT
        wanted = tradable(position, leg, abs(gap), self._touch(position, leg))
        if wanted == ZERO:
            return False
        side = position.entry_side(leg)
        await self._send(position, Wanted(leg, side, wanted, Purpose.REPAIR, collar_bps))
        return position.gap != ZERO

    async def _unwind_long_leg(self, position: Position, collar_bps: Decimal) -> bool:
        gap = position.gap
        leg = LEG_UPBIT if gap > ZERO else LEG_BINANCE
        wanted = tradable(position, leg, abs(gap), self._touch(position, leg))
        if wanted == ZERO:
            return False
        side = position.entry_side(leg).opposite
        await self._send(position, Wanted(leg, side, wanted, Purpose.UNWIND, collar_bps))
        return position.gap != ZERO

    async def close(self, position: Position) -> bool:
        """Close both legs within a few tries at wider collars; return whether all is closed."""
        collar = self._settings.exit_collar_bps
        for _ in range(CLOSE_TRIES):
            if self._settings.sequential:
                await self._close_leg(position, LEG_UPBIT, collar)
                await self._close_leg(position, LEG_BINANCE, collar, down_to=LEG_UPBIT)
            else:
                both = (self._close_leg(position, leg, collar) for leg in LEGS)
                await asyncio.gather(*both)
            if self.is_closed(position):
                return True
            collar = min(collar * 2, MAX_EXIT_COLLAR_BPS)
        return False

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

    async def _send(self, position: Position, wanted: Wanted) -> None:
        touch, fx = self._touch(position, wanted.leg), self._quotes.fx()
        if touch is None or fx is None:
            return
        order = build(
            wanted,
            position,
            session_id=self._session_id,
            epoch=self._gate.epoch,
            touch=touch,
            fx=fx,
            now_boot_ns=self._clock.boot_ns(),
        )
        result = await self._gate.submit(order.intent)
        if result.outcome is Outcome.UNKNOWN:
            self._observer.doubt_began(order)
            result = await self._gate.prove(order.intent)
            self._observer.doubt_ended(order)
        fill = fill_of(order, result)
        if fill is not None:
            position.apply(wanted.purpose, fill)
        self._observer.settled(order, result)


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
