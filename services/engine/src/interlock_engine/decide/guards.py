"""What stops an entry: four tiers, venue before route before asset before portfolio.

Pure: facts in, the first trigger out. A trigger counts once, when it begins to hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from interlock_core.reasons import GuardTrigger

MAX_EDGE_BPS = 300.0
LOOP_P99_LIMIT_MS = 100.0
CPU_LIMIT_PERCENT = 80.0
VENUES = "venues"
PORTFOLIO = "portfolio"


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """Ages in nanoseconds that stop entries, and how many positions may be open."""

    venue_stale_ns: int
    book_stale_ns: int
    fx_stale_ns: int
    max_positions: int


@dataclass(slots=True)
class Health:
    """Facts of the whole engine, refreshed by its housekeeping."""

    loop_p99_ms: float = 0.0
    cpu_percent: float = 0.0
    gate_ready: bool = False
    residual: bool = False
    unknown: bool = False
    ledger_failed: bool = False
    books_differ: bool = False
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one wish to enter; ages in nanoseconds, `others` are positions of other routes."""

    asset: str
    venue_age_ns: int
    fx_age_ns: int
    book_age_ns: int
    edge_bps: float
    cooldown: bool
    others: int


def venue_tier(
    settings: GuardSettings, health: Health, *, venue_age_ns: int, fx_age_ns: int
) -> GuardTrigger | None:
    """Return what is wrong with the venues' data or with this process."""
    if venue_age_ns > settings.venue_stale_ns:
        return GuardTrigger.MARKET_STALE
    if fx_age_ns > settings.fx_stale_ns:
        return GuardTrigger.FX_STALE
    if health.loop_p99_ms > LOOP_P99_LIMIT_MS:
        return GuardTrigger.LOOP_LATENCY
    return GuardTrigger.CPU_HIGH if health.cpu_percent > CPU_LIMIT_PERCENT else None


def route_tier(settings: GuardSettings, facts: Facts) -> GuardTrigger | None:
    """Return what is wrong with this route's books or with what they promise."""
    if facts.book_age_ns > settings.book_stale_ns:
        return GuardTrigger.MARKET_STALE
    return GuardTrigger.EDGE_TOO_GOOD if facts.edge_bps > MAX_EDGE_BPS else None


def asset_tier(facts: Facts) -> GuardTrigger | None:
    """Return whether this asset must wait after a failure."""
    return GuardTrigger.ROUTE_COOLDOWN if facts.cooldown else None


def portfolio_tier(health: Health) -> GuardTrigger | None:
    """Return what freezes all new risk."""
    if health.ledger_failed:
        return GuardTrigger.LEDGER_FAILED
    if health.books_differ:
        return GuardTrigger.BOOKS_DIFFER
    if health.residual:
        return GuardTrigger.RESIDUAL_OPEN
    if health.unknown:
        return GuardTrigger.ORDER_UNKNOWN
    return None if health.gate_ready else GuardTrigger.GATE_LOST


class EntryGuard:
    """Asks the four tiers and counts what begins to hold; `on_trigger` hears of each beginning."""

    def __init__(
        self,
        settings: GuardSettings,
        health: Health,
        *,
        on_trigger: Callable[[GuardTrigger, str], None],
    ) -> None:
        self._settings = settings
        self.health = health
        self._on_trigger = on_trigger
        self._holding: dict[str, GuardTrigger] = {}
        self.max_positions = settings.max_positions

    def allows(self, facts: Facts) -> bool:
        """Say whether nothing stops this entry; note what does."""
        health, settings = self.health, self._settings
        trigger = venue_tier(
            settings, health, venue_age_ns=facts.venue_age_ns, fx_age_ns=facts.fx_age_ns
        )
        self._hold(VENUES, trigger)
        if trigger is not None:
            return False
        trigger = route_tier(settings, facts) or asset_tier(facts)
        self._hold(facts.asset, trigger)
        if trigger is not None:
            return False
        trigger = portfolio_tier(health)
        self._hold(PORTFOLIO, trigger)
        return trigger is None and not health.stopping and facts.others < self.max_positions

    def note_unusable(self, asset: str, *, crossed: bool) -> None:
        """Note that a route cannot be priced; a crossed or locked book is a trigger."""
        if crossed:
            self._hold(asset, GuardTrigger.BOOK_CROSSED)

    def note_budget(self, asset: str, *, exceeded: bool) -> None:
        """Note whether a round trip's worst case is more than the session may still lose."""
        self._hold(f"{asset} budget", GuardTrigger.LOSS_BUDGET if exceeded else None)

    def note_engine(self, *, venue_age_ns: int, fx_age_ns: int) -> None:
        """Ask the venue and portfolio tiers also while nothing wants to enter."""
        self._hold(
            VENUES,
            venue_tier(self._settings, self.health, venue_age_ns=venue_age_ns, fx_age_ns=fx_age_ns),
        )
        self._hold(PORTFOLIO, portfolio_tier(self.health))

    def _hold(self, where: str, trigger: GuardTrigger | None) -> None:
        if trigger is self._holding.get(where):
            return
        if trigger is None:
            del self._holding[where]
            return
        self._holding[where] = trigger
        self._on_trigger(trigger, where)

    def holding(self) -> dict[str, str]:
        """Return what holds now, by what it holds for."""
        return {where: trigger.value for where, trigger in self._holding.items()}
