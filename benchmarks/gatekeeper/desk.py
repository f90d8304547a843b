"""The gatekeeper's machine in this process, on a clock that moves only when told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from itertools import islice

from benchmarks.gatekeeper import market
from benchmarks.report import BenchmarkError
from interlock_core.clock import NS_PER_MS, NS_PER_S, ManualClock, monotonic_ns
from interlock_core.instrument import Venue, parse_key
from interlock_core.money import ZERO
from interlock_core.wire.gate import OrderIntent, OrderResult, Outcome, Purpose, SessionOpen
from interlock_gatekeeper.machine import Known, Machine, Submit
from interlock_gatekeeper.policy import Denied
from interlock_gatekeeper.recorder import Refusal
from interlock_gatekeeper.seen import Balances, Reference, VenueSeen
from interlock_gatekeeper.state import Now, OpenOrder, Paper, State
from interlock_gatekeeper.transport import Answer
from interlock_gatekeeper.vault import PAPER_VAULT
from interlock_gatekeeper.venues.binance import PERP, Binance
from interlock_gatekeeper.venues.upbit import Upbit

CONFIG = "c" * 64
FX_KEY = "UPBIT:KRW-USDT"
APPROVED, KNOWN = "approved", "known"
REFRESH_NS = NS_PER_S
AGES_NS = 10**9 * NS_PER_S
# A position so large that many small exits of it can be open at once.
PARKED, PART, LOT = Decimal(2), Decimal("0.1"), Decimal("0.001")
# Slow enough for every limit on the rate of orders: what is measured is a decision, not a limit.
STEP_NS = 200 * NS_PER_MS


class Desk:
    """One machine with an open session on every instrument, and round trips to decide on."""

    def __init__(self, session: str, *, positions_at_once: int) -> None:
        self.clock = ManualClock()
        self.state = State(environment="paper")
        self.machine = Machine(self.state, config_sha256=CONFIG, has_secrets=False)
        self.outcomes: Counter[str] = Counter()
        self._orders = market.round_trips(session, at_once=positions_at_once)
        self._refreshed_ns = 0
        self._load_market()
        self.machine.recovered(self.now)
        asked = SessionOpen(1, session, "paper", CONFIG, market.KEYS)
        opened = self.machine.open_session(asked, self.now)
        if isinstance(opened, Refusal):
            raise BenchmarkError(f"no session: {opened.code}: {opened.detail}")
        # As if every heartbeat came: none is part of a decision.
        self.state.phase = Paper(replace(opened, lease_until_ns=AGES_NS))
        self.machine.take_records()

    @property
    def now(self) -> Now:
        """Return both clocks."""
        return Now(self.clock.wall_ns(), self.clock.boot_ns())

    def _load_market(self) -> None:
        """Read instruments and prices as the gatekeeper reads them from its venues."""
        upbit = Upbit("http://venue", PAPER_VAULT.upbit)
        perp = Binance(PERP, "http://venue", PAPER_VAULT.binance)
        self.state.instruments.update(upbit.read_instruments(_says(market.upbit_markets())))
        self.state.instruments.update(perp.read_instruments(_says(market.perp_exchange_info())))
        self._prices = {
            f"{venue}:{symbol}": best
            for venue, prices in (
                (Venue.UPBIT, upbit.read_prices(_says(market.upbit_books()))),
                (Venue.BINANCE_PERP, perp.read_prices(_says(market.perp_tickers()))),
            )
            for symbol, best in prices.items()
        }

    def _let_time_pass(self) -> None:
        self.clock.advance(STEP_NS)
        now_ns = self.clock.boot_ns()
        if now_ns - self._refreshed_ns >= REFRESH_NS:
            self._refreshed_ns = now_ns
            for key, best in self._prices.items():
                self.state.references[key] = Reference(best.bid, best.ask, now_ns)
            self.state.krw_per_usdt = self.state.references[FX_KEY]
            self._see(now_ns)

    def _see(self, now_ns: int) -> None:
        """Let everything that is only seen be there, fresh and in order."""
        funds = dict.fromkeys((asset.name for asset in market.ASSETS), Decimal(10**6))
        funds |= {"KRW": Decimal(10**12), "USDT": Decimal(10**9)}
        seen = self.state.seen
        seen.self.free_bytes, seen.fx_median = 10**12, self.state.references[FX_KEY].bid
        for venue in (Venue.UPBIT, Venue.BINANCE_PERP):
            seen.venues[venue] = VenueSeen(
                filters_ns=now_ns,
                answered_ns=now_ns,
                private_ok_ns=now_ns,
                balances=Balances(funds, funds, {}, now_ns),
            )

    def next_intent(self) -> OrderIntent:
        """Return the next order of the round trips, created now, a step after the last one."""
        self._let_time_pass()
        return self.stamped(next(self._orders))

    def later(self, intent: OrderIntent) -> OrderIntent:
        """Return an intent as created a step from now."""
        self._let_time_pass()
        return self.stamped(intent)

    def stamped(self, intent: OrderIntent) -> OrderIntent:
        """Return an intent as created now in the running epoch."""
        return replace(intent, created_boot_ns=self.clock.boot_ns(), epoch=self.state.epoch)

    def decide(self, intent: OrderIntent, expected: str) -> int:
        """Return the nanoseconds one decision took; raise where it is not the expected one.

        An approved order stays open: `settle` it.
        """
        now = self.now
        start = monotonic_ns()
        decision = self.machine.order(intent, now)
        took = monotonic_ns() - start
        found = _name(decision)
        self.outcomes[found] += 1
        if found != expected:
            detail = decision.detail if isinstance(decision, Denied) else ""
            raise BenchmarkError(f"expected {expected}, was {found} {detail}: {intent}")
        self.machine.take_records()
        return took

    def settle(self, intent: OrderIntent) -> None:
        """Fill an approved order whole."""
        order = self.state.open_orders[intent.intent_id]
        self.machine.settle(_filled(order), self.now)
        self.machine.take_records()

    def leave_open(self, orders: int) -> None:
        """Settle two entries of a large round trip, then leave this many small exits of it open."""
        pair = islice(market.round_trips("bench-open", at_once=1), 2)
        entries = [replace(intent, quantity=PARKED) for intent in pair]
        for intent in entries:
            self.decide(self.later(intent), APPROVED)
            self.settle(intent)
        for number in range(orders):
            entry = entries[number % len(entries)]
            part = replace(
                entry,
                intent_id=f"open-{number:04d}",
                purpose=Purpose.EXIT,
                side=entry.side.opposite,
                price=entry.quoted_price,
                # No two alike: a copy under another id may be refused.
                quantity=PART + number * LOT,
                edge_bps=ZERO,
            )
            self.decide(self.later(part), APPROVED)


def _name(decision: Submit | Known | Denied) -> str:
    match decision:
        case Submit():
            return APPROVED
        case Known():
            return KNOWN
        case Denied():
            return str(decision.reason)


def _filled(order: OpenOrder) -> OrderResult:
    return OrderResult(
        intent_id=order.intent.intent_id,
        client_order_id=order.client_order_id,
        outcome=Outcome.FILLED,
        code=None,
        detail=None,
        filled_quantity=order.intent.quantity,
        average_price=market.FILL_PRICES[parse_key(order.intent.instrument)[1]],
        fee=ZERO,
        fee_currency="USDT",
        venue_order_id="1",
        latency_ms=1.0,
    )


def _says(body: bytes) -> Answer:
    return Answer(200, body)
