"""Our books beside the gatekeeper's, at the start of each of its sessions and once a minute.

The gatekeeper's books are what the venues proved. Where ours differ, the difference is named, a
person is told, and nothing is entered until both agree. Two differences are understood: what an
order of the gatekeeper's own reduced is taken into the position, and a position that is not in its
books at all when a session begins was taken over by the operator, and is not ours any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from interlock_core.clock import Clock
from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_core.reasons import Severity
from interlock_core.wire.gate import Holding, OwnFill, Purpose, SessionBooks
from interlock_core.wire.strict import SchemaError
from interlock_engine.account.leg import LEGS
from interlock_engine.account.pnl import Fx
from interlock_engine.account.position import Position
from interlock_engine.account.round_trip import signed_text
from interlock_engine.book.market import Market
from interlock_engine.book.route import RouteState
from interlock_engine.execute.gate_client import GateError
from interlock_engine.execute.order import own_fill

log = logging.getLogger(__name__)

EVERY_S = 60.0
# While something could not be compared or differs, it is looked at more often.
SOON_S = 1.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One instrument whose books disagree; signed quantities of the asset."""

    instrument: str
    ours: str
    gatekeeper: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.instrument}: ours {self.ours}, gatekeeper {self.gatekeeper}"


class BooksSource(Protocol):
    """Where the gatekeeper's books come from."""

    @property
    def epoch(self) -> int:
        """Return the epoch of the running session; 0 where there is none."""
        ...

    async def books(self) -> SessionBooks:
        """Return the gatekeeper's books; raise GateError or SchemaError."""
        ...


class Record(Protocol):
    """Who keeps what reconciling finds."""

    dust: dict[str, Decimal]

    def alert(self, severity: Severity, event: str, **details: object) -> None:
        """Raise an alert."""
        ...

    def baseline(self, books: SessionBooks) -> None:
        """Keep what the gatekeeper held before the session's first order."""
        ...

    def repaired(self, position: Position, fill: OwnFill, fx: Fx) -> None:
        """Keep a fill of the gatekeeper's own order."""
        ...


class Positions(Protocol):
    """Who holds the positions."""

    def is_doubtful(self, position: Position) -> bool:
        """Say whether an order of an earlier process is not proven yet."""
        ...

    def release(self, state: RouteState) -> None:
        """Let a position go that is not ours any more."""
        ...


class Reconciler:
    """Compares, takes what is understood, and names the rest; it alone confirms positions."""

    def __init__(
        self,
        source: BooksSource,
        *,
        market: Market,
        record: Record,
        positions: Positions,
        unconfirmed: set[int],
        clock: Clock,
        on_begun: Callable[[], None],
    ) -> None:
        self._source = source
        self._market = market
        self._record = record
        self._positions = positions
        self._unconfirmed = unconfirmed
        self._clock = clock
        self._on_begun = on_begun
        self._baseline: dict[str, Decimal] | None = None
        self._own_fills: set[str] = set()
        self._epoch = 0
        self.differences: tuple[Difference, ...] = ()
        self.at_wall_ns: int | None = None

    def restore(self, baseline: Iterable[Holding] | None, own_fills: Iterable[str]) -> None:
        """Take from the ledger what an earlier process of this session began with."""
        self._baseline = None if baseline is None else _signed(baseline)
        self._own_fills = set(own_fills)

    def begin_session(self) -> None:
        """Confirm no position before the books of a new session were compared."""
        positions = (state.position for state in self._market.open_positions())
        self._unconfirmed.update(p.number for p in positions if p is not None)

    @property
    def compared(self) -> bool:
        """Say whether the books of the running session were compared."""
        return self._epoch != 0 and self._epoch == self._source.epoch

    async def run(self) -> None:
        """Compare at the start of each session and once a minute, until cancelled."""
        waited_s = 0.0
        while True:
            settled = self.compared and not self.differences and not self._unconfirmed
            due = waited_s >= EVERY_S or not settled
            if self._source.epoch and due:
                await self.compare()
                waited_s = 0.0
            await asyncio.sleep(SOON_S)
            waited_s += SOON_S

    async def compare(self) -> None:
        """Ask for the gatekeeper's books and compare what no order was moving meanwhile."""
        before = {asset: _mark(state) for asset, state in self._market.routes.items()}
        try:
            books = await self._source.books()
        except (GateError, SchemaError) as error:
            log.warning("books were not compared", extra={"why": str(error)})
            return
        new = books.epoch != self._epoch
        if new:
            self._begin(books)
        quiet = [
            state
            for asset, state in self._market.routes.items()
            if before.get(asset) == _mark(state) and self._is_quiet(state)
        ]
        self._take_own_fills(books, quiet)
        theirs = _signed(books.holdings)
        found = [d for state in quiet for d in self._compare(state, theirs)]
        self._note(found, {state.route.asset for state in quiet})
        if new:
            self._on_begun()

    def _begin(self, books: SessionBooks) -> None:
        if self._baseline is None:
            self._baseline = _signed(books.holdings)
            self._own_fills = {fill.intent_id for fill in books.own_fills}
            self._record.baseline(books)
        self._epoch = books.epoch

    def _is_quiet(self, state: RouteState) -> bool:
        position = state.position
        doubtful = position is not None and self._positions.is_doubtful(position)
        return not state.busy and not doubtful

    def _take_own_fills(self, books: SessionBooks, quiet: list[RouteState]) -> None:
        fx = self._market.fx()
        for fill in books.own_fills:
            if fill.intent_id in self._own_fills or fx is None:
                continue
            for position in (s.position for s in quiet if s.position is not None):
                leg = _reduced_leg(position, fill)
                if leg is not None:
                    self._own_fills.add(fill.intent_id)
                    self._record.repaired(position, fill, fx)
                    position.apply(Purpose.UNWIND, own_fill(fill, position.route, fx))

    def _compare(self, state: RouteState, theirs: dict[str, Decimal]) -> list[Difference]:
        position = state.position
        held = {leg: position.held[leg] if position is not None else ZERO for leg in LEGS}
        keys = dict(zip(LEGS, (state.route.upbit.key, state.route.binance.key), strict=True))
        base = {leg: self._without_position(keys[leg]) for leg in LEGS}
        there = {leg: theirs.get(keys[leg], ZERO) for leg in LEGS}
        found = [
            Difference(keys[leg], signed_text(base[leg] + held[leg]), signed_text(there[leg]))
            for leg in LEGS
            if base[leg] + held[leg] != there[leg]
        ]
        if position is None or position.number not in self._unconfirmed:
            return found
        if found and there == base:
            self._positions.release(state)
            found = []
        if not found:
            self._unconfirmed.discard(position.number)
        return found

    def _without_position(self, key: str) -> Decimal:
        base = ZERO if self._baseline is None else self._baseline.get(key, ZERO)
        return base + self._record.dust.get(key, ZERO)

    def _note(self, found: list[Difference], compared: set[str]) -> None:
        routes = self._market.routes
        keys = {
            k for a in compared for k in (routes[a].route.upbit.key, routes[a].route.binance.key)
        }
        kept = [d for d in self.differences if d.instrument not in keys]
        now = tuple(sorted([*kept, *found], key=lambda d: d.instrument))
        for difference in set(now) - set(self.differences):
            self._record.alert(
                Severity.P0, "books differ from the gatekeeper's", difference=str(difference)
            )
        self.differences, self.at_wall_ns = now, self._clock.wall_ns()


def _signed(holdings: Iterable[Holding]) -> dict[str, Decimal]:
    return {h.instrument: h.quantity if h.side is Side.BUY else -h.quantity for h in holdings}


def _mark(state: RouteState) -> tuple[bool, int, int]:
    """Return what changes whenever an order of the route is sent or ends."""
    position = state.position
    if position is None:
        return (state.busy, 0, 0)
    return (state.busy, position.number, sum(position.attempts.values()))


def _reduced_leg(position: Position, fill: OwnFill) -> str | None:
    for leg in LEGS:
        held = position.held[leg]
        reduces = held > ZERO if fill.side is Side.SELL else held < ZERO
        if position.instrument(leg).key == fill.instrument and reduces:
            return leg
    return None
