"""Sizes and prices a round trip before it begins: how much, within which prices, at which risk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from interlock_core.clock import Clock
from interlock_core.instrument import Route
from interlock_core.money import ZERO
from interlock_engine.account.leg import LEGS
from interlock_engine.account.pnl import Fill, Fx, Touch, dust_fill
from interlock_engine.account.position import Position
from interlock_engine.book.market import Market
from interlock_engine.book.route import RouteState
from interlock_engine.decide.budget import Bounds, Budget, LegPlan, price
from interlock_engine.decide.guards import EntryGuard
from interlock_engine.decide.signal import Signal
from interlock_engine.decide.sizing import quantity


class Planner:
    """Plans what the session can bear.

    `notional_usd` is of one leg. `loss_left_usd` says what the session may still lose; the worst
    cases of open round trips are taken off it before a new one is priced against the rest. `dust`
    is what earlier round trips left, signed, by instrument.
    """

    def __init__(
        self,
        market: Market,
        *,
        bounds: Bounds,
        guard: EntryGuard,
        clock: Clock,
        loss_left_usd: Callable[[], Decimal],
        dust: Mapping[str, Decimal],
    ) -> None:
        self._market = market
        self._bounds = bounds
        self._guard = guard
        self._clock = clock
        self._loss_left_usd = loss_left_usd
        self._dust = dust
        self.notional_usd = ZERO

    def plan(self, state: RouteState, wish: Signal, number: int) -> Position | None:
        """Return the round trip that a signal asks for, or None where it does not fit."""
        sized = quantity(
            self.notional_usd,
            state.route.upbit,
            state.route.binance,
            upbit_krw=Decimal(repr(state.upbit.ask)),
            binance_usdt=Decimal(repr(state.binance.ask)),
        )
        touches, fx = self._market.marks(state), self._market.fx()
        if sized is None or touches is None or fx is None:
            return None
        spread_bps = state.premium.cost if state.premium is not None else 0.0
        position = Position(
            number=number,
            route=state.route,
            direction=wish.direction,
            quantity=sized,
            budget=Budget({}, {}, self._bounds.legging_ns, ZERO),
            edge_bps=wish.edge_bps,
            cost_bps=spread_bps + state.fees.round_trip_bps,
            opened_wall_ns=self._clock.wall_ns(),
            opened_boot_ns=self._clock.boot_ns(),
            carried=self._carried(state.route, touches, fx),
        )
        plans = {
            leg: LegPlan(position.instrument(leg), position.entry_side(leg), touches[leg])
            for leg in LEGS
        }
        position.budget = price(plans, sized, fx, self._bounds)
        exceeded = position.budget.worst_usd > self.bearable_usd()
        self._guard.note_budget(state.route.asset, exceeded=exceeded)
        return None if exceeded else position

    def _carried(self, route: Route, touches: dict[str, Touch], fx: Fx) -> tuple[Fill, ...]:
        """Return what earlier round trips left of both instruments, at its worth now."""
        instruments = dict(zip(LEGS, (route.upbit, route.binance), strict=True))
        return tuple(
            dust_fill(leg, instrument, dust, touches[leg], fx)
            for leg, instrument in instruments.items()
            if (dust := self._dust.get(instrument.key, ZERO))
        )

    def bearable_usd(self) -> Decimal:
        """Return what a new round trip may lose at worst, beside those that are open."""
        positions = (state.position for state in self._market.open_positions())
        at_stake = sum((p.budget.worst_usd for p in positions if p is not None), ZERO)
        return self._loss_left_usd() - at_stake
