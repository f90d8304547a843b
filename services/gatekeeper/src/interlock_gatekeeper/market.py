"""The gatekeeper's own view of the market: filters, prices, KRW per USDT. Never the engine's."""

from __future__ import annotations

import asyncio
import logging
import statistics
from collections.abc import Mapping, Sequence

from interlock_core.clock import NS_PER_S, Clock
from interlock_core.instrument import Venue, parse_key
from interlock_gatekeeper.limits import MAX_REFERENCE_AGE_NS
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.seen import Reference
from interlock_gatekeeper.state import State
from interlock_gatekeeper.transport import ConnectError, NoAnswerError, Transport
from interlock_gatekeeper.venues.parse import HTTP_OK
from interlock_gatekeeper.venues.readings import Adapter, BestPrices

log = logging.getLogger(__name__)

FX_KEY = "UPBIT:KRW-USDT"
POLL_S = 0.5
RETRY_S = 1.0
TIMEOUT_S = 2.0
RELOAD_FILTERS_NS = 1_800 * NS_PER_S
FX_SAMPLE_NS = 10 * NS_PER_S


class Market:
    """Polls each venue's public interface and keeps the state's references fresh."""

    def __init__(
        self,
        *,
        adapters: Sequence[Adapter],
        transports: Mapping[Venue, Transport],
        state: State,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._adapters = adapters
        self._transports = transports
        self._state = state
        self._clock = clock
        self._metrics = metrics
        self._seen = {a.venue: state.seen.venues[a.venue] for a in adapters}
        self._down: set[Venue] = set()
        self._expected: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Poll every venue until cancelled; one venue's silence does not delay another."""
        await asyncio.gather(*(self._run(adapter) for adapter in self._adapters))

    async def _run(self, adapter: Adapter) -> None:
        while True:
            up = await self._refresh(adapter)
            self._metrics.venue_up.labels(adapter.venue).set(1 if up else 0)
            self._show_age(adapter.venue)
            await asyncio.sleep(POLL_S if up else RETRY_S)

    async def _refresh(self, adapter: Adapter) -> bool:
        try:
            await self._load_filters(adapter)
            await self.poll(adapter)
        except (ConnectError, NoAnswerError, ValueError) as error:
            self._say_down(adapter.venue, str(error))
            return False
        self._down.discard(adapter.venue)
        return True

    def _say_down(self, venue: Venue, why: str) -> None:
        """Log the first failure of a row, not every poll of an outage."""
        if venue not in self._down:
            self._down.add(venue)
            log.warning("venue does not answer", extra={"venue": venue, "why": why})

    async def _load_filters(self, adapter: Adapter) -> None:
        now_ns, loaded_ns = self._clock.boot_ns(), self._seen[adapter.venue].filters_ns
        if loaded_ns is not None and now_ns - loaded_ns < RELOAD_FILTERS_NS:
            return
        transport = self._transports[adapter.venue]
        answer = await transport.ask(adapter.instruments_request(), TIMEOUT_S)
        if answer.status not in HTTP_OK:
            raise ValueError(f"HTTP {answer.status} for the list of markets")
        found = adapter.read_instruments(answer)
        if not found:
            raise ValueError("the list of markets is empty")
        stale = {k for k, v in self._state.instruments.items() if v.venue is adapter.venue}
        for key in stale - set(found):
            del self._state.instruments[key]
        self._state.instruments.update(found)
        self._seen[adapter.venue].filters_ns = now_ns

    async def poll(self, adapter: Adapter) -> None:
        """Fetch best prices once; raise where the venue does not answer as expected."""
        symbols = self._wanted(adapter.venue)
        if not symbols:
            self._seen[adapter.venue].answered_ns = self._clock.boot_ns()
            return
        answer = await self._transports[adapter.venue].ask(
            adapter.prices_request(symbols), TIMEOUT_S
        )
        if answer.status not in HTTP_OK:
            raise ValueError(f"HTTP {answer.status} for best prices")
        self._store(adapter.venue, adapter.read_prices(answer))

    async def poll_all(self, instruments: Sequence[str]) -> None:
        """Fetch best prices for a session that is about to open, so that it need not wait."""
        self._expected = frozenset(instruments)
        await asyncio.gather(*(self._refresh(adapter) for adapter in self._adapters))

    def _wanted(self, venue: Venue) -> list[str]:
        session = self._state.session
        asked = session.instruments if session else self._expected
        keys = set(self._state.positions) | {key for key in asked if key in self._state.instruments}
        if FX_KEY in self._state.instruments:
            keys = keys | {FX_KEY}
        return sorted(symbol for owner, symbol in map(parse_key, keys) if owner is venue)

    def _store(self, venue: Venue, prices: Mapping[str, BestPrices]) -> None:
        now_ns = self._clock.boot_ns()
        self._seen[venue].answered_ns = now_ns
        for symbol, best in prices.items():
            key = f"{venue}:{symbol}"
            if key in self._state.instruments:
                self._state.references[key] = Reference(best.bid, best.ask, now_ns)
                if key == FX_KEY:
                    self._store_fx(self._state.references[key])

    def _store_fx(self, fx: Reference) -> None:
        seen = self._state.seen
        self._state.krw_per_usdt = fx
        if not seen.fx_samples or fx.at_ns - seen.fx_samples[-1][0] >= FX_SAMPLE_NS:
            seen.fx_samples.append((fx.at_ns, fx.bid))
            seen.fx_median = statistics.median_low(rate for _, rate in seen.fx_samples)

    def _show_age(self, venue: Venue) -> None:
        answered = self._seen[venue].answered_ns
        age_s = float("inf") if answered is None else (self._clock.boot_ns() - answered) / 1e9
        self._metrics.reference_age.labels(venue).set(age_s)

    def problems(self) -> list[str]:
        """Return why orders could not be checked now; empty when every venue is known."""
        found = []
        now_ns = self._clock.boot_ns()
        for adapter in self._adapters:
            seen = self._seen[adapter.venue]
            answered = seen.answered_ns
            if seen.filters_ns is None:
                found.append(f"VENUE_DOWN: {adapter.venue} filters are not loaded")
            elif answered is None or now_ns - answered > 5 * MAX_REFERENCE_AGE_NS:
                found.append(f"VENUE_DOWN: {adapter.venue} does not answer")
        return found
