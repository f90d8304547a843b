"""A machine with two instruments, fresh references and a clock that moves only when told."""

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from interlock_core.arming import ACKNOWLEDGEMENT, ArmRequest
from interlock_core.clock import NS_PER_S, ManualClock, rfc3339
from interlock_core.instrument import Instrument, Side, Venue
from interlock_core.wire.gate import (
    OrderIntent,
    OrderResult,
    Outcome,
    Purpose,
    SessionOpen,
    Telemetry,
)
from interlock_gatekeeper.arms import Operator
from interlock_gatekeeper.halt import Listing
from interlock_gatekeeper.machine import Machine
from interlock_gatekeeper.records import Kind, Record, aborted_result, apply
from interlock_gatekeeper.seen import Balances, Reference, VenueSeen
from interlock_gatekeeper.state import Now, State

CONFIG, COMMIT = "c" * 64, "a" * 40
OPERATOR = Operator("test", 0)
VENUES = (Venue.UPBIT, Venue.BINANCE_PERP)
UPBIT_BTC, PERP_BTC, FX = "UPBIT:KRW-BTC", "BINANCE_PERP:BTCUSDT", "UPBIT:KRW-USDT"

INSTRUMENTS = {
    UPBIT_BTC: Instrument(
        venue=Venue.UPBIT,
        symbol="KRW-BTC",
        asset="BTC",
        quote="KRW",
        tick=None,
        lot=Decimal("0.00000001"),
        min_quantity=Decimal(0),
        max_quantity=Decimal(10**9),
        min_notional=Decimal(5000),
        max_notional=Decimal(10**9),
    ),
    PERP_BTC: Instrument(
        venue=Venue.BINANCE_PERP,
        symbol="BTCUSDT",
        asset="BTC",
        quote="USDT",
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        max_quantity=Decimal(1000),
        min_notional=Decimal(5),
        max_notional=None,
    ),
}
PRICES = {
    UPBIT_BTC: (Decimal(13_990_000), Decimal(14_000_000)),
    PERP_BTC: (Decimal("9999.9"), Decimal("10000.0")),
    FX: (Decimal(1399), Decimal(1400)),
}


@dataclass
class Bench:
    """A machine under test with the means to drive it."""

    machine: Machine
    clock: ManualClock
    journal: list[Record]

    @property
    def state(self):
        return self.machine.state

    @property
    def now(self):
        return Now(self.clock.wall_ns(), self.clock.boot_ns())

    def advance(self, seconds):
        self.clock.advance(round(seconds * NS_PER_S))

    def take(self):
        records = self.machine.take_records()
        self.journal.extend(records)
        return records

    def refresh(self):
        """Bring everything that is only seen to now, and to what allows."""
        at_ns, state = self.now.boot_ns, self.state
        for key, (bid, ask) in PRICES.items():
            state.references[key] = Reference(bid, ask, at_ns)
        state.krw_per_usdt = state.references[FX]
        state.seen.fx_median = Decimal(1400)
        own = state.seen.self
        own.free_bytes, own.anchor_ns, own.selftest_ns = 10**9, at_ns, at_ns
        own.chain_verified, own.preflight_problem = True, None
        funds = {"USDT": Decimal(10**6), "KRW": Decimal(10**9), "BTC": Decimal(10)}
        for venue in VENUES:
            state.seen.venues[venue] = VenueSeen(
                filters_ns=at_ns,
                answered_ns=at_ns,
                private_ok_ns=at_ns,
                balances=Balances(funds, funds, {}, at_ns),
                resting_orders=0,
                clock_offset_ms=0.0,
                clock_error_ms=10.0,
                clock_ns=at_ns,
                key_problem=None,
                key_ns=at_ns,
            )

    def later(self, seconds=2):
        """Let time pass with a living engine and living venues."""
        for _ in range(seconds):
            self.advance(1)
            self.beat()
        self.refresh()

    def sweep(self, *resting, problem=None):
        """Let one sweep end now; a clean one comes 2 s after another."""
        self.machine.swept(Listing(self.now.boot_ns, resting, problem), self.now)

    def flatten_out(self):
        """Let a halt end: two clean sweeps, 2 s apart."""
        for _ in range(3):
            self.advance(2)
            self.sweep()
        self.refresh()

    def drill(self):
        self.machine.drilled(passed=True, now=self.now)

    def ready(self):
        """Make everything that an arm of smoke needs hold."""
        self.drill()
        self.flatten_out()

    def beat(self, epoch=None, **changes):
        values = {
            "loop_p99_ms": 1.0,
            "cpu_percent": 1.0,
            "memory_mb": 1.0,
            "market_age_ms": 1.0,
            "pnl_usd": 0.0,
            "open_positions": 0,
            **changes,
        }
        epoch = self.state.epoch if epoch is None else epoch
        return self.machine.heartbeat(epoch, self.now, Telemetry(**values))

    def kill(self, cause="TEST"):
        self.machine.kill(self.now, cause=cause, actor="test")

    def reset(self, cause=None, residual=None):
        phase, left = self.state.phase, self.state.residual
        cause = getattr(phase, "cause", "") if cause is None else cause
        residual = (left.sha256 if left else "") if residual is None else residual
        return self.machine.reset(self.now, "test", cause=cause, residual=residual)

    def settle(self, result):
        self.machine.settle(result, self.now)

    def disarm(self):
        self.machine.disarm("test", self.now)

    def close(self):
        self.machine.close("test", self.now)

    def tick(self):
        self.machine.tick(self.now)

    def order(self, intent):
        return self.machine.order(intent, self.now)

    def recheck(self, order):
        return self.machine.recheck(order, self.now)

    def abort(self, order):
        self.machine.abort(aborted_result(order, "VENUE_DOWN", ""), self.now)

    def unknown(self, order):
        self.machine.unknown(order, "no answer", self.now)

    def open(self, stage=None, session_id="session-1"):
        stage = stage or ("paper" if self.state.environment == "paper" else "smoke")
        asked = SessionOpen(1, session_id, stage, CONFIG, (UPBIT_BTC, PERP_BTC))
        opened = self.machine.open_session(asked, self.now, {UPBIT_BTC: Decimal(1)})
        self.refresh()
        return opened

    def arm(self, *, notional="50", stage="smoke", at_ns=None, operator=OPERATOR, ack=None):
        at = rfc3339(self.clock.wall_ns() if at_ns is None else at_ns)
        request = ArmRequest(ACKNOWLEDGEMENT if ack is None else ack, at, notional)
        return self.machine.arm(request, stage, now=self.now, operator=operator)

    def intent(self, name="intent-0001", **changes):
        base = OrderIntent(
            schema=1,
            intent_id=name,
            group_id=name.replace("intent", "group"),
            leg="a",
            purpose=Purpose.ENTRY,
            instrument=PERP_BTC,
            side=Side.BUY,
            type="limit",
            time_in_force="ioc",
            quantity=Decimal("0.001"),
            price=Decimal("10000.0"),
            quoted_price=Decimal("10000.0"),
            edge_bps=Decimal(20),
            created_boot_ns=self.now.boot_ns,
            epoch=self.state.epoch,
        )
        return replace(base, **changes)

    def result(self, order, filled, outcome=Outcome.FILLED):
        return OrderResult(
            intent_id=order.intent.intent_id,
            client_order_id=order.client_order_id,
            outcome=outcome,
            code=None,
            detail=None,
            filled_quantity=Decimal(filled),
            average_price=order.intent.price,
            fee=Decimal(0),
            fee_currency="USDT",
            venue_order_id="v1",
            latency_ms=1.0,
        )

    def restart(self):
        """Lose the process: a new machine replays the journal and recovers."""
        self.take()
        state = State(environment=self.state.environment)
        for record in self.journal:
            apply(state, record)
        boot = Record(Kind.BOOT, {"boot_id": "b", "high_water_mark_ns": 0})
        apply(state, boot)
        self.journal.append(boot)
        state.instruments.update(INSTRUMENTS)
        self.machine = type(self.machine)(
            state, config_sha256=CONFIG, has_secrets=True, commit=COMMIT
        )
        self.machine.recovered(self.now)
        self.refresh()
        self.take()


def make(environment, machine=Machine):
    state = State(environment=environment)
    state.instruments.update(INSTRUMENTS)
    made = machine(state, config_sha256=CONFIG, has_secrets=True, commit=COMMIT)
    bench = Bench(made, ManualClock(), [])
    bench.machine.recovered(bench.now)
    bench.refresh()
    return bench


@pytest.fixture
def paper():
    return make("paper")


@pytest.fixture
def live():
    """A live machine that only needs the operator's three facts to arm."""
    bench = make("live")
    bench.ready()
    return bench
