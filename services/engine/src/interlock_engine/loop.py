"""The main path: update -> spread -> signal -> guard -> intent -> gate -> legs.

A frame updates its book and marks its route. One pass then decides on every marked route with the
newest data: frames that were overtaken while the loop was busy are never decided on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from interlock_core.clock import NS_PER_S, Clock
from interlock_core.reasons import ExitReason
from interlock_engine.book.market import Market
from interlock_engine.book.route import RouteState
from interlock_engine.decide.exits import ExitSettings, exit_reason
from interlock_engine.decide.guards import EntryGuard, Facts
from interlock_engine.decide.signal import Signal, SignalSettings, signal

# A position whose market has been silent this long is closed while that is still possible.
VENUE_HEALTH_NS = 8 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Strategy:
    """The numbers that decide."""

    signal: SignalSettings
    exits: ExitSettings


class Hands(Protocol):
    """Who acts on decisions; both calls return at once."""

    def enter(self, state: RouteState, still_wanted: Callable[[], Signal | None]) -> None:
        """Open a position, if it is still wanted when the gate has agreed."""
        ...

    def leave(self, state: RouteState, reason: ExitReason) -> None:
        """Close the route's position."""
        ...


class Loop:
    """Decides on each touched route; latency runs from a frame's arrival to the decision on it."""

    def __init__(
        self,
        market: Market,
        *,
        strategy: Strategy,
        guard: EntryGuard,
        hands: Hands,
        clock: Clock,
        record_latency_ns: Callable[[int], None],
    ) -> None:
        self._market = market
        self._strategy = strategy
        self._guard = guard
        self._hands = hands
        self._clock = clock
        self._record_latency_ns = record_latency_ns
        self._touched: list[RouteState] = []
        self._arrived_ns = 0
        self.overtaken = 0

    def touch(self, state: RouteState, arrived_ns: int) -> None:
        """Mark a route for the next pass; frames found waiting count from the first one."""
        if state.touched:
            self.overtaken += 1
        else:
            state.touched = True
            self._touched.append(state)
        if self._arrived_ns == 0:
            self._arrived_ns = arrived_ns
            asyncio.get_running_loop().call_soon(self.decide)

    def decide(self) -> None:
        """Decide once on every marked route."""
        arrived_ns, self._arrived_ns = self._arrived_ns, 0
        touched, self._touched = self._touched, []
        for state in touched:
            state.touched = False
            now_ns = self._clock.boot_ns()
            self.step(state, now_ns)
            self._record_latency_ns(self._clock.boot_ns() - arrived_ns)

    def step(self, state: RouteState, now_ns: int) -> None:
        """Update the spread, then leave, enter, or wait."""
        premium = state.update_premium(self._market.fx_book)
        if premium is None:
            self._guard.note_unusable(state.route.asset, crossed=state.crossed)
            return
        state.baseline.update(premium.mid, now_ns)
        if state.busy:
            return
        if state.held is not None:
            reason = self.exit_wish(state, now_ns)
            if reason is not None:
                self._hands.leave(state, reason)
        elif state.position is None and self.entry_wish(state, now_ns) is not None:
            self._hands.enter(state, lambda: self.entry_wish(state, self._clock.boot_ns()))

    def entry_wish(self, state: RouteState, now_ns: int) -> Signal | None:
        """Return the entry that the signal asks for and every guard allows, or None."""
        premium, settings = state.premium, self._strategy.signal
        if premium is None or not state.baseline.is_warm(now_ns):
            return None
        wish = signal(
            premium,
            self._baseline_bps(state, now_ns),
            fees=state.fees,
            threshold_bps=settings.threshold_bps,
        )
        if wish is None:
            return None
        market = self._market
        facts = Facts(
            asset=state.route.asset,
            venue_age_ns=max(market.upbit.age_ns(now_ns), market.binance.age_ns(now_ns)),
            fx_age_ns=market.fx_age_ns(now_ns),
            book_age_ns=now_ns - state.oldest_book_ns,
            edge_bps=wish.edge_bps,
            cooldown=now_ns < state.cooldown_until_ns,
            others=sum(
                other is not state and (other.busy or other.position is not None)
                for other in market.routes.values()
            ),
        )
        return wish if self._guard.allows(facts) else None

    def exit_wish(self, state: RouteState, now_ns: int) -> ExitReason | None:
        """Return why the held position should be closed now, or None."""
        held, premium = state.held, state.premium
        if held is None:
            return None
        if now_ns - state.oldest_book_ns > VENUE_HEALTH_NS:
            return ExitReason.VENUE_HEALTH
        if premium is None:
            return None
        return exit_reason(
            held,
            premium,
            baseline_bps=self._baseline_bps(state, now_ns),
            fees=state.fees,
            settings=self._strategy.exits,
            now_ns=now_ns,
        )

    def _baseline_bps(self, state: RouteState, now_ns: int) -> float:
        return state.baseline.pooled(
            self._market.common_bps, pool_s=self._strategy.signal.pool_s, now_ns=now_ns
        )

    def watch(self, now_ns: int) -> None:
        """Ask the exit rules also where no frame arrives: time passes, venues fall silent."""
        for state in self._market.open_positions():
            if not state.busy and (reason := self.exit_wish(state, now_ns)) is not None:
                self._hands.leave(state, reason)
