"""Carrying a halt out: cancel what is known, cancel all, list, until nothing is left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from interlock_core.clock import Clock
from interlock_core.instrument import Venue, parse_key
from interlock_gatekeeper.accounts import Accounts
from interlock_gatekeeper.calls import CallError, Calls
from interlock_gatekeeper.halt import Listing
from interlock_gatekeeper.machine import Machine
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.records import Kind
from interlock_gatekeeper.state import Killed, OpenOrder
from interlock_gatekeeper.submit import Submitter

log = logging.getLogger(__name__)


class Halting:
    """Sweeps the venues whenever the machine says that a round is due."""

    def __init__(
        self,
        *,
        machine: Machine,
        calls: Sequence[Calls],
        submitters: Mapping[Venue, Submitter],
        accounts: Accounts,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._machine = machine
        self._calls = calls
        self._submitters = submitters
        self._accounts = accounts
        self._clock = clock
        self._metrics = metrics
        self._killed_ns = 0
        self.phases_s: dict[str, float] = {}

    async def sweep(self) -> Listing:
        """Cancel everything at every venue at once, list what still rests, and say so."""
        began_ns = self._clock.boot_ns()
        rests = await asyncio.gather(*(self._sweep(calls) for calls in self._calls))
        problems = [rest for rest in rests if isinstance(rest, str)]
        resting = tuple(
            sorted(name for rest in rests if not isinstance(rest, str) for name in rest)
        )
        listing = Listing(began_ns, resting, "; ".join(problems) or None)
        self._show_phase("sweep")
        self._machine.note(
            Kind.SWEEP, resting=list(resting), problem=listing.problem, at_boot_ns=began_ns
        )
        return listing

    async def _sweep(self, calls: Calls) -> tuple[str, ...] | str:
        """Return what rests at one venue after cancelling, or why that is not known."""
        venue = calls.adapter.venue
        waiting = [o for o in self._machine.state.open_orders.values() if _venue(o) is venue]
        await asyncio.gather(*(self._submitters[venue].cancel(order) for order in waiting))
        if waiting:
            self._show_phase("first_cancel")
        try:
            await self._cancel_all(calls, self._traded(venue))
            resting = await self._accounts.resting(calls)
            if resting:
                await self._cancel_all(calls, sorted({order.instrument for order in resting}))
                resting = await self._accounts.resting(calls)
        except (CallError, ValueError) as error:
            log.error("sweep failed", extra={"venue": venue, "why": str(error)})  # noqa: TRY400 - the reason is the venue's, not ours
            return f"{venue}: {error}"
        return tuple(order.client_order_id or order.venue_order_id for order in resting)

    def _traded(self, venue: Venue) -> list[str]:
        """Return the venue's instruments in which the last session may have left an order."""
        state = self._machine.state
        keys = {order.intent.instrument for order in state.open_orders.values()}
        keys |= {sent.intent.instrument for sent in state.ledger.sent}
        return sorted(key for key in keys if parse_key(key)[0] is venue)

    def _show_phase(self, phase: str) -> None:
        """Keep how long after the kill a phase of its halt first ended."""
        killed = self._machine.state.phase
        if not isinstance(killed, Killed):
            return
        if killed.since_ns != self._killed_ns:
            self._killed_ns = killed.since_ns
            self.phases_s.clear()
        if phase not in self.phases_s:
            self.phases_s[phase] = (self._clock.boot_ns() - killed.since_ns) / 1e9
            self._metrics.kill_phase.labels(phase).set(self.phases_s[phase])

    async def _cancel_all(self, calls: Calls, instruments: Sequence[str]) -> None:
        for request in calls.adapter.cancel_all_requests(instruments):
            answer = await calls.ask(request)
            self._show_phase("first_cancel")
            if not calls.adapter.read_cancel_all(answer):
                raise CallError(f"cancel-all was not confirmed: HTTP {answer.status}")


def _venue(order: OpenOrder) -> Venue:
    return parse_key(order.intent.instrument)[0]
