"""Call faults, in one place around every REST route and the WebSocket API of every venue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Protocol, TypeVar

from aiohttp import web

from interlock_core.clock import Clock
from interlock_core.instrument import Venue
from interlock_simvenues.faults.faults import Faults
from interlock_simvenues.faults.kinds import FaultKind, Operation
from interlock_simvenues.faults.rule import Rule
from interlock_simvenues.metrics import Metrics
from interlock_simvenues.units import NS_PER_MS, NS_PER_S

Answer = TypeVar("Answer")
Handler = Callable[[web.Request], Awaitable[web.Response]]
GONE_CHECK_S = 0.05
MAINTENANCE_STATUS = 503


@dataclass(frozen=True, slots=True)
class Call:
    """What a rule looks at; symbol and client_id are empty where a request names none."""

    operation: Operation
    symbol: str = ""
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in a venue's own words."""

    status: int
    body: str
    content_type: str = "application/json"
    headers: Mapping[str, str] | None = None


class Words(Protocol):
    """What one venue says for a rule that refuses a call."""

    def refusal(self, rule: Rule, request: web.Request, now_ns: int) -> Refusal:
        """Return the venue's answer to a REST call."""
        ...

    def call(self, request: web.Request, body: str, operation: Operation) -> Call:
        """Return what a REST call is about."""
        ...


class VenueClock:
    """The clock that a venue shows: the world's, off by what a clock_skew rule says."""

    __slots__ = ("_clock", "_faults", "_venue")

    def __init__(self, clock: Clock, faults: Faults, venue: Venue) -> None:
        self._clock = clock
        self._faults = faults
        self._venue = venue

    def wall_ns(self) -> int:
        """Return the shown nanoseconds since the Unix epoch."""
        return self._clock.wall_ns() + self.skew_ns()

    def boot_ns(self) -> int:
        """Return nanoseconds since boot, never skewed."""
        return self._clock.boot_ns()

    def skew_ns(self) -> int:
        """Return how far the shown clock is ahead."""
        now_ns = self._clock.wall_ns()
        rule = self._faults.standing(FaultKind.CLOCK_SKEW, self._venue, "", now_ns)
        return 0 if rule is None or rule.ms is None else rule.ms * NS_PER_MS


class Calls:
    """Asks the rules about each call of one venue and does what they say."""

    def __init__(self, faults: Faults, venue: Venue, clock: Clock, metrics: Metrics) -> None:
        self.server = VenueClock(clock, faults, venue)
        self._faults = faults
        self._venue = venue
        self._clock = clock
        self._metrics = metrics

    def around(self, operation: Operation, words: Words, handle: Handler) -> Handler:
        """Return a REST handler that behaves as `handle` wherever no rule says otherwise."""

        async def faulty(request: web.Request) -> web.Response:
            if not self._faults.kinds:
                return await handle(request)
            rule = self.decide(words.call(request, await request.text(), operation))
            if rule is None:
                response = await handle(request)
            else:
                response = await self.apply(
                    rule,
                    answer=lambda: handle(request),
                    refuse=lambda: self._refuse(
                        words.refusal(rule, request, self._clock.wall_ns())
                    ),
                    silence=lambda: _hold(request, rule),
                )
            if self.server.skew_ns():
                shown_s = self.server.wall_ns() / NS_PER_S
                response.headers["Date"] = formatdate(shown_s, usegmt=True)
            return response

        return faulty

    def decide(self, call: Call) -> Rule | None:
        """Return the call fault that happens to this call."""
        return self._faults.decide(
            self._venue,
            call.operation,
            call.symbol,
            self._clock.wall_ns(),
            client_id=call.client_id,
        )

    @staticmethod
    async def apply(
        rule: Rule,
        *,
        answer: Callable[[], Awaitable[Answer]],
        refuse: Callable[[], Answer],
        silence: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """Do or do not do the call, and answer, refuse or stay silent, as the rule says."""
        if rule.kind is FaultKind.DELAY:
            await asyncio.sleep((rule.ms or 0) / 1_000)
            return await answer()
        if rule.kind is FaultKind.TIMEOUT_BEFORE:
            return await silence()
        if rule.kind is FaultKind.TIMEOUT_AFTER:
            await answer()
            return await silence()
        if rule.kind is FaultKind.UNKNOWN_STATUS and rule.executed:
            await answer()
        return refuse()

    def _refuse(self, refusal: Refusal) -> web.Response:
        self._metrics.requests.labels(self._venue, str(refusal.status)).inc()
        return _response(refusal)


def maintenance_page(venue: Venue) -> Refusal:
    """Return the page that stands where the API was."""
    name = "Upbit" if venue is Venue.UPBIT else "Binance"
    body = (
        "<!DOCTYPE html>\n<html><head><title>503 Service Temporarily Unavailable</title></head>\n"
        f"<body><h1>{name} is under maintenance</h1></body></html>\n"
    )
    return Refusal(MAINTENANCE_STATUS, body, "text/html")


def maintenance_response(venue: Venue) -> web.Response:
    """Return the page as an answer to a WebSocket upgrade."""
    return _response(maintenance_page(venue))


def _response(refusal: Refusal) -> web.Response:
    return web.Response(
        text=refusal.body,
        status=refusal.status,
        content_type=refusal.content_type,
        headers=dict(refusal.headers or {}),
    )


async def _hold(request: web.Request, rule: Rule) -> web.Response:
    """Answer nothing until the client goes away or the rule's time is over, then cut."""
    loop = asyncio.get_running_loop()
    until = loop.time() + (rule.ms or 0) / 1_000
    while (transport := request.transport) is not None and not transport.is_closing():
        if loop.time() >= until:
            transport.abort()
            break
        await asyncio.sleep(min(GONE_CHECK_S, max(until - loop.time(), 0)))
    return web.Response(status=MAINTENANCE_STATUS)
