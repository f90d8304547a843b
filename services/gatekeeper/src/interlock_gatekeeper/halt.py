"""The end of a halt: when FLAT may be claimed, and what a RESIDUAL holds. Pure.

FLAT needs every journaled order proven ended, no own position, and two clean listings of the
venues' open orders at least 2 s apart, both read after the last order was proven.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from interlock_core.clock import NS_PER_S
from interlock_core.wire import strict
from interlock_gatekeeper import budget
from interlock_gatekeeper.limits import (
    HALT_CLEAN_GAP_NS,
    HALT_RESIDUAL_NS,
    PASS_MARKS,
    PASS_SHARE_OF_TIME,
)
from interlock_gatekeeper.state import Session, State

# Seconds between sweeps: they come at 0, 2, 5, 15, 30 and 60 s, then for ever at the last step.
STEPS_S = (2, 3, 10, 15, 30)


@dataclass(frozen=True, slots=True)
class Listing:
    """One sweep's listing of the venues' open orders; `problem` where a venue did not answer."""

    began_ns: int
    resting: tuple[str, ...]
    problem: str | None

    @property
    def clean(self) -> bool:
        """Say whether every venue answered that nothing rests."""
        return self.problem is None and not self.resting


@dataclass(frozen=True, slots=True)
class Leftover:
    """What is not proven gone."""

    orders: tuple[str, ...]
    positions: dict[str, str]

    @property
    def sha256(self) -> str:
        """Return the digest that an operator repeats to accept exactly this."""
        content = {"orders": list(self.orders), "positions": self.positions}
        return hashlib.sha256(strict.canonical(content)).hexdigest()[:16]

    def data(self) -> dict[str, Any]:
        """Return it as a journal record holds it."""
        return {
            "orders": list(self.orders),
            "positions": self.positions,
            "sha256": self.sha256,
        }


class _Flat:
    """The claim that nothing is left."""


FLAT: Final = _Flat()
Claim = _Flat | Leftover | None


@dataclass(slots=True)
class Progress:
    """How far a halt has come. Gone with the process: a restart begins anew."""

    began_ns: int = 0
    rounds: int = 0
    clean_since_ns: int | None = None
    settled_ns: int = 0
    _next_ns: int = field(default=0)

    def begin(self, now_ns: int) -> None:
        """Begin a halt."""
        self.began_ns, self.rounds, self.clean_since_ns, self._next_ns = now_ns, 0, None, now_ns

    def due(self, now_ns: int) -> bool:
        """Say whether the next round is due."""
        return now_ns >= self._next_ns

    def settled(self, now_ns: int) -> None:
        """Forget every listing that began before now: an order was proven after it."""
        self.clean_since_ns, self.settled_ns = None, now_ns

    def claim(self, state: State, listing: Listing, now_ns: int) -> Claim:
        """Return what may be claimed after one more listing; None where nothing new may."""
        # Two clean listings are soon had; what is known to be left is looked at ever more rarely.
        hopeful = listing.clean and not state.open_orders and state.residual is None
        self._plan(now_ns, soon=hopeful)
        if listing.began_ns <= self.settled_ns:
            return None
        if not listing.clean or state.open_orders:
            self.clean_since_ns = None
            late = now_ns - self.began_ns >= HALT_RESIDUAL_NS
            return self._leftover(state, listing) if late else None
        if self.clean_since_ns is None:
            self.clean_since_ns = listing.began_ns
            return None
        if listing.began_ns - self.clean_since_ns < HALT_CLEAN_GAP_NS:
            return None
        return self._leftover(state, listing) if state.positions else FLAT

    def _plan(self, now_ns: int, *, soon: bool) -> None:
        self.rounds += 1
        step_s = STEPS_S[min(self.rounds, len(STEPS_S)) - 1]
        self._next_ns = now_ns + (HALT_CLEAN_GAP_NS if soon else step_s * NS_PER_S)

    @staticmethod
    def _leftover(state: State, listing: Listing) -> Leftover | None:
        left = leftover(state, listing)
        known = state.residual
        return None if known is not None and known.sha256 == left.sha256 else left


def leftover(state: State, listing: Listing) -> Leftover:
    """Return what is not proven gone, in a form whose digest does not depend on order."""
    orders = {order.client_order_id for order in state.open_orders.values()}
    positions = {key: str(value) for key, value in sorted(state.positions.items())}
    return Leftover(tuple(sorted(orders | set(listing.resting))), positions)


def describe(state: State) -> str:
    """Return for a person what is left, with the hash that accepts it."""
    residual = state.residual
    if residual is None:
        count = len(state.open_orders)
        return f"the halt goes on, {count} order(s) not proven ended"
    orders = ", ".join(residual.orders) or "none"
    positions = ", ".join(f"{k} {v}" for k, v in residual.positions.items()) or "none"
    return f"orders {orders}; positions {positions}; residual hash {residual.sha256}"


def earned_stage(state: State, session: Session, now_ns: int) -> str | None:
    """Return the stage that this session's own books pass if it ends now, proven flat; or None."""
    marks = PASS_MARKS.get(session.stage)
    pnl = budget.pnl_usd(state)
    if marks is None or pnl is None or session.caps.duration_ns is None:
        return None
    trips, share, result = marks
    ledger = state.ledger
    count = ledger.wins + ledger.losses
    ran = Decimal(now_ns - session.opened_ns) >= PASS_SHARE_OF_TIME * session.caps.duration_ns
    good = count >= trips and ledger.wins >= share * count and pnl >= result
    return session.stage if ran and good else None
