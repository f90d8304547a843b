"""Two instruments, a market that stands still, and a gate that answers from a script."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from interlock_core.clock import NS_PER_S, ManualClock
from interlock_core.instrument import Instrument, Route, Side, Venue
from interlock_core.money import ZERO
from interlock_core.wire.gate import OrderIntent, OrderResult, Outcome
from interlock_engine.account.leg import LEG_UPBIT
from interlock_engine.account.pnl import Fx, Touch
from interlock_engine.account.position import Position
from interlock_engine.decide.budget import Budget
from interlock_engine.decide.spread import Direction
from interlock_engine.execute.legs import Legs, LegSettings
from interlock_engine.ledger.records import Record

SESSION = "20261123T000000Z-paper-test"
FX = Fx(Decimal(1400), Decimal(1401))
UPBIT_ETH = Instrument(
    venue=Venue.UPBIT,
    symbol="KRW-ETH",
    asset="ETH",
    quote="KRW",
    tick=None,
    lot=Decimal("0.00000001"),
    min_quantity=ZERO,
    max_quantity=Decimal(10**9),
    min_notional=Decimal(5000),
    max_notional=Decimal(10**9),
)
PERP_ETH = Instrument(
    venue=Venue.BINANCE_PERP,
    symbol="ETHUSDT",
    asset="ETH",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    max_quantity=Decimal(1000),
    min_notional=Decimal(20),
    max_notional=None,
)
ROUTE = Route("ETH", UPBIT_ETH, PERP_ETH)
UPBIT_TOUCH = Touch(Decimal(2_800_000), Decimal(2_801_000))
PERP_TOUCH = Touch(Decimal("1999.99"), Decimal("2000.00"))


WIDE = Budget(
    entry={"a": Decimal(10**9), "b": Decimal("0.01")},
    unwind={"a": Decimal(1), "b": Decimal(10**9)},
    legging_ns=3 * NS_PER_S,
    worst_usd=Decimal(5),
)
# For the opposite direction, whose bounds lie on the other side.
WIDE_MIRRORED = Budget(WIDE.unwind, WIDE.entry, WIDE.legging_ns, WIDE.worst_usd)


def new_position(
    direction: Direction = Direction.BUY_UPBIT,
    quantity: Decimal = Decimal("0.125"),
    budget: Budget | None = None,
) -> Position:
    """Return an empty position of ETH; unless one is given, no budget binds."""
    is_buy = direction is Direction.BUY_UPBIT
    return Position(
        number=1,
        route=ROUTE,
        direction=direction,
        quantity=quantity,
        budget=budget or (WIDE if is_buy else WIDE_MIRRORED),
        edge_bps=25.0,
        cost_bps=20.0,
        opened_wall_ns=1,
        opened_boot_ns=1,
    )


def result(
    intent: OrderIntent,
    filled: Decimal,
    *,
    outcome: Outcome | None = None,
    code: str | None = None,
    fee: Decimal = ZERO,
) -> OrderResult:
    """Return a result that fills at the quoted price."""
    if outcome is None:
        full = filled == intent.quantity
        outcome = Outcome.FILLED if full else Outcome.PARTLY_FILLED if filled else Outcome.UNFILLED
    return OrderResult(
        intent_id=intent.intent_id,
        client_order_id=None,
        outcome=outcome,
        code=code,
        detail=None,
        filled_quantity=filled,
        average_price=intent.quoted_price if filled else ZERO,
        fee=fee,
        fee_currency="KRW" if intent.instrument.startswith("UPBIT") else "USDT",
        venue_order_id=None,
        latency_ms=1.0,
    )


Answer = Callable[[OrderIntent], OrderResult]


def fill(share: str = "1") -> Answer:
    """Return an answer that fills a share of the order."""
    return lambda intent: result(intent, intent.quantity * Decimal(share))


def taxed(intent: OrderIntent) -> OrderResult:
    """Answer with a fill whose fee a purchase pays in the asset, as Binance's spot market does."""
    done = result(intent, intent.quantity)
    if intent.side is Side.SELL:
        return done
    return replace(done, fee=intent.quantity / 1000, fee_currency="ETH")


def veto(code: str) -> Answer:
    """Return an answer that refuses the order."""
    return lambda intent: result(intent, ZERO, outcome=Outcome.VETOED, code=code)


def unknown(intent: OrderIntent) -> OrderResult:
    """Answer that nothing is known."""
    return result(intent, ZERO, outcome=Outcome.UNKNOWN)


@dataclass
class FakeGate:
    """Answers each order from a script, then fills; `proofs` answer what was unknown."""

    script: list[Answer] = field(default_factory=list)
    proofs: list[Answer] = field(default_factory=list)
    sent: list[OrderIntent] = field(default_factory=list)
    epoch: int = 1

    async def submit(self, intent: OrderIntent) -> OrderResult:
        self.sent.append(intent)
        return (self.script.pop(0) if self.script else fill())(intent)

    async def prove(self, intent: OrderIntent) -> OrderResult:
        return self.proofs.pop(0)(intent)


class FakeMarket:
    """Stands still; a leg or the FX rate can be made to vanish."""

    def __init__(self) -> None:
        self.missing: set[str] = set()

    def touch(self, _position: Position, leg: str) -> Touch | None:
        if leg in self.missing:
            return None
        return UPBIT_TOUCH if leg == LEG_UPBIT else PERP_TOUCH

    def fx(self) -> Fx | None:
        return None if "fx" in self.missing else FX


class Notes:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.doubts: list[str] = []
        self.settled_orders: list[tuple[OrderIntent, OrderResult]] = []
        self.phases: list[str] = []
        self.kept: list[str] = []
        self.over: list[str] = []
        self.can_keep = True

    def sending(self, _position, order) -> bool:
        self.kept.append(order.intent.intent_id)
        return self.can_keep

    def moved(self, position) -> None:
        self.phases.append(position.phase.value)

    def over_budget(self, _position, order) -> None:
        self.over.append(order.intent.intent_id)

    def doubt_began(self, _order) -> None:
        self.doubts.append("began")

    def doubt_ended(self, _order) -> None:
        self.doubts.append("ended")

    def settled(self, _position, order, result) -> None:
        self.settled_orders.append((order.intent, result))


@dataclass
class Rig:
    """Legs with everything around them faked."""

    gate: FakeGate
    market: FakeMarket
    notes: Notes
    legs: Legs
    clock: ManualClock
    unconfirmed: set[int]

    def sent(self) -> list[tuple[str, str, Side, Decimal]]:
        """Return leg, purpose, side and quantity of every order sent."""
        return [(i.leg, i.purpose.value, i.side, i.quantity) for i in self.gate.sent]


def new_rig(*, sequential: bool = True) -> Rig:
    """Return a fresh rig."""
    gate, market, notes, clock = FakeGate(), FakeMarket(), Notes(), ManualClock()
    settings = leg_settings(sequential=sequential)
    unconfirmed: set[int] = set()
    legs = Legs(
        gate,
        quotes=market,
        observer=notes,
        clock=clock,
        settings=settings,
        session_id=SESSION,
        unconfirmed=unconfirmed,
    )
    return Rig(gate, market, notes, legs, clock, unconfirmed)


def leg_settings(*, sequential: bool = True) -> LegSettings:
    """Return how orders are placed."""
    return LegSettings(
        sequential=sequential,
        entry_collar_bps=Decimal(15),
        exit_collar_bps=Decimal(40),
        legging_ns=3 * NS_PER_S,
    )


class Memory:
    """A ledger in memory; `full` makes it fail as a full disk would."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.full = False

    def append(self, record: Record) -> bool:
        if not self.full:
            self.records.append(record)
        return not self.full

    async def sync(self) -> bool:
        return not self.full
