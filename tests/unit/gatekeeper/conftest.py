"""A machine with two instruments, fresh references and a clock that moves only when told."""

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from interlock_core.arming import ACKNOWLEDGEMENT, ArmRequest
from interlock_core.clock import NS_PER_S, ManualClock, rfc3339
from interlock_core.instrument import Instrument, Side, Venue
from interlock_core.wire.gate import OrderIntent, OrderResult, Outcome, Purpose, SessionOpen
from interlock_gatekeeper.machine import Machine
from interlock_gatekeeper.records import Kind, Record, apply
from interlock_gatekeeper.state import Now, Reference, State

CONFIG = "c" * 64
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
        """Bring every reference price to now."""
        for key, (bid, ask) in PRICES.items():
            self.state.references[key] = Reference(bid, ask, self.now.boot_ns)
        self.state.krw_per_usdt = self.state.references[FX]

    def open(self, stage=None, session_id="session-1"):
        stage = stage or ("paper" if self.state.environment == "paper" else "smoke")
        asked = SessionOpen(1, session_id, stage, CONFIG, (UPBIT_BTC, PERP_BTC))
        opened = self.machine.open_session(asked, self.now)
        self.refresh()
        return opened

    def arm(self, *, notional="50", stage="smoke", at_ns=None):
        at = rfc3339(self.clock.wall_ns() if at_ns is None else at_ns)
        return self.machine.arm(
            ArmRequest(ACKNOWLEDGEMENT, at, notional), stage, now=self.now, actor="test"
        )

    def intent(self, name="intent-0001", **changes):
        base = OrderIntent(
            schema=1,
            intent_id=name,
            group_id="group-0001",
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
        self.machine = Machine(state, config_sha256=CONFIG, has_secrets=True)
        self.machine.recovered(self.now)
        self.refresh()
        self.take()


def make(environment):
    state = State(environment=environment)
    state.instruments.update(INSTRUMENTS)
    bench = Bench(Machine(state, config_sha256=CONFIG, has_secrets=True), ManualClock(), [])
    bench.machine.recovered(bench.now)
    bench.refresh()
    return bench


@pytest.fixture
def paper():
    return make("paper")


@pytest.fixture
def live():
    return make("live")
