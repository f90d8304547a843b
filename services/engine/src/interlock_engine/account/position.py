"""One route's open position: only ever what its fills say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from interlock_core.instrument import Instrument, Route, Side
from interlock_core.money import ZERO
from interlock_core.reasons import ExitReason
from interlock_core.wire.gate import Purpose
from interlock_engine.account.leg import LEG_BINANCE, LEG_UPBIT, LEGS
from interlock_engine.account.pnl import Fill, Fx, Touch, cash_usd, mark_usd, unit_usd
from interlock_engine.decide.budget import Budget
from interlock_engine.decide.spread import Direction

BPS = Decimal(10_000)


class Phase(StrEnum):
    """Where a round trip stands; each change is in the ledger before anything follows from it."""

    OPENING = "opening"
    REPAIRING = "repairing"
    UNWINDING = "unwinding"
    HOLDING = "holding"
    CLOSING = "closing"
    DONE = "done"

    @property
    def is_entering(self) -> bool:
        """Say whether the entry is not over: whoever finds it so goes on with it."""
        return self in (Phase.OPENING, Phase.REPAIRING, Phase.UNWINDING)


NEXT: MappingProxyType[Phase, frozenset[Phase]] = MappingProxyType(
    {
        Phase.OPENING: frozenset({Phase.REPAIRING}),
        Phase.REPAIRING: frozenset({Phase.UNWINDING, Phase.HOLDING, Phase.DONE}),
        Phase.UNWINDING: frozenset({Phase.HOLDING, Phase.DONE}),
        Phase.HOLDING: frozenset({Phase.CLOSING, Phase.DONE}),
        Phase.CLOSING: frozenset({Phase.HOLDING, Phase.DONE}),
        Phase.DONE: frozenset(),
    }
)


@dataclass(slots=True)
class Position:
    """Both legs of one round trip. `held` is signed, in the asset; attempts name the orders.

    `quantity` is what the entry wants of the asset, `cost_bps` its spreads and fees. `carried` is
    dust of earlier round trips, taken in at its worth: it leaves with this one's exit, which else
    might be for more than is there.
    """

    number: int
    route: Route
    direction: Direction
    quantity: Decimal
    budget: Budget
    edge_bps: float
    cost_bps: float
    opened_wall_ns: int
    opened_boot_ns: int
    phase: Phase = Phase.OPENING
    exit_reason: ExitReason | None = None
    unhedged_since_ns: int | None = None
    carried: tuple[Fill, ...] = ()
    held: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(LEGS, ZERO))
    fills: list[tuple[Purpose, Fill]] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEGS, 0))

    def __post_init__(self) -> None:
        """Take the carried dust in."""
        for fill in self.carried:
            self.held[fill.leg] += fill.held

    def instrument(self, leg: str) -> Instrument:
        """Return the instrument of a leg."""
        return self.route.upbit if leg == LEG_UPBIT else self.route.binance

    def entry_side(self, leg: str) -> Side:
        """Return the side that opens a leg."""
        buys_upbit = self.direction is Direction.BUY_UPBIT
        return Side.BUY if (leg == LEG_UPBIT) == buys_upbit else Side.SELL

    def move(self, phase: Phase) -> None:
        """Go on to a phase that may follow the present one; else raise ValueError."""
        if phase not in NEXT[self.phase]:
            raise ValueError(f"a round trip cannot go from {self.phase} to {phase}")
        self.phase = phase

    def next_attempt(self, leg: str) -> int:
        """Return a number that no order of this leg had before."""
        self.attempts[leg] += 1
        return self.attempts[leg]

    def apply(self, purpose: Purpose, fill: Fill) -> None:
        """Take a fill."""
        self.fills.append((purpose, fill))
        self.held[fill.leg] += fill.held

    @property
    def is_flat(self) -> bool:
        """Say whether nothing is held."""
        return all(quantity == ZERO for quantity in self.held.values())

    @property
    def gap(self) -> Decimal:
        """Return the unhedged quantity: positive where the Upbit leg is the larger one."""
        return abs(self.held[LEG_UPBIT]) - abs(self.held[LEG_BINANCE])

    @property
    def cash_usd(self) -> Decimal:
        """Return the cash that all fills so far brought, less fees and what dust was worth."""
        fills = (*self.carried, *(fill for _, fill in self.fills))
        return sum((cash_usd(fill) for fill in fills), ZERO)

    def entered(self, leg: str) -> Decimal:
        """Return the quantity that the entry's orders filled on a leg."""
        return self._entered(leg)[0]

    def value_usd(self, touches: dict[str, Touch], fx: Fx, *, with_fee: bool) -> Decimal:
        """Return cash plus what closing at the touches would bring: the result so far."""
        marks = (
            mark_usd(self.instrument(leg), held, touch=touches[leg], fx=fx, with_fee=with_fee)
            for leg, held in self.held.items()
        )
        return self.cash_usd + sum(marks, ZERO)

    @property
    def notional_usd(self) -> Decimal:
        """Return the value of the larger leg at its entry prices."""
        return max(self._entered(leg)[1] for leg in LEGS)

    def entry_premium_bps(self) -> float | None:
        """Return the premium that the entry's fills traded at, or None before both legs filled."""
        return _premium_bps(*(self._entered(leg) for leg in LEGS))

    def exit_premium_bps(self) -> float | None:
        """Return the premium that the exit's fills traded at, or None."""
        return _premium_bps(*(self._left(leg) for leg in LEGS))

    def _entered(self, leg: str) -> tuple[Decimal, Decimal]:
        side = self.entry_side(leg)
        return _total(f for _, f in self.fills if f.leg == leg and f.side is side)

    def _left(self, leg: str) -> tuple[Decimal, Decimal]:
        side = self.entry_side(leg).opposite
        return _total(f for _, f in self.fills if f.leg == leg and f.side is side)


def _total(fills: Iterable[Fill]) -> tuple[Decimal, Decimal]:
    quantity = value = ZERO
    for fill in fills:
        quantity += fill.quantity
        value += fill.quantity * unit_usd(fill)
    return quantity, value


def _premium_bps(upbit: tuple[Decimal, Decimal], binance: tuple[Decimal, Decimal]) -> float | None:
    if upbit[0] == ZERO or binance[0] == ZERO:
        return None
    return float(((upbit[1] / upbit[0]) / (binance[1] / binance[0]) - 1) * BPS)
