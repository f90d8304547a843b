"""The simulated world: one market source, three exchanges, one clock, one audit log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from interlock_core.clock import Clock
from interlock_core.instrument import Venue
from interlock_simvenues.account.futures import FuturesAccount
from interlock_simvenues.account.spot import FeePolicy, SpotLedger
from interlock_simvenues.faults.display import Display
from interlock_simvenues.faults.faults import Faults, Injected
from interlock_simvenues.faults.orders import OrderFaults
from interlock_simvenues.faults.past import Past
from interlock_simvenues.market.instruments import Instrument, Instruments
from interlock_simvenues.market.source import Source
from interlock_simvenues.matching.exchange import Exchange, Habits
from interlock_simvenues.matching.orders import EventKind, Order, OrderEvent
from interlock_simvenues.metrics import Metrics
from interlock_simvenues.units import NS_PER_MS, to_units

UPBIT_FEE_RATE = Decimal("0.0005")
SPOT_FEE_RATE = Decimal("0.001")
PERP_FEE_RATE = Decimal("0.0005")
AUDIT_KEPT = 20_000
# Far from zero, so that no client mistakes a first update id for a missing one.
FIRST_UPDATE_ID = 1_000_000_000

HABITS = {
    Venue.UPBIT: Habits(
        refuses_post_only=False, refuses_fill_or_kill=False, refuses_duplicates=False
    ),
    Venue.BINANCE: Habits(
        refuses_post_only=True, refuses_fill_or_kill=False, refuses_duplicates=True
    ),
    Venue.BINANCE_PERP: Habits(
        refuses_post_only=True, refuses_fill_or_kill=True, refuses_duplicates=True
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """What the accounts own at the start; inventory is USD worth of every asset."""

    krw: Decimal
    usdt_spot: Decimal
    usdt_perp: Decimal
    inventory_usd: Decimal


Publisher = Callable[[list[Instrument], list[Instrument], int], None]
"""Takes the instruments whose shown book moved, those with fresh public trades, and the time."""


class World:
    """Everything behind the wire protocols. It does no I/O; `step` and requests drive it."""

    def __init__(
        self,
        *,
        instruments: Instruments,
        source: Source,
        funds: Funds,
        clock: Clock,
        metrics: Metrics,
        faults: Faults,
    ) -> None:
        self.instruments = instruments
        self.source = source
        self.clock = clock
        self.metrics = metrics
        self.faults = faults
        faults.observers.append(self._count_fault)
        self.publishers: list[Publisher] = []
        self.timers: list[Callable[[int], None]] = []
        self.audit: deque[tuple[Venue, Order]] = deque(maxlen=AUDIT_KEPT)
        self.last_step_ns = 0
        self._all = instruments.all()
        self._display = Display(faults, self._all)
        self.upbit_ledger = self._ledger(Venue.UPBIT, funds)
        self.spot_ledger = self._ledger(Venue.BINANCE, funds)
        self.perp_account = FuturesAccount(
            wallet=funds.usdt_perp, fee_rate=PERP_FEE_RATE, mark=self.mark
        )
        first_id = clock.wall_ns() // NS_PER_MS
        self.exchanges = {
            Venue.UPBIT: self._exchange(Venue.UPBIT, first_id),
            Venue.BINANCE: self._exchange(Venue.BINANCE, first_id),
            Venue.BINANCE_PERP: self._exchange(Venue.BINANCE_PERP, first_id),
        }
        for venue, exchange in self.exchanges.items():
            exchange.observers.append(self._auditor(venue))
            exchange.interfere = OrderFaults(faults, venue, exchange.rules)
        upbit, spot, perp = (self.exchanges[venue] for venue in Venue)
        self.upbit_past = Past(faults, Venue.UPBIT, self.upbit_ledger, upbit)
        self.spot_past = Past(faults, Venue.BINANCE, self.spot_ledger, spot)
        self.perp_past = Past(faults, Venue.BINANCE_PERP, self.perp_account, perp)
        # Not only at steps: what a new rule hides may happen before the next one.
        faults.loading.append(self._remember)

    def step(self) -> None:
        """Move the market, match resting orders, and let the faces publish."""
        now_ns = self.clock.wall_ns()
        moved = self.source.step(now_ns)
        for instrument in moved:
            self.exchanges[instrument.venue].match_resting(instrument.symbol, now_ns)
        for timer in self.timers:
            timer(now_ns)
        self.last_step_ns = now_ns
        self.metrics.steps.inc()
        self._remember(now_ns)
        shown = self._display.step(moved, now_ns)
        printed = [item for item in self._all if item.tape.fresh]
        for publish in self.publishers:
            publish(shown, printed, now_ns)
        for item in printed:
            item.tape.fresh.clear()

    def mark(self, symbol: str) -> Decimal | None:
        """Return the mark price of a perpetual: the middle of its book."""
        return self.exchanges[Venue.BINANCE_PERP].touch(symbol)

    def _remember(self, now_ns: int) -> None:
        for past in (self.upbit_past, self.spot_past, self.perp_past):
            past.step(now_ns)

    def _count_fault(self, injected: Injected) -> None:
        self.metrics.faults.labels(injected.venue, injected.rule.kind).inc()

    def _ledger(self, venue: Venue, funds: Funds) -> SpotLedger:
        instruments = self.instruments.of(venue)
        quote = funds.krw if venue is Venue.UPBIT else funds.usdt_spot
        balances = {"KRW" if venue is Venue.UPBIT else "USDT": quote}
        for item in instruments.values():
            if item.asset is not None:
                worth = funds.inventory_usd / Decimal(repr(item.asset.usd))
                balances[item.base] = _rounded(worth)
        policy = (
            FeePolicy(UPBIT_FEE_RATE, "quote")
            if venue is Venue.UPBIT
            else FeePolicy(SPOT_FEE_RATE, "received")
        )
        rules = {symbol: item.rules for symbol, item in instruments.items()}
        return SpotLedger(rules=rules, fees=policy, balances=balances)

    def _exchange(self, venue: Venue, first_id: int) -> Exchange:
        instruments = self.instruments.of(venue)
        settlements: Mapping[Venue, SpotLedger | FuturesAccount] = {
            Venue.UPBIT: self.upbit_ledger,
            Venue.BINANCE: self.spot_ledger,
            Venue.BINANCE_PERP: self.perp_account,
        }
        return Exchange(
            rules={symbol: item.rules for symbol, item in instruments.items()},
            books={symbol: item.book for symbol, item in instruments.items()},
            settlement=settlements[venue],
            habits=HABITS[venue],
            first_id=first_id,
        )

    def _auditor(self, venue: Venue) -> Callable[[OrderEvent], None]:
        counter = self.metrics.orders.labels(venue, "accepted")
        instruments = self.instruments.of(venue)

        def observe(event: OrderEvent) -> None:
            if event.kind is EventKind.ACCEPTED:
                self.audit.append((venue, event.order))
                counter.inc()
            elif event.fill is not None:
                fill = event.fill
                taker_sold = (fill.side == "sell") != fill.maker
                instruments[fill.symbol].tape.add(
                    price=to_units(fill.price),
                    size=to_units(fill.quantity),
                    buyer_is_maker=taker_sold,
                    now_ns=event.time_ns,
                )

        return observe


def _rounded(amount: Decimal) -> Decimal:
    """Return an inventory amount with two significant digits: round numbers read better."""
    digits = amount.adjusted()
    step = Decimal(1).scaleb(digits - 1)
    return (amount / step).to_integral_value() * step
