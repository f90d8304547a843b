"""A loop and a trader over a market that tests move by hand; the gate is the scripted one."""

import asyncio
from decimal import Decimal

from tests.unit.engine.fakes import ROUTE, SESSION, FakeGate, Memory, leg_settings

from interlock_core.clock import NS_PER_S, ManualClock
from interlock_engine.book.book import Book
from interlock_engine.book.market import Market, Venue
from interlock_engine.book.route import RouteState, fees_of
from interlock_engine.decide.exits import ExitSettings
from interlock_engine.decide.guards import EntryGuard, GuardSettings, Health
from interlock_engine.decide.signal import Baseline, SignalSettings
from interlock_engine.execute.legs import Legs
from interlock_engine.execute.planner import Planner
from interlock_engine.execute.trader import Trader
from interlock_engine.loop import Loop, Strategy
from interlock_engine.observe.scoreboard import Scoreboard

SIZE = 1_000.0
STRATEGY = Strategy(
    SignalSettings(half_life_s=100.0, warm_up_s=5.0, pool_s=0.0, threshold_bps=10.0),
    ExitSettings(take_profit_bps=10.0, stop_loss_bps=100.0, time_limit_s=60.0, reversal_bps=5.0),
)


class Permission:
    """The gatekeeper's yes or no."""

    def __init__(self) -> None:
        self.has_session = True
        self.armed = True
        self.asked = 0

    async def ask(self) -> bool:
        self.asked += 1
        return self.armed


class World:
    """ETH on Upbit and as a perpetual, FX at 1,400; premiums are set in bps."""

    def __init__(self, *, sequential: bool = True) -> None:
        self.clock = ManualClock()
        self.ledger = Memory()
        self.score = Scoreboard(self.clock, self.ledger, ())
        self.loss_left_usd = Decimal(500)
        self.unconfirmed: set[int] = set()
        self.gate = FakeGate()
        self.permission = Permission()
        self.market = Market(Venue("UPBIT"), Venue("BINANCE_PERP"), self.clock)
        settings = STRATEGY.signal
        baseline = Baseline(settings.half_life_s, settings.warm_up_s)
        self.state = RouteState(ROUTE, Book(), Book(), baseline, fees_of(ROUTE))
        self.market.routes["ETH"] = self.state
        self.health = Health(gate_ready=True)
        self.guard = EntryGuard(
            GuardSettings(3 * NS_PER_S, 8 * NS_PER_S, 30 * NS_PER_S, 3),
            self.health,
            on_trigger=self.score.guard_triggered,
        )
        legs = Legs(
            self.gate,
            quotes=self.market,
            observer=self.score,
            clock=self.clock,
            settings=leg_settings(sequential=sequential),
            session_id=SESSION,
            unconfirmed=self.unconfirmed,
        )
        self.trader = Trader(
            self.market,
            legs=legs,
            planner=Planner(
                self.market,
                bounds=leg_settings().bounds(STRATEGY.exits.stop_loss_bps),
                guard=self.guard,
                clock=self.clock,
                loss_left_usd=lambda: self.loss_left_usd,
                dust=self.score.dust,
            ),
            permission=self.permission,
            reporter=self.score,
            guard=self.guard,
            clock=self.clock,
            cooldown_ns=10 * NS_PER_S,
            unconfirmed=self.unconfirmed,
        )
        self.trader.planner.notional_usd = Decimal(250)
        self.latencies: list[int] = []
        self.loop = Loop(
            self.market,
            strategy=STRATEGY,
            guard=self.guard,
            hands=self.trader,
            clock=self.clock,
            record_latency_ns=self.latencies.append,
        )

    def quote(self, premium_bps: float) -> None:
        """Put a premium into the books, one KRW 1,000 tick wide, and let both venues speak."""
        now = self.clock.boot_ns()
        self.market.fx_book.set_levels([(1400.0, SIZE)], [(1400.1, SIZE)], now)
        self.state.binance.set_levels([(2000.0, SIZE)], [(2000.01, SIZE)], now)
        bid = round(2000.0 * 1400.0 * (1 + premium_bps / 1e4) / 1000) * 1000.0
        self.state.upbit.set_levels([(bid, SIZE)], [(bid + 1000.0, SIZE)], now)
        self.market.upbit.last_ns = self.market.binance.last_ns = now

    def step(self, premium_bps: float, *, seconds: float = 1.0) -> None:
        """Let time pass, quote, and decide."""
        self.clock.advance(int(seconds * NS_PER_S))
        self.quote(premium_bps)
        self.loop.step(self.state, self.clock.boot_ns())

    def warm_up(self, premium_bps: float = 100.0) -> None:
        """Quote one premium until the baseline is warm."""
        for _ in range(8):
            self.step(premium_bps)

    async def settle(self) -> None:
        """Let every task of the trader finish."""
        while self.state.busy:
            await asyncio.sleep(0)
