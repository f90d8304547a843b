"""The session's counters, which only grow: told live, or by a ledger that is read again. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_core.reasons import ExitReason, GuardTrigger, Severity
from interlock_core.wire.gate import OrderIntent, OrderResult, Outcome, Purpose
from interlock_engine.account.round_trip import RoundTrip
from interlock_engine.execute.order import slippage_bps

LAST_TRIPS = 10
ENTERING = (Purpose.ENTRY, Purpose.REPAIR)
# These outcomes say how much the venue filled; a veto or a refusal says nothing about fills.
TRADED = (Outcome.FILLED, Outcome.PARTLY_FILLED, Outcome.UNFILLED)


@dataclass(slots=True)
class Mean:
    """A running mean; 0 before the first value."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Take one value."""
        self.total += value
        self.count += 1

    @property
    def value(self) -> float:
        """Return the mean."""
        return self.total / self.count if self.count else 0.0


class Tally:
    """Everything of a session that is counted."""

    def __init__(self) -> None:
        self.realised_usd = ZERO
        self.wins = self.losses = 0
        self.resumed = 0
        self.trades = {"entry": 0, "exit": 0}
        self.exit_reasons: dict[str, int] = dict.fromkeys((r.value for r in ExitReason), 0)
        self.guards: dict[str, int] = dict.fromkeys((g.value for g in GuardTrigger), 0)
        self.alerts: dict[str, int] = dict.fromkeys((s.value for s in Severity), 0)
        self.vetoes: dict[str, int] = {}
        self.per_asset: dict[str, tuple[int, Decimal]] = {}
        self.dust: dict[str, Decimal] = {}
        self.slippage = {side: Mean() for side in Side}
        self.fill_ratio = {side: Mean() for side in Side}
        self.last_trips: deque[RoundTrip] = deque(maxlen=LAST_TRIPS)

    def count_alert(self, severity: Severity) -> None:
        """Count an alert."""
        self.alerts[severity] += 1

    def count_guard(self, trigger: GuardTrigger) -> None:
        """Count a guard that began to hold, and the alert that this is."""
        self.guards[trigger] += 1

    def count_order(self, intent: OrderIntent, result: OrderResult) -> None:
        """Count a proven outcome."""
        if result.outcome is Outcome.VETOED:
            code = result.code or "UNSAID"
            self.vetoes[code] = self.vetoes.get(code, 0) + 1
        if result.outcome in TRADED:
            ratio = min(float(result.filled_quantity / intent.quantity), 1.0)
            self.fill_ratio[intent.side].add(ratio)
        if result.filled_quantity > ZERO:
            self.slippage[intent.side].add(slippage_bps(intent, result))
            self.trades["entry" if intent.purpose in ENTERING else "exit"] += 1

    def count_carried(self, instruments: Iterable[str]) -> None:
        """Forget the dust that a round trip took in: it leaves it again, or what is new of it."""
        for instrument in instruments:
            self.dust.pop(instrument, None)

    def count_trip(self, trip: RoundTrip) -> None:
        """Count a finished round trip, and what neither venue would take of it."""
        self.wins += trip.won
        self.losses += not trip.won
        self.exit_reasons[trip.exit_reason] += 1
        self._earn(trip.asset, trip.pnl_usd, trips=1)
        self._keep_dust(trip.leftover)
        self.last_trips.append(trip)

    def count_end(self, asset: str, pnl_usd: Decimal, leftover: Mapping[str, str]) -> None:
        """Count what a round trip brought that never was one: what it cost is real."""
        if pnl_usd == ZERO and not leftover:
            return
        self._earn(asset, pnl_usd, trips=0)
        self._keep_dust(leftover)

    def _earn(self, asset: str, pnl_usd: Decimal, *, trips: int) -> None:
        self.realised_usd += pnl_usd
        count, earned = self.per_asset.get(asset, (0, ZERO))
        self.per_asset[asset] = (count + trips, earned + pnl_usd)

    def _keep_dust(self, leftover: Mapping[str, str]) -> None:
        for instrument, quantity in leftover.items():
            total = self.dust.get(instrument, ZERO) + Decimal(quantity)
            if total == ZERO:
                self.dust.pop(instrument, None)
            else:
                self.dust[instrument] = total

    @property
    def round_trips(self) -> int:
        """Return how many round trips were finished."""
        return self.wins + self.losses
