"""Our accounts at the venues, read every few seconds: balances, open orders, clocks, keys.

What is read goes into `state.seen`; differences to our own books are named there, and the
triggers act on them.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from interlock_core.clock import NS_PER_MS, Clock
from interlock_core.instrument import Venue, parse_key
from interlock_core.money import ZERO
from interlock_gatekeeper import recon
from interlock_gatekeeper.budget import asset_of
from interlock_gatekeeper.calls import CallError, Calls
from interlock_gatekeeper.machine import Machine
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.recon import Row
from interlock_gatekeeper.records import Kind
from interlock_gatekeeper.seen import Balances, Mismatch
from interlock_gatekeeper.state import Session
from interlock_gatekeeper.submit import ABSENT
from interlock_gatekeeper.transport import Request
from interlock_gatekeeper.venues.readings import AccountMode, KeyScopes, Resting

log = logging.getLogger(__name__)

RECONCILE_S = 5.0
CONFIRM_S = 1.0
CLOCK_EVERY_S = 30.0
KEYS_EVERY_S = 30.0
RETRY_S = 3.0
CLOCK_SAMPLES = 5
MAX_PAGES = 20


@dataclass(frozen=True, slots=True)
class _Reading:
    balances: Balances
    resting: tuple[Resting, ...]


class Accounts:
    """Reads every venue's account and keeps the state's picture of it fresh."""

    def __init__(
        self,
        *,
        calls: Sequence[Calls],
        machine: Machine,
        clock: Clock,
        metrics: Metrics,
        declared: Mapping[str, Decimal] | None,
    ) -> None:
        self._calls = calls
        self._machine = machine
        self._clock = clock
        self._metrics = metrics
        # What the operator declared to lie on the accounts; None where the venues are simulated.
        self._declared = declared
        self._baseline: dict[Venue, Balances] = {}
        self._baseline_epoch = 0
        self._differing: dict[Venue, tuple[Mismatch, ...]] = {}
        self._compared_ns: dict[Venue, int] = {}

    async def run(self) -> None:
        """Read every venue until cancelled; one venue's silence does not delay another."""
        await self.read_all()
        async with asyncio.TaskGroup() as group:
            for calls in self._calls:
                group.create_task(self._run(calls))
                group.create_task(self._run_clock(calls))
                group.create_task(self._run_keys(calls))

    async def _run(self, calls: Calls) -> None:
        while True:
            await self._reconcile(calls)
            await asyncio.sleep(RECONCILE_S)

    async def _run_clock(self, calls: Calls) -> None:
        while True:
            await self.read_clock(calls)
            await asyncio.sleep(CLOCK_EVERY_S if calls.seen.clock_ns else RETRY_S)

    async def _run_keys(self, calls: Calls) -> None:
        while True:
            await self.read_keys(calls)
            await asyncio.sleep(RETRY_S if calls.seen.key_problem else KEYS_EVERY_S)

    async def read_all(self) -> None:
        """Read every venue's account now, and its clock where that was never read.

        Where reading fails, balances stay as they were seen and open orders are unknown.
        """
        unread = [calls for calls in self._calls if calls.seen.clock_ns is None]
        await asyncio.gather(
            *(self._read_quietly(calls) for calls in self._calls),
            *(self.read_clock(calls) for calls in unread),
        )

    async def _read_quietly(self, calls: Calls) -> _Reading | None:
        try:
            return await self._read(calls)
        except (CallError, ValueError) as error:
            log.warning(
                "account could not be read",
                extra={"venue": calls.adapter.venue, "why": str(error)},
            )
            calls.seen.resting_orders = None
            return None

    async def _read(self, calls: Calls) -> _Reading:
        adapter, at_ns = calls.adapter, self._clock.boot_ns()
        answers = [await calls.ask(request) for request in adapter.holdings_requests()]
        holdings = adapter.read_holdings(answers)
        balances = Balances(holdings.free, holdings.total, holdings.positions, at_ns)
        resting = await self.resting(calls)
        calls.seen.balances, calls.seen.resting_orders = balances, len(resting)
        self._look_for_late_arrivals(resting)
        foreign = sum(not recon.was_sent(self._machine.state, order) for order in resting)
        self._metrics.foreign_orders.labels(adapter.venue).set(foreign)
        return _Reading(balances, resting)

    def _look_for_late_arrivals(self, resting: tuple[Resting, ...]) -> None:
        """Name an order that was proven absent and rests all the same: the proof was wrong."""
        state = self._machine.state
        for order in resting:
            settled = state.settled.get(state.intent_of.get(order.client_order_id or "", ""))
            if settled is not None and settled.result.code == ABSENT:
                log.critical("late arrival", extra={"client_order_id": order.client_order_id})
                state.seen.late_arrival = order.client_order_id

    async def resting(self, calls: Calls) -> tuple[Resting, ...]:
        """Return every open order of a venue's account; raise CallError or ValueError."""
        found: list[Resting] = []
        for first in calls.adapter.open_orders_requests():
            request: Request | None = first
            page = 1
            while request is not None:
                if page > MAX_PAGES:
                    raise ValueError("more open orders than can be listed")
                answer = await calls.ask(request)
                found += calls.adapter.read_open_orders(answer)
                request, page = calls.adapter.next_open_orders_request(answer, page), page + 1
        return tuple(found)

    async def side_by_side(self) -> dict[str, list[Row] | None]:
        """Return our books beside each venue's account, read now; None where it could not be."""
        state, found = self._machine.state, dict[str, list[Row] | None]()
        for calls in self._calls:
            venue, reading = calls.adapter.venue, await self._read_quietly(calls)
            session = state.session
            current = session is not None and session.epoch == self._baseline_epoch
            baseline = self._baseline.get(venue) if current else None
            found[venue] = None
            if reading is not None:
                found[venue] = recon.side_by_side(
                    state, venue, baseline, reading.balances, reading.resting
                )
        return found

    def begin(self, session: Session) -> None:
        """Take what was last read as the books' start for a new session."""
        self._baseline_epoch = session.epoch
        self._differing.clear()
        self._baseline = {
            calls.adapter.venue: calls.seen.balances
            for calls in self._calls
            if calls.seen.balances is not None
        }
        self._compared_ns = {venue: seen.at_ns for venue, seen in self._baseline.items()}
        self._show_age()

    def _show_age(self) -> None:
        """Say when the venue that waits longest was compared; None where one never was."""
        times = [self._compared_ns.get(calls.adapter.venue) for calls in self._calls]
        known = [at_ns for at_ns in times if at_ns is not None]
        seen = self._machine.state.seen.recon
        seen.at_ns = min(known, default=None) if len(known) == len(times) else None

    def allocation(self, instruments: Sequence[str]) -> dict[str, Decimal]:
        """Return how much of each spot asset a new session may sell besides what it buys."""
        if self._declared is not None:
            return {key: self._declared.get(key, ZERO) for key in instruments}
        found = {}
        for calls in self._calls:
            venue, balances = calls.adapter.venue, calls.seen.balances
            for key in instruments:
                if parse_key(key)[0] is venue and balances is not None:
                    found[key] = balances.free.get(asset_of(key), ZERO)
        return found

    async def _reconcile(self, calls: Calls) -> None:
        before = self._touched(calls.adapter.venue)
        reading = await self._read_quietly(calls)
        if reading is None:
            return
        found = self._compare(calls.adapter.venue, reading, before)
        if found:
            await asyncio.sleep(CONFIRM_S)
            before = self._touched(calls.adapter.venue)
            again = await self._read_quietly(calls)
            if again is not None:
                confirmed = self._compare(calls.adapter.venue, again, before)
                self._machine.state.seen.recon.confirmed = bool(confirmed)

    def _touched(self, venue: Venue) -> tuple[int, int, int]:
        """Return a mark that changes whenever an order of the venue is sent or ends."""
        state = self._machine.state
        waiting = [o for o in state.open_orders.values() if _venue_of(o.intent.instrument) is venue]
        return (state.epoch, len(waiting), len(state.intent_of) + len(state.settled))

    def _compare(
        self, venue: Venue, reading: _Reading, before: tuple[int, int, int]
    ) -> list[Mismatch] | None:
        """Return differences; None where orders moved meanwhile, so that nothing can be said."""
        state, baseline = self._machine.state, self._baseline.get(venue)
        session = state.session
        if session is None or baseline is None or session.epoch != self._baseline_epoch:
            return None
        if before[1] or self._touched(venue) != before:
            return None
        found = recon.compare(state, venue, baseline, reading.balances, reading.resting)
        self._note(venue, tuple(found))
        return found

    def _note(self, venue: Venue, found: tuple[Mismatch, ...]) -> None:
        seen = self._machine.state.seen.recon
        if found != self._differing.get(venue, ()):
            self._machine.note(
                Kind.RECON,
                venue=venue,
                mismatches=[{"what": m.what, "ours": m.ours, "theirs": m.theirs} for m in found],
            )
            self._metrics.recon_mismatches.inc(len(found))
            for mismatch in found:
                log.error("books and venue differ", extra={"venue": venue, "what": mismatch.what})
        self._differing[venue] = found
        self._compared_ns[venue] = self._clock.boot_ns()
        self._show_age()
        seen.reads += 1
        seen.mismatches = tuple(m for each in self._differing.values() for m in each)
        if not seen.mismatches:
            seen.confirmed = False

    async def read_clock(self, calls: Calls) -> None:
        """Measure how far the venue's clock is from ours: the median of five readings."""
        adapter, seen = calls.adapter, calls.seen
        samples = []
        try:
            for _ in range(CLOCK_SAMPLES):
                began, wall_ns = self._clock.boot_ns(), self._clock.wall_ns()
                answer = await calls.ask_public(adapter.time_request())
                trip_ns = self._clock.boot_ns() - began
                middle_ms = (wall_ns + trip_ns / 2) / NS_PER_MS
                samples.append((adapter.read_time_ms(answer) - middle_ms, trip_ns / NS_PER_MS))
        except (CallError, ValueError) as error:
            log.warning("venue's clock not read", extra={"venue": adapter.venue, "why": str(error)})
            return
        offset_ms = statistics.median(offset for offset, _ in samples)
        half_trip_ms = statistics.median(trip for _, trip in samples) / 2
        # A clock that shows whole seconds lies up to that much ahead of what it shows.
        coarse_ms = adapter.clock_resolution_ms
        if coarse_ms > 1:
            error_ms = max(-offset_ms - coarse_ms, offset_ms - coarse_ms, 0.0)
            offset_ms = error_ms if offset_ms > 0 else -error_ms
        else:
            error_ms = abs(offset_ms) + half_trip_ms
            adapter.set_clock_offset_ms(round(offset_ms))
        seen.clock_offset_ms, seen.clock_error_ms = offset_ms, error_ms
        seen.clock_ns = self._clock.boot_ns()
        self._metrics.clock_offset.labels(adapter.venue).set(offset_ms)

    async def read_keys(self, calls: Calls) -> None:
        """Look at what the trading key may do and how the account is set up."""
        adapter, seen = calls.adapter, calls.seen
        try:
            scopes = adapter.read_key_scopes(
                [await calls.ask_scopes(request) for request in adapter.key_scopes_requests()]
            )
            mode = adapter.read_account_mode(
                [await calls.ask(request) for request in adapter.account_mode_requests()]
            )
        except (CallError, ValueError) as error:
            seen.key_problem = f"the key could not be looked at: {error}"
            return
        seen.key_problem = (
            _key_problem(scopes) or _mode_problem(mode) or self._allocation_problem(calls)
        )
        seen.key_ns = self._clock.boot_ns()

    def _allocation_problem(self, calls: Calls) -> str | None:
        """Return what lies on the account besides money and what was declared."""
        venue, balances = calls.adapter.venue, calls.seen.balances
        if balances is None:
            return "the account's balances are not known"
        if self._declared is None:
            return None
        for key, quantity in balances.positions.items():
            if quantity != self._declared.get(key, ZERO):
                return f"position {key} {quantity} was not declared"
        declared = {
            asset_of(key): quantity
            for key, quantity in self._declared.items()
            if _venue_of(key) is venue
        }
        for asset in sorted({*balances.total, *declared} - {"KRW", "USDT"}):
            has, should = balances.total.get(asset, ZERO), declared.get(asset, ZERO)
            if has != should:
                return f"{asset}: {has} is there, {should} was declared"
        return None


def _key_problem(scopes: KeyScopes) -> str | None:
    """Return what is wrong with a key as far as its venue tells (Upbit does not)."""
    if scopes.can_withdraw:
        return "the key may withdraw: make one that may not"
    if scopes.can_trade is False:
        return "the key may not trade"
    if scopes.ip_restricted is False:
        return "bind the key to this host's IP address"
    return None


def _mode_problem(mode: AccountMode | None) -> str | None:
    if mode is None:
        return None
    if not mode.one_way:
        return "set the futures account to one-way mode"
    wide = sorted(key for key, isolated in mode.isolated.items() if not isolated)
    if wide:
        return f"set isolated margin: {', '.join(wide[:5])}"
    high = sorted(key for key, leverage in mode.leverage.items() if leverage != 1)
    return f"set leverage 1: {', '.join(high[:5])}" if high else None


def _venue_of(key: str) -> Venue:
    return parse_key(key)[0]
