"""Acts on decisions: opens and closes positions through the legs, and keeps what went wrong.

A position is kept while the gatekeeper is away and closed under the next session. What could not
be hedged is a residual: it freezes new entries until it is closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from interlock_core.clock import NS_PER_S, Clock, rfc3339
from interlock_core.money import to_wire
from interlock_core.reasons import ExitReason, Severity
from interlock_engine.account.position import LEGS, Position
from interlock_engine.account.round_trip import RoundTrip, finish
from interlock_engine.book.market import Market
from interlock_engine.book.route import RouteState
from interlock_engine.decide.exits import Held
from interlock_engine.decide.guards import Health
from interlock_engine.decide.signal import Signal
from interlock_engine.decide.sizing import quantity
from interlock_engine.execute.legs import CARRY_USD, Legs

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
    """Who is told what became of positions."""

    def alert(self, severity: Severity, event: str, **details: object) -> None:
        """Raise an alert."""
        ...

    def finished(self, trip: RoundTrip) -> None:
        """Take note of a finished round trip."""
        ...

    def aborted(self, position: Position, pnl_usd: Decimal) -> None:
        """Take note of an entry that was undone, and of what that cost."""
        ...

    def changed(self, position: Position) -> None:
        """Take note that an open position changed."""
        ...


@dataclass(slots=True)
class Residual:
    """An unhedged quantity that repair could not remove."""

    position: Position
    since: str
    value_usd: Decimal
    why: str
    resolved: bool = False

    def plain(self) -> dict[str, Any]:
        """Return the KPI JSON's entry."""
        return {
            "asset": self.position.route.asset,
            "held": {
                self.position.instrument(leg).key: _signed(self.position.held[leg]) for leg in LEGS
            },
            "value_usd": float(self.value_usd) if self.value_usd.is_finite() else None,
            "since": self.since,
            "why": self.why,
            "resolved": self.resolved,
        }


class Trader:
    """Runs at most one task a route; everything it starts is awaited at the end."""

    def __init__(
        self,
        market: Market,
        *,
        legs: Legs,
        permission: Permission,
        reporter: Reporter,
        health: Health,
        clock: Clock,
        cooldown_ns: int,
    ) -> None:
        self._market = market
        self._legs = legs
        self._permission = permission
        self._reporter = reporter
        self._health = health
        self._clock = clock
        self._cooldown_ns = cooldown_ns
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0
        self.notional_usd = Decimal(0)
        self.residuals: list[Residual] = []

    def enter(self, state: RouteState, still_wanted: Callable[[], Signal | None]) -> None:
        """Open a position, if it is still wanted when the gatekeeper has agreed."""
        self._start(state, self._enter(state, still_wanted))

    def leave(self, state: RouteState, reason: ExitReason) -> None:
        """Close the route's position, as far as there is a session to do it under."""
        if state.position is None or not self._permission.has_session:
            return
        if self._clock.boot_ns() >= state.retry_close_ns:
            self._start(state, self._leave(state, state.position, reason))

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
        log.error("order task failed", exc_info=error)
        self._reporter.alert(
            Severity.P1, "order task failed", asset=state.route.asset, error=repr(error)
        )
        # The position is what its fills say, whatever broke: it is kept and closed later.
        if state.position is not None and state.held is None:
            self._after_entry(state, state.position)

    async def _enter(self, state: RouteState, still_wanted: Callable[[], Signal | None]) -> None:
        allowed = await self._permission.ask()
        # The market went on while the gatekeeper answered: decide on what it is now.
        wish = still_wanted() if allowed else None
        if wish is None:
            return
        sized = self._size(state)
        if sized is None:
            # The session's cap may be below what this asset's lots and minimums need.
            state.cooldown_until_ns = self._clock.boot_ns() + self._cooldown_ns
            return
        self._numbers += 1
        position = Position(
            number=self._numbers,
            route=state.route,
            direction=wish.direction,
            edge_bps=wish.edge_bps,
            opened_wall_ns=self._clock.wall_ns(),
            opened_boot_ns=self._clock.boot_ns(),
        )
        state.position = position
        await self._legs.enter(position, sized)
        self._after_entry(state, position)

    def _size(self, state: RouteState) -> Decimal | None:
        return quantity(
            self.notional_usd,
            state.route.upbit,
            state.route.binance,
            upbit_krw=Decimal(repr(state.upbit.ask)),
            binance_usdt=Decimal(repr(state.binance.ask)),
        )

    def _after_entry(self, state: RouteState, position: Position) -> None:
        entry_bps = position.entry_premium_bps()
        if self._legs.is_closed(position):
            state.position = None
            state.cooldown_until_ns = self._clock.boot_ns() + self._cooldown_ns
            if position.fills:
                self._undone(position)
            return
        # Without both legs there is no premium of its own: it is closed as soon as possible.
        premium = entry_bps if entry_bps is not None else 0.0
        spread_bps = state.premium.cost if state.premium is not None else 0.0
        state.held = Held(
            position.direction,
            premium,
            position.opened_boot_ns,
            spread_bps + state.fees.round_trip_bps,
        )
        self._reporter.changed(position)
        self._check_residual(position, "the second leg could not be filled or undone")

    def _undone(self, position: Position) -> None:
        marks, fx = self._market.marks(position), self._market.fx()
        if marks is None or fx is None:
            raise RuntimeError("a position was traded in a market that was never seen")
        self._reporter.aborted(position, position.value_usd(marks, fx, with_fee=False))

    def _check_residual(self, position: Position, why: str) -> None:
        value = self._legs.gap_usd(position)
        known = next((r for r in self.residuals if r.position is position), None)
        if value <= CARRY_USD:
            if known is not None:
                known.resolved = True
        elif known is None:
            since = rfc3339(self._clock.wall_ns())
            self.residuals.append(Residual(position, since, value, why))
            self._reporter.alert(
                Severity.P0,
                "residual: a leg is not hedged",
                asset=position.route.asset,
                value_usd=str(value),
                why=why,
            )
        else:
            known.value_usd, known.resolved = value, False
        self._health.residual = any(not r.resolved for r in self.residuals)

    async def _leave(self, state: RouteState, position: Position, reason: ExitReason) -> None:
        closed = await self._legs.close(position)
        if closed:
            self._finish(state, position, reason)
            return
        state.retry_close_ns = self._clock.boot_ns() + RETRY_CLOSE_NS
        self._reporter.changed(position)
        self._check_residual(position, "the exit could not be completed")

    def _finish(self, state: RouteState, position: Position, reason: ExitReason) -> None:
        marks, fx = self._market.marks(position), self._market.fx()
        if marks is None or fx is None:
            raise RuntimeError("a position was closed in a market that was never seen")
        state.position = state.held = None
        self._check_residual(position, "closed")
        trip = finish(position, reason, touches=marks, fx=fx, closed_wall_ns=self._clock.wall_ns())
        self._reporter.finished(trip)

    def tend(self, now_ns: int) -> None:
        """Try again to close what is unhedged."""
        for residual in self.residuals:
            state = self._market.routes[residual.position.route.asset]
            due = not residual.resolved and not state.busy and now_ns >= state.retry_close_ns
            if due and state.position is residual.position:
                self.leave(state, ExitReason.VENUE_HEALTH)

    async def close_all(self, timeout_s: float) -> None:
        """Close every position within timeout_s; what is left stays in the books."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._settle_tasks()
                for state in self._market.open_positions():
                    state.retry_close_ns = 0
                    self.leave(state, ExitReason.SESSION_END)
                await self._settle_tasks()
        except TimeoutError:
            log.warning("positions could not be closed in time")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _settle_tasks(self) -> None:
        # Not gathered: a timeout must not cancel an order that is on its way.
        while self._tasks:
            await asyncio.wait(self._tasks)


def _signed(value: Decimal) -> str:
    return ("-" if value < 0 else "") + to_wire(abs(value))
