"""Acts on decisions: opens and closes positions through the legs, and keeps what went wrong.

A position is kept while the gatekeeper is away and closed under the next session. What could not
be hedged is a residual: it freezes new entries until it is closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, Protocol

from interlock_core.clock import NS_PER_S, Clock, rfc3339
from interlock_core.money import ZERO
from interlock_core.reasons import ExitReason, Severity
from interlock_engine.account.pnl import Touch
from interlock_engine.account.position import Phase, Position
from interlock_engine.account.round_trip import RoundTrip, finish
from interlock_engine.book.market import Market
from interlock_engine.book.route import RouteState
from interlock_engine.decide.exits import Held
from interlock_engine.decide.guards import EntryGuard
from interlock_engine.decide.signal import Signal
from interlock_engine.execute.legs import CARRY_USD, Legs
from interlock_engine.execute.order import Order
from interlock_engine.execute.planner import Planner
from interlock_engine.execute.residual import Residual, held_now

log = logging.getLogger(__name__)

RETRY_CLOSE_NS = 2 * NS_PER_S


class Permission(Protocol):
    """What the trader needs of the lease."""

    @property
    def has_session(self) -> bool:
        """Say whether orders can be sent at all."""
        ...

    async def ask(self) -> bool:
        """Ask the gatekeeper once more; return whether an entry is allowed."""
        ...


class Reporter(Protocol):
    """Who is told what became of positions, and keeps it."""

    def alert(self, severity: Severity, event: str, **details: object) -> None:
        """Raise an alert."""
        ...

    async def opened(self, position: Position) -> bool:
        """Keep a round trip that is about to begin, on the disk; return whether that worked."""
        ...

    def finished(self, trip: RoundTrip) -> None:
        """Take note of a finished round trip."""
        ...

    def aborted(self, position: Position, pnl_usd: Decimal) -> None:
        """Take note of an entry that came to nothing, and of what that cost."""
        ...

    def released(self, position: Position, pnl_usd: Decimal) -> None:
        """Take note that a position is not ours any more."""
        ...

    def changed(self, position: Position) -> None:
        """Take note that an open position changed."""
        ...

    def unhedged(self, residual: Residual) -> None:
        """Take note of a residual that began or was resolved."""
        ...


class Trader:
    """Runs at most one task a route; everything it starts is awaited at the end.

    A position whose number is `unconfirmed` may not be ours any more: it is left alone until the
    books were compared.
    """

    def __init__(
        self,
        market: Market,
        *,
        legs: Legs,
        planner: Planner,
        permission: Permission,
        reporter: Reporter,
        guard: EntryGuard,
        clock: Clock,
        cooldown_ns: int,
        unconfirmed: AbstractSet[int],
    ) -> None:
        self._market = market
        self._legs = legs
        self.planner = planner
        self._permission = permission
        self._reporter = reporter
        self._guard = guard
        self._clock = clock
        self._cooldown_ns = cooldown_ns
        self._unconfirmed = unconfirmed
        self._tasks: set[asyncio.Task[None]] = set()
        self._doubtful: dict[int, list[Order]] = {}
        self.numbers = 0
        self.residuals: list[Residual] = []

    def enter(self, state: RouteState, still_wanted: Callable[[], Signal | None]) -> None:
        """Open a position, if it is still wanted when the gatekeeper has agreed."""
        self._start(state, self._enter(state, still_wanted))

    def leave(self, state: RouteState, reason: ExitReason) -> None:
        """Close the route's position, as far as there is a session to do it under."""
        position = state.position
        if position is None or not self._permission.has_session or not self._is_settled(position):
            return
        if self._clock.boot_ns() >= state.retry_close_ns:
            self._start(state, self._leave(state, position, reason))

    def take_over(self, position: Position, doubtful: Sequence[Order]) -> None:
        """Go on with a round trip of an earlier process, once there is a session."""
        state = self._market.routes[position.route.asset]
        state.position = position
        if doubtful:
            self._doubtful[position.number] = list(doubtful)
        if not position.phase.is_entering:
            self._hold(state, position)
        self._reporter.changed(position)

    def release(self, state: RouteState) -> None:
        """Let a position go that is not ours any more, at its worth now."""
        position = state.position
        if position is not None:
            result = self._result_usd(position)
            state.position = state.held = None
            self._doubtful.pop(position.number, None)
            self._resolve(position)
            self._reporter.released(position, result)

    def _start(self, state: RouteState, work: Coroutine[Any, Any, None]) -> None:
        state.busy = True
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(state, done))

    def _ended(self, state: RouteState, task: asyncio.Task[None]) -> None:
        state.busy = False
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        # The position is what its fills say, whatever broke: `tend` asks for the rest and goes on.
        position = state.position
        if position is not None and (orders := self._legs.travelling(position)):
            self._doubtful[position.number] = orders
        log.error("order task failed", exc_info=error)
        self._reporter.alert(
            Severity.P1, "order task failed", asset=state.route.asset, error=repr(error)
        )

    async def _enter(self, state: RouteState, still_wanted: Callable[[], Signal | None]) -> None:
        allowed = await self._permission.ask()
        # The market went on while the gatekeeper answered: decide on what it is now.
        wish = still_wanted() if allowed else None
        if wish is None:
            return
        position = self.planner.plan(state, wish, self.numbers + 1)
        if position is None:
            # The session's caps may be below what this asset's lots and minimums need.
            state.cooldown_until_ns = self._clock.boot_ns() + self._cooldown_ns
            return
        self.numbers += 1
        state.position = position
        if await self._reporter.opened(position):
            await self._legs.enter(position)
            self._after_entry(state, position)
        else:
            state.position = None

    def _after_entry(self, state: RouteState, position: Position) -> None:
        if position.phase is Phase.DONE:
            state.position = None
            state.cooldown_until_ns = self._clock.boot_ns() + self._cooldown_ns
            self._reporter.aborted(position, self._result_usd(position))
            return
        self._hold(state, position)
        self._reporter.changed(position)
        self._check_residual(position, "the second leg could not be filled or undone")

    def _hold(self, state: RouteState, position: Position) -> None:
        # Without both legs there is no premium of its own: it is closed as soon as possible.
        premium = position.entry_premium_bps() or 0.0
        state.held = Held(position.direction, premium, position.opened_boot_ns, position.cost_bps)

    def _result_usd(self, position: Position) -> Decimal:
        if not position.fills and not position.carried:
            return ZERO
        marks, fx = self._marks(position), self._market.fx()
        if marks is None or fx is None:
            raise RuntimeError("a position was traded in a market that was never seen")
        return position.value_usd(marks, fx, with_fee=False)

    def _marks(self, position: Position) -> dict[str, Touch] | None:
        return self._market.marks(self._market.routes[position.route.asset])

    def _check_residual(self, position: Position, why: str) -> None:
        value = self._legs.gap_usd(position)
        known = next((r for r in reversed(self.residuals) if r.number == position.number), None)
        asset, held = position.route.asset, held_now(position)
        if value <= CARRY_USD:
            self._resolve(position)
        elif known is None or known.resolved:
            since = rfc3339(self._clock.wall_ns())
            found = Residual(position.number, asset, since, value, why, held)
            self.residuals.append(found)
            self._reporter.unhedged(found)
            self._reporter.alert(
                Severity.P0,
                "residual: a leg is not hedged",
                asset=asset,
                value_usd=str(value),
                why=why,
            )
        else:
            known.value_usd, known.held = value, held
        self._freeze()

    def _resolve(self, position: Position) -> None:
        for residual in self.residuals:
            if residual.number == position.number and not residual.resolved:
                residual.resolved = True
                self._reporter.unhedged(residual)
        self._freeze()

    def _freeze(self) -> None:
        self._guard.health.residual = any(not r.resolved for r in self.residuals)

    async def _leave(self, state: RouteState, position: Position, reason: ExitReason) -> None:
        position.exit_reason = reason
        if await self._legs.close(position):
            self._finish(state, position, reason)
            return
        state.retry_close_ns = self._clock.boot_ns() + RETRY_CLOSE_NS
        self._reporter.changed(position)
        self._check_residual(position, "the exit could not be completed")

    def _finish(self, state: RouteState, position: Position, reason: ExitReason) -> None:
        marks, fx = self._marks(position), self._market.fx()
        if marks is None or fx is None:
            raise RuntimeError("a position was closed in a market that was never seen")
        state.position = state.held = None
        self._check_residual(position, "closed")
        trip = finish(position, reason, touches=marks, fx=fx, closed_wall_ns=self._clock.wall_ns())
        self._reporter.finished(trip)

    def tend(self, now_ns: int) -> None:
        """Go on with what nobody works on: unfinished phases, and what is unhedged."""
        if not self._permission.has_session:
            return
        for state in self._market.open_positions():
            position = state.position
            if position is None or state.busy or now_ns < state.retry_close_ns:
                continue
            if position.number in self._doubtful:
                self._start(state, self._prove(position))
            elif position.number in self._unconfirmed:
                continue
            elif position.phase is not Phase.HOLDING:
                self._start(state, self._pursue(state, position))
            elif self._is_residual(position):
                self.leave(state, ExitReason.VENUE_HEALTH)

    def is_doubtful(self, position: Position) -> bool:
        """Say whether an order of an earlier process is not proven yet."""
        return position.number in self._doubtful

    def _is_settled(self, position: Position) -> bool:
        """Say whether it is known what the position holds, and that it is ours and held."""
        known = position.number not in self._doubtful and position.number not in self._unconfirmed
        return known and position.phase is Phase.HOLDING

    def _is_residual(self, position: Position) -> bool:
        return any(r.number == position.number and not r.resolved for r in self.residuals)

    async def _prove(self, position: Position) -> None:
        """Find out what became of the orders that an earlier process had sent."""
        orders = self._doubtful[position.number]
        while orders:
            await self._legs.prove(position, orders[0])
            orders.pop(0)
        del self._doubtful[position.number]

    async def _pursue(self, state: RouteState, position: Position) -> None:
        """Bring a round trip that was left in the middle to where its fills lead."""
        state.retry_close_ns = self._clock.boot_ns() + RETRY_CLOSE_NS
        if position.phase.is_entering:
            await self._legs.balance(position)
            self._after_entry(state, position)
        elif position.phase is Phase.CLOSING:
            await self._leave(state, position, position.exit_reason or ExitReason.VENUE_HEALTH)
        else:
            self._settle_done(state, position)

    def _settle_done(self, state: RouteState, position: Position) -> None:
        if position.exit_reason is None:
            self._after_entry(state, position)
        else:
            self._finish(state, position, position.exit_reason)

    async def close_all(self, timeout_s: float) -> None:
        """Close every position within timeout_s; what is left stays in the books."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._settle_tasks()
                self._clear_pauses()
                self.tend(self._clock.boot_ns())
                await self._settle_tasks()
                self._clear_pauses()
                for state in self._market.open_positions():
                    self.leave(state, ExitReason.SESSION_END)
                await self._settle_tasks()
        except TimeoutError:
            log.warning("positions could not be closed in time")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _clear_pauses(self) -> None:
        for state in self._market.open_positions():
            state.retry_close_ns = 0

    async def _settle_tasks(self) -> None:
        # Not gathered: a timeout must not cancel an order that is on its way.
        while self._tasks:
            await asyncio.wait(self._tasks)
