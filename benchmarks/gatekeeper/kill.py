"""Kill drills: from the call to the first denied intent, the acknowledgement, the first cancel.

Each drill has a gatekeeper of its own with an order on its way to each venue, and intents that
keep coming. Times count from the moment the call is written, so they hold its way to the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gatekeeper import client, market, processes
from benchmarks.gatekeeper.venue import InstantVenue
from benchmarks.report import BenchmarkError, Row, Section, Spread, Verdict, judge, spread
from interlock_core.clock import NS_PER_MS, monotonic_ns
from interlock_core.reasons import DenyReason
from interlock_core.wire import strict
from interlock_core.wire.gate import OrderIntent, OrderResult, Outcome
from interlock_engine.execute.gate_client import GateClient
from interlock_gatekeeper.operator_api import PATH_KILL, OperatorKill

DENIED_GOAL_MS, ACK_GOAL_MS, CANCEL_GOAL_MS = 10, 50, 150
LEGS = 2
INTENT_EVERY_S = 0.002
# Few enough for every limit on orders and round trips, were the latch slow.
MAX_PENDING = 4
STEP_TIMEOUT_S = 5.0
CANCEL_WAIT_S = 1.0
# Where no cancel was ever seen by then, waiting for one in every drill only takes time.
DRILLS_BEFORE_GIVING_UP = 3
# An order that left before the latch may be read after the acknowledgement by as much as this.
READ_LATE_NS = 20 * NS_PER_MS
POLL_S = 0.001

Attempt = asyncio.Task[tuple[int, OrderResult]]


@dataclass(slots=True)
class _Found:
    """Nanoseconds, one entry a drill: a heartbeat's way before the kill; all else from its call.

    `cancels` has an entry only where one was seen.
    """

    beats: list[int] = field(default_factory=list)
    denials: list[int] = field(default_factory=list)
    acks: list[int] = field(default_factory=list)
    cancels: list[int] = field(default_factory=list)
    filled_after_call: int = 0


async def measure(drills: int, *, journals: Path, progress: Callable[[str], None]) -> Section:
    """Return what `drills` kills of a trading gatekeeper showed."""
    found = _Found()
    async with InstantVenue() as venue:
        for number in range(drills):
            if number % 20 == 0:
                progress(f"kill: {number} of {drills} drills")
            await _drill(f"bench-kill-{number:04d}", venue, journals, found)
    return _section(found, drills)


async def _drill(name: str, venue: InstantVenue, journals: Path, found: _Found) -> None:
    venue.forget()
    with processes.folders(journals) as (sockets, state):
        environ = processes.gate_settings(venue.url, sockets, state / "gate")
        with processes.gatekeeper(environ) as gatekeeper:
            async with client.session(gatekeeper, name) as gate_client:
                orders = market.round_trips(name, at_once=len(market.ASSETS))
                held = await _hold_orders(gate_client, orders, venue)
                start = monotonic_ns()
                await client.beat(gate_client)
                found.beats.append(monotonic_ns() - start)
                async with _operator(gatekeeper.settings.operator_socket) as call:
                    await _kill(gate_client, orders, venue, call, found)
                for attempt in held:
                    attempt.cancel()
                await asyncio.gather(*held, return_exceptions=True)


async def _hold_orders(
    gate_client: GateClient, orders: Iterator[OrderIntent], venue: InstantVenue
) -> list[Attempt]:
    """Have an order on its way to each venue, which takes it and says nothing."""
    venue.holding = True
    held = [_attempt(gate_client, next(orders)) for _ in range(LEGS)]
    async with asyncio.timeout(STEP_TIMEOUT_S):
        while len(venue.order_times_ns) < LEGS:
            if ended := next((task for task in held if task.done()), None):
                raise BenchmarkError(f"an order to hold ended before the kill: {ended.result()[1]}")
            await asyncio.sleep(POLL_S)
    venue.holding = False
    return held


async def _kill(
    gate_client: GateClient,
    orders: Iterator[OrderIntent],
    venue: InstantVenue,
    call: Callable[[], asyncio.Task[int]],
    found: _Found,
) -> None:
    venue.forget_cancels()
    start = monotonic_ns()
    acknowledged = call()
    found.denials.append(await _first_denial(gate_client, orders, found) - start)
    ack_ns = await acknowledged
    found.acks.append(ack_ns - start)
    cancel_ns = await _first_cancel(venue, found)
    if cancel_ns is not None:
        found.cancels.append(cancel_ns - start)
    if any(at_ns > ack_ns + READ_LATE_NS for at_ns in venue.order_times_ns):
        raise BenchmarkError("an order left after the kill was acknowledged")


async def _first_denial(
    gate_client: GateClient, orders: Iterator[OrderIntent], found: _Found
) -> int:
    """Return when the first intent came back denied by the latch; intents come all the while."""
    pending: set[Attempt] = set()
    async with asyncio.timeout(STEP_TIMEOUT_S):
        while True:
            if len(pending) < MAX_PENDING:
                pending.add(_attempt(gate_client, next(orders)))
            done, pending = await asyncio.wait(
                pending, timeout=INTENT_EVERY_S, return_when=asyncio.FIRST_COMPLETED
            )
            for at_ns, result in sorted((task.result() for task in done), key=lambda x: x[0]):
                if result.code == DenyReason.KILLED:
                    for task in pending:
                        task.cancel()
                    await asyncio.gather(*pending, return_exceptions=True)
                    return at_ns
                if result.outcome is not Outcome.FILLED:
                    raise BenchmarkError(f"expected filled or {DenyReason.KILLED}, was {result}")
                found.filled_after_call += 1


def _attempt(gate_client: GateClient, planned: OrderIntent) -> Attempt:
    async def run() -> tuple[int, OrderResult]:
        result = await gate_client.submit(client.stamped(planned, gate_client))
        return monotonic_ns(), result

    return asyncio.create_task(run())


async def _first_cancel(venue: InstantVenue, found: _Found) -> int | None:
    given_up = not found.cancels and len(found.acks) > DRILLS_BEFORE_GIVING_UP
    if not given_up:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(venue.canceled.wait(), CANCEL_WAIT_S)
    return min(venue.cancel_times_ns, default=None)


@asynccontextmanager
async def _operator(path: Path) -> AsyncIterator[Callable[[], asyncio.Task[int]]]:
    """Yield a kill call on an open connection to the operator's socket.

    The call is written at once; its task returns when the acknowledgement was read.
    """
    reader, writer = await asyncio.open_unix_connection(str(path))
    body = strict.encode(OperatorKill("drill"))
    head = f"POST {PATH_KILL} HTTP/1.1\r\nHost: operator\r\nContent-Length: {len(body)}\r\n\r\n"

    async def acknowledged() -> int:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            line = await reader.readline()
        if b" 200 " not in line:
            raise BenchmarkError(f"the kill was answered {line!r}")
        return monotonic_ns()

    def call() -> asyncio.Task[int]:
        writer.write(head.encode() + body)
        return asyncio.create_task(acknowledged())

    try:
        yield call
    finally:
        writer.close()


def _section(found: _Found, drills: int) -> Section:
    beat = spread(found.beats)
    rows = (
        Row("a heartbeat's answer, for comparison", beat, 1.0),
        _row("first denied intent", found.denials, beat, DENIED_GOAL_MS),
        _row("durable acknowledgement", found.acks, beat, ACK_GOAL_MS),
        _cancel_row(found, beat, drills),
    )
    text = (
        f"{drills} drills, each with a gatekeeper of its own, one order under way to each venue, "
        f"and a new intent every {INTENT_EVERY_S * 1_000:.0f} ms. Times count from the operator's "
        "call; its way to the socket, and an answer's way back, are in them. "
        f"{found.filled_after_call} intents that overtook the call were filled; after the "
        "acknowledgement no order reached a venue."
    )
    return Section("Kill: from the call to", "p50 / heartbeat", rows, text)


def _row(what: str, samples: list[int], beat: Spread, goal_ms: int) -> Row:
    times = spread(samples)
    met = judge(met=times.p99_us < goal_ms * 1_000)
    return Row(what, times, times.p50_us / beat.p50_us, f"p99 < {goal_ms} ms", met)


def _cancel_row(found: _Found, beat: Spread, drills: int) -> Row:
    what, goal = "first cancel at a venue", f"p99 < {CANCEL_GOAL_MS} ms"
    if not found.cancels:
        return Row(what, goal=goal, verdict=Verdict.NOT_SEEN, note="no cancel seen")
    if len(found.cancels) == drills:
        return _row(what, found.cancels, beat, CANCEL_GOAL_MS)
    note = f"seen in {len(found.cancels)} of {drills} drills"
    return Row(what, spread(found.cancels), None, goal, Verdict.MISSED, note)
