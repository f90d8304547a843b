"""An operator, an engine, a venue and a disk that may all misbehave, over one gatekeeper core.

What the shell does around the machine (append, make durable, recheck, write, ask) is repeated here
in its order of effects, and the process may die before any effect. The V numbers are the
specification's invariants.
"""

from contextlib import contextmanager
from decimal import Decimal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.gatekeeper.conftest import PERP_BTC, PRICES, make

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Side
from interlock_core.wire.gate import Outcome
from interlock_gatekeeper.journal import needs_sync
from interlock_gatekeeper.machine import Machine, Submit
from interlock_gatekeeper.records import Kind, apply
from interlock_gatekeeper.state import Session, State

LOT = Decimal("0.001")
BID, ASK = PRICES[PERP_BTC]
# No request of ours reaches the venue later than this after its write.
LATE_NS = 5 * NS_PER_S
INDEX = st.integers(0, 7)
# One lot is within the cap of every stage.
LOTS = st.sampled_from([1, 1, 1, 2, 4])


class Crash(Exception):  # noqa: N818 - not an error: what the test does to the process
    """The process dies here."""


def started(name):
    """Let a rule run only while there is something in this collection."""
    return precondition(lambda self: bool(getattr(self, name, None)))


def during(*phases):
    """Let a rule run in these phases only: elsewhere the table test has shown what it does."""
    return precondition(
        lambda self: hasattr(self, "bench") and self.bench.state.phase_name in phases
    )


class Lifecycle(RuleBasedStateMachine):
    """Rules are events in any order; assertions are made at effects and after every step."""

    machine = Machine
    late_ns = LATE_NS

    @initialize(environment=st.sampled_from(["paper", "live", "live"]))
    def start(self, environment):
        self.bench = make(environment, self.machine)
        self.bench.ready()
        self.bench.take()
        self.forget_twin()
        self.live = environment == "live"
        self.durable = 0  # journal records that survive a loss of power
        self.dies_in = None  # effects until the process dies
        self.power_fails = False
        self.pending = []  # reserved, not yet written
        self.traveling = {}  # client order id -> (order, time of the write): on its way
        self.ended = {}  # client order id -> filled quantity: the venue's truth
        self.written = {}  # client order id -> order: what ever reached the wire
        self.asked = {}  # client order id -> since when the venue is asked
        self.posted = []  # every intent the engine made
        self.arms, self.epochs = [], []
        self.fresh = False  # an operator armed since boot, reset and session end
        self.killed = False  # a kill was acknowledged and not yet reset

    # The shell

    def effect(self):
        """Die here if it is time to."""
        if self.dies_in == 0:
            raise Crash
        if self.dies_in is not None:
            self.dies_in -= 1

    def append(self):
        records = self.bench.machine.take_records()
        if records:
            self.effect()
        for record in records:
            assert record.kind is not Kind.FLAT or not self.traveling, "V8: FLAT, yet one travels"
            assert record.kind is not Kind.FLAT or not self.pending, "V8: FLAT, yet one may leave"
        self.bench.journal.extend(records)
        return records

    def sync(self):
        self.effect()
        self.durable = len(self.bench.journal)

    def commit(self):
        """Journal what was decided, as durable as it must be; then the caller may be told."""
        if any(needs_sync(record) for record in self.append()):
            self.sync()
        self.effect()

    def send(self, order):
        """Write a reserved order unless the last check says no."""
        self.sync()
        if self.bench.recheck(order) is None:
            self.effect()
            self.write(order)
        self.commit()

    @contextmanager
    def process(self):
        """Run one event in the process; where it dies of it, start the next one."""
        try:
            yield
        except Crash:
            self.restart()

    def restart(self):
        self.bench.machine.take_records()  # decided, never appended
        if self.power_fails:
            del self.bench.journal[self.durable :]
        self.dies_in, self.power_fails, self.fresh = None, False, False
        self.pending, self.asked = [], {}
        self.bench.restart()
        self.durable = len(self.bench.journal)
        self.forget_twin()
        assert self.bench.state.phase_name in ("DISARMED", "KILLED", "PAPER"), "V11: after a boot"
        assert self.bench.state.session is None, "V11: a session after a boot"

    def forget_twin(self):
        """Begin the state that the journal alone rebuilds anew."""
        self.twin, self.replayed = State(environment=self.bench.state.environment), 0

    # The truth

    def write(self, order):
        """Put an order on the wire: what must hold in this very tick is asserted here."""
        state, cid = self.bench.state, order.client_order_id
        session = state.session
        assert session is not None, "V2: written outside a session"
        assert self.bench.now.boot_ns < session.lease_until_ns, "V2: written without a lease"
        assert not self.killed, "V5: written after an acknowledged kill"
        [intent] = {i for i in self.posted if i.intent_id == order.intent.intent_id}
        assert session.epoch == intent.epoch, "V3: written in another epoch than its own"
        durable = self.bench.journal[: self.durable]
        recorded = {r.data["client_order_id"] for r in durable if r.kind is Kind.SENT}
        assert cid in recorded, "V6: written before its record was durable"
        assert cid not in self.written, "V7: written twice"
        self.written[cid] = order
        self.traveling[cid] = (order, self.bench.now.boot_ns)
        at_risk = [o.notional_usd for o, _ in self.traveling.values() if not o.reducing]
        exposure = sum(at_risk, abs(self.true_position(self.ended)) * ASK)
        assert order.reducing or exposure <= session.caps.gross_usd, "V1: over the cap"

    def true_position(self, cids):
        """Return what the venue filled of these orders."""
        return sum(
            (
                self.ended[cid] * (1 if self.written[cid].intent.side is Side.BUY else -1)
                for cid in cids
            ),
            Decimal(0),
        )

    # The operator

    @rule(
        offset_s=st.sampled_from([-601, -600, -300, -1, 0, 0, 0, 2, 3]),
        notional=st.sampled_from(["12", "12", "50", "1000", "5", "x"]),
    )
    def arm(self, offset_s, notional):
        self.arm_at((self.bench.clock.wall_ns() // NS_PER_S + offset_s) * NS_PER_S, notional)

    @started("arms")
    @rule(index=INDEX)
    def arm_again(self, index):
        """Repeat a stamp when nothing else is in the way."""
        self.clear_up()
        self.arm_at(self.arms[index % len(self.arms)], "50")

    def arm_at(self, at_ns, notional):
        with self.process():
            refusal = self.bench.arm(notional=notional, at_ns=at_ns)
            self.fresh |= refusal is None
            self.commit()
            if refusal is None:
                assert self.live, "V4: paper armed"
                assert not self.arms or at_ns > max(self.arms), "V9: accepted times rise strictly"
                assert not self.traveling, "V8: armed while an order travels"
                self.arms.append(at_ns)

    @rule(dies_in=st.sampled_from([None, None, 0, 1, 2]), power_fails=st.booleans())
    def kill(self, dies_in, power_fails):
        self.dies_in, self.power_fails = dies_in, power_fails
        with self.process():
            self.bench.kill()
            self.commit()
            self.sync()  # a second kill, too, is told only what is on the disk
            self.killed = True

    @during("KILLED")
    @rule()
    def reset(self):
        with self.process():
            accepted = self.bench.reset() is None
            if accepted:
                expected = "DISARMED" if self.live else "PAPER"
                assert self.bench.state.phase_name == expected, "V11: after a reset"
                self.killed = False
            self.commit()
            if accepted and not self.bench.state.positions:
                # Taken over by the operator, who repeated the residual's hash.
                doubts = {o.client_order_id for o in self.bench.state.open_orders.values()}
                self.ended = {cid: q for cid, q in self.ended.items() if cid in doubts}

    @during("ARMED", "LIVE", "PAPER")
    @rule(by_operator=st.booleans())
    def end(self, by_operator):
        with self.process():
            (self.bench.disarm if by_operator else self.bench.close)()
            self.commit()

    @during("DISARMED", "EXPIRED", "KILLED", "PAPER")
    @rule(seconds=st.sampled_from([0, 2, 2, 2]), answered=st.sampled_from([True, True, False]))
    def sweep(self, seconds, answered):
        """List the venue's open orders: IOC orders never rest, but they may still arrive."""
        if seconds:
            self.lapse(seconds)
        with self.process():
            self.bench.sweep(problem=None if answered else "no answer")
            self.commit()

    # The engine

    @rule(side=st.sampled_from(Side), lots=LOTS, orders=st.integers(1, 3), leave=st.booleans())
    def trade(self, side, lots, orders, leave):
        """Order as well-behaved people and engines do: clear up, reset, arm, open as needed."""
        if self.bench.state.session is None and self.bench.state.open_orders:
            self.ask_all()
            self.lapse(6)
            self.ask_all()
        if self.bench.state.arm_locked_until_ns > self.bench.now.boot_ns:
            self.lapse(601)
        if self.bench.state.phase_name == "KILLED":
            self.lapse(61)
            self.clear_up()
            self.reset()
        if self.live and self.bench.state.phase_name in ("DISARMED", "EXPIRED"):
            self.clear_up()
        self.bench.refresh()
        if self.live and self.bench.state.phase_name == "DISARMED":
            self.arm_at(self.bench.clock.wall_ns() // NS_PER_S * NS_PER_S, "12")
        if self.bench.state.session is None:
            self.open("smoke" if self.live else "paper")
        for _ in range(orders):
            self.order(side, lots, stale=False)
        while leave and self.pending:
            self.leave(0, connects=True)

    def clear_up(self):
        for _ in range(3):
            self.sweep(2, answered=True)

    @during("ARMED", "PAPER", "KILLED")
    @rule(stage=st.sampled_from(["paper", "smoke", "pilot"]))
    def open(self, stage):
        with self.process():
            before = self.bench.state.phase_name
            opened = self.bench.open(stage, session_id=f"session-{len(self.bench.journal)}")
            self.commit()
            if isinstance(opened, Session):
                assert before in ("ARMED", "PAPER"), "V4: only an arm (or paper) leads on"
                assert not self.epochs or opened.epoch > max(self.epochs), "V3: epochs rise"
                self.epochs.append(opened.epoch)

    @rule(stale=st.booleans())
    def beat(self, stale):
        with self.process():
            self.bench.beat(epoch=self.bench.state.epoch - stale)
            self.commit()

    @during("LIVE", "PAPER", "EXPIRED")
    @rule(side=st.sampled_from(Side), lots=LOTS, stale=st.booleans())
    def order(self, side, lots, stale):
        # Each order has its own price, so that none is another one's shape.
        apart = Decimal("0.1") * (len(self.posted) % 40)
        intent = self.bench.intent(
            f"intent-{len(self.posted):04}",
            side=side,
            price=ASK + apart if side is Side.BUY else BID - apart,
            quantity=LOT * lots,
            epoch=self.bench.state.epoch - stale,
        )
        self.posted.append(intent)
        self.post(intent)

    @started("posted")
    @rule(index=INDEX)
    def post_again(self, index):
        """Repeat an intent, as an engine does that lost the reply."""
        self.post(self.posted[-1 - index % len(self.posted)])

    def post(self, intent):
        with self.process():
            self.decided(self.bench.order(intent))

    @during("LIVE")
    @rule()
    def repair(self):
        """Let the gatekeeper close a leg that the engine left open."""
        with self.process():
            self.decided(self.bench.machine.repair(self.bench.now))

    def decided(self, decision):
        if not isinstance(decision, Submit):
            self.commit()
            return
        self.pending.append(decision.order)
        intent = decision.order.intent
        position = self.bench.state.positions.get(PERP_BTC, Decimal(0))
        flips = decision.order.reducing and intent.quantity > abs(position)
        assert not flips, "V13: a reducing order flips"
        self.append()

    # The venue and the network

    @started("pending")
    @rule(index=INDEX, connects=st.sampled_from([True, True, True, False]))
    def leave(self, index, connects):
        order = self.pending.pop(index % len(self.pending))
        with self.process():
            if connects:
                self.send(order)
            else:
                self.bench.abort(order)
                self.commit()

    @started("traveling")
    @rule(index=INDEX, lots=st.sampled_from([0, 0, 1, 4]), lost=st.booleans())
    def arrive(self, index, lots, lost):
        cid = list(self.traveling)[index % len(self.traveling)]
        order, _ = self.traveling.pop(cid)
        if not lost:
            self.ended[cid] = min(LOT * lots, order.intent.quantity)

    def open_order(self, index):
        """Return one order that was written, or whose process died, and that is not proven."""
        held = {order.client_order_id for order in self.pending}
        orders = self.bench.state.open_orders.values()
        known = [order for order in orders if order.client_order_id not in held]
        return known[index % len(known)] if known else None

    @started("written")
    @rule(index=INDEX, lost=st.booleans())
    def answer(self, index, lost):
        """Read the venue's answer, or wait for it in vain."""
        order = self.open_order(index)
        if order is None:
            return
        with self.process():
            if not lost and order.client_order_id in self.ended:
                self.settle(order)
            else:
                self.bench.unknown(order)
            self.commit()

    @started("posted")
    @rule(index=INDEX)
    def resolve(self, index):
        """Ask for an order in doubt."""
        order = self.open_order(index)
        if order is not None and order.unknown:
            self.ask(order)

    def ask(self, order):
        """Settle what the venue knows; that it knows nothing proves something after a while."""
        cid, now_ns = order.client_order_id, self.bench.now.boot_ns
        since = self.asked.setdefault(cid, now_ns)
        with self.process():
            if cid in self.ended:
                self.settle(order)
            elif now_ns - since >= self.late_ns:
                self.bench.settle(self.bench.result(order, 0, Outcome.REJECTED))
            self.commit()

    def ask_all(self):
        for order in self.bench.state.unknown_orders:
            self.ask(order)

    def settle(self, order):
        filled = self.ended[order.client_order_id]
        outcome = Outcome.FILLED if filled else Outcome.UNFILLED
        self.bench.settle(self.bench.result(order, filled, outcome))

    # Time and faults

    @rule(seconds=st.sampled_from([0.1, 0.5, 1, 2.5]))
    def live_on(self, seconds):
        """Let a little time pass with a living engine and living venues."""
        self.lapse(seconds)
        self.bench.refresh()
        self.beat(stale=False)

    @rule(seconds=st.sampled_from([3, 6, 61, 601]))
    def lapse(self, seconds):
        """Let time pass in which nothing is heard of anybody."""
        self.bench.advance(seconds)
        now_ns = self.bench.now.boot_ns
        self.traveling = {
            cid: (order, at) for cid, (order, at) in self.traveling.items() if now_ns - at < LATE_NS
        }
        with self.process():
            self.bench.tick()
            self.bench.machine.guard(self.bench.now)
            self.append()
            self.sync()

    @rule(effects=st.integers(0, 9), power_fails=st.booleans())
    def crash(self, effects, power_fails):
        """Die after so many effects from now."""
        self.dies_in, self.power_fails = effects, power_fails
        with self.process():
            self.effect()

    # After every step

    @invariant()
    def an_operator_stands_behind_trading(self):
        if hasattr(self, "bench"):
            phase = self.bench.state.phase_name
            assert phase != "BOOT"
            self.fresh &= phase in ("ARMED", "LIVE")
            assert self.fresh or phase not in ("ARMED", "LIVE"), "V4: trading without an operator"

    @invariant()
    def an_acknowledged_kill_holds(self):
        if hasattr(self, "bench"):
            assert not self.killed or self.bench.state.phase_name == "KILLED", "V5: kill forgotten"

    @invariant()
    def nothing_at_the_venue_is_forgotten(self):
        if hasattr(self, "bench"):
            state = self.bench.state
            held = {order.client_order_id for order in state.open_orders.values()}
            assert held >= set(self.traveling), "V10: a reservation was lost"
            position = state.positions.get(PERP_BTC, Decimal(0))
            assert position == self.true_position(set(self.ended) - held), "V10: a fill was lost"

    @invariant()
    def replay_gives_the_same_state(self):
        if hasattr(self, "bench"):
            assert not self.bench.take(), "every event journals what it decided"
            for record in self.bench.journal[self.replayed :]:
                apply(self.twin, record)
            self.replayed = len(self.bench.journal)
            state, twin = self.bench.state, self.twin
            assert twin.settled == state.settled, "V14: settled"
            assert twin.positions == state.positions, "V14: positions"
            assert twin.open_orders == state.open_orders, "V14: open orders"
            assert twin.epoch == state.epoch, "V14: epoch"
            assert twin.high_water_mark_ns == state.high_water_mark_ns, "V14: high-water mark"
            assert twin.phase_name == state.phase_name, "V14: phase"
