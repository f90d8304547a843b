"""The invariants, under every order of events that hypothesis finds: crashes included."""

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.gatekeeper.conftest import PERP_BTC, make

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Side
from interlock_core.wire.gate import Outcome
from interlock_gatekeeper import budget
from interlock_gatekeeper.machine import Submit
from interlock_gatekeeper.records import Kind, apply
from interlock_gatekeeper.state import Boot, Live, Paper, Session, State


class Lifecycle(RuleBasedStateMachine):
    """An operator, an engine and a venue that may all misbehave, over one gatekeeper core."""

    @initialize(environment=st.sampled_from(["paper", "live"]))
    def start(self, environment):
        self.bench = make(environment)
        self.environment = environment
        self.written = {}  # client order id -> intent id: what reached the wire
        self.pending = []  # reserved orders not yet rechecked
        self.traveling = []  # written orders without a proven end
        self.count = 0
        self.arms = []
        self.epochs = []

    @rule(offset_s=st.integers(-700, 5), notional=st.sampled_from(["10", "50", "1000", "5", "x"]))
    def arm(self, offset_s, notional):
        at_ns = (self.bench.clock.wall_ns() // NS_PER_S + offset_s) * NS_PER_S
        if self.bench.arm(notional=notional, at_ns=at_ns) is None:
            assert self.environment == "live"
            assert not self.arms or at_ns > max(self.arms), "V9: accepted times rise strictly"
            self.arms.append(at_ns)
        self.bench.take()

    @rule(stage=st.sampled_from(["paper", "smoke", "pilot"]))
    def open(self, stage):
        before = self.bench.state.phase_name
        opened = self.bench.open(stage, session_id=f"session-{self.count}")
        if isinstance(opened, Session):
            assert before in ("ARMED", "PAPER"), "V4: only an arm (or paper) leads to a session"
            assert not self.epochs or opened.epoch > max(self.epochs), "V3: epochs rise"
            self.epochs.append(opened.epoch)
        self.bench.take()

    @rule()
    def beat(self):
        self.bench.machine.heartbeat(self.bench.state.epoch, self.bench.now)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1, 2.9, 3, 61, 601]), refresh=st.booleans())
    def wait(self, seconds, refresh):
        self.bench.advance(seconds)
        self.bench.machine.tick(self.bench.now)
        if refresh:
            self.bench.refresh()

    @rule(
        side=st.sampled_from(Side),
        lots=st.integers(1, 4),
        stale=st.booleans(),
        repeat=st.booleans(),
    )
    def order(self, side, lots, stale, repeat):
        if not repeat:
            self.count += 1
        price = Decimal("10000.0") if side is Side.BUY else Decimal("9999.9")
        intent = self.bench.intent(
            f"intent-{self.count:04}",
            side=side,
            price=price,
            quantity=Decimal("0.001") * lots,
            epoch=self.bench.state.epoch - stale,
        )
        decision = self.bench.machine.order(intent, self.bench.now)
        if isinstance(decision, Submit):
            state, order = self.bench.state, decision.order
            total = budget.reserved_usd(state) + budget.exposure_usd(state)
            assert order.reducing or total <= state.session.gross_cap_usd, "V1: over the cap"
            position = state.positions.get(PERP_BTC, Decimal(0))
            assert not order.reducing or order.intent.quantity <= abs(position), "V13: a flip"
            assert not stale, "V3: an order of an older epoch was approved"
            self.pending.append(decision.order)
        self.bench.take()

    @precondition(lambda self: getattr(self, "pending", None))
    @rule()
    def write(self):
        order = self.pending.pop(0)
        if self.bench.machine.recheck(order, self.bench.now) is not None:
            return
        state = self.bench.state
        assert isinstance(state.phase, Live | Paper), "V2: written outside a session"
        assert state.session is not None
        assert state.session.epoch == order.intent.epoch
        assert self.bench.now.boot_ns < state.session.lease_until_ns
        assert order.client_order_id not in self.written, "V7: written twice"
        sent = [r for r in self.bench.journal if r.kind is Kind.SENT]
        assert order.client_order_id in [r.data["client_order_id"] for r in sent], "V6"
        self.written[order.client_order_id] = order.intent.intent_id
        self.traveling.append(order)

    @precondition(lambda self: getattr(self, "traveling", None))
    @rule(filled=st.integers(0, 4), lost=st.booleans())
    def answer(self, filled, lost):
        order = self.traveling[0]
        if lost:
            self.bench.machine.unknown(order, "lost")
            return
        self.traveling.pop(0)
        quantity = min(Decimal("0.001") * filled, order.intent.quantity)
        outcome = Outcome.FILLED if quantity else Outcome.UNFILLED
        self.bench.machine.settle(self.bench.result(order, quantity, outcome))
        self.bench.take()

    @rule()
    def kill(self):
        self.bench.machine.kill(self.bench.now, cause="TEST", actor="test")
        self.bench.take()

    @rule()
    def reset(self):
        if self.bench.machine.reset(self.bench.now, "test") is None:
            expected = "PAPER" if self.environment == "paper" else "DISARMED"
            assert self.bench.state.phase_name == expected, "V11"
            assert self.bench.state.session is None
        self.bench.take()

    @rule()
    def disarm(self):
        self.bench.machine.disarm("test")
        self.bench.take()

    @rule()
    def crash(self):
        # What was reserved and not written dies with the process; the journal keeps it in doubt.
        self.traveling += self.pending
        self.pending = []
        self.bench.restart()
        assert self.bench.state.phase_name in ("DISARMED", "KILLED", "PAPER"), "V11"
        assert self.bench.state.session is None

    @invariant()
    def no_reservation_is_forgotten(self):
        if not hasattr(self, "bench"):
            return
        state = self.bench.state
        assert not isinstance(state.phase, Boot)
        for order in self.traveling:
            assert order.intent.intent_id in state.open_orders, "V10: a reservation was lost"

    @invariant()
    def replay_gives_the_same_state(self):
        if not hasattr(self, "bench"):
            return
        self.bench.take()
        twin = replayed(self.bench)
        assert twin.settled == self.bench.state.settled, "V14"
        assert twin.positions == self.bench.state.positions
        assert twin.open_orders == self.bench.state.open_orders
        assert twin.epoch == self.bench.state.epoch
        assert twin.high_water_mark_ns == self.bench.state.high_water_mark_ns
        assert twin.phase_name == self.bench.state.phase_name


def replayed(bench):
    """Return the state that the journal alone rebuilds."""
    state = State(environment=bench.state.environment)
    for record in bench.journal:
        apply(state, record)
    return state


Lifecycle.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestLifecycle = Lifecycle.TestCase
