"""An order's way through a whole gatekeeper and back, beside an echo of the same stack.

The echo takes turns with the orders, one by one: both meet the same moments of the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.gatekeeper import client, market, processes
from benchmarks.gatekeeper.venue import InstantVenue
from benchmarks.report import BenchmarkError, Row, Section, Spread, judge, spread
from interlock_core.clock import NS_PER_S, monotonic_ns
from interlock_core.instrument import Venue, parse_key
from interlock_core.wire import gate, strict
from interlock_core.wire.gate import OrderIntent, Outcome
from interlock_engine.execute.gate_client import GateClient
from interlock_gatekeeper.settings import GateSettings
from interlock_gatekeeper.submit import FOLLOW_DELAYS_S

ECHO_RATIO_GOAL = 3.0
POSITIONS_AT_ONCE = 5
WARM_UP = 20
BEAT_EVERY_NS = NS_PER_S
PREFIX = "interlock_gatekeeper_"
INSIDE = ("decide_seconds", "journal_fsync_seconds", "send_seconds")
SESSION = "bench-round-trip"

Inside = dict[str, tuple[float, float]]


class _Turns:
    """Orders and echoes in turn, each at its own instant of one steady beat."""

    def __init__(
        self,
        gate_client: GateClient,
        echo: aiohttp.ClientSession,
        rate: float,
        settings: GateSettings,
    ) -> None:
        self._client = gate_client
        self._settings = settings
        self._echo = echo
        self._gap_s = 0.5 / rate if rate else 0.0
        self._beaten_ns = 0
        self.whole_ns: dict[Venue, list[int]] = {}
        self.ours_ns: dict[Venue, list[int]] = {}
        self.echo_ns: list[int] = []

    async def take(self, planned: OrderIntent, venue: InstantVenue) -> None:
        """Send one order and one echo of its body."""
        await self._keep_lease()
        intent = client.stamped(planned, self._client)
        answering_ns, start = venue.answering_ns, monotonic_ns()
        result = await self._client.submit(intent)
        whole_ns = monotonic_ns() - start
        if result.outcome is not Outcome.FILLED:
            found = f"{result.outcome} {result.code} {result.detail}"
            raise BenchmarkError(f"expected a filled order, was {found}: {intent}")
        where, _ = parse_key(intent.instrument)
        ours_ns = whole_ns - (venue.answering_ns - answering_ns)
        self.whole_ns.setdefault(where, []).append(whole_ns)
        self.ours_ns.setdefault(where, []).append(ours_ns)
        await asyncio.sleep(self._gap_s)
        await self._take_echo(strict.encode(intent))
        await asyncio.sleep(self._gap_s)

    async def _take_echo(self, body: bytes) -> None:
        start = monotonic_ns()
        async with self._echo.post("http://echo" + gate.PATH_ORDERS, data=body) as answer:
            returned = await answer.read()
        self.echo_ns.append(monotonic_ns() - start)
        if returned != body:
            raise BenchmarkError("the echo returned something else")

    async def _keep_lease(self) -> None:
        if monotonic_ns() - self._beaten_ns > BEAT_EVERY_NS:
            self._beaten_ns = monotonic_ns()
            # This engine keeps no books: it repeats the gatekeeper's own result.
            await client.beat(self._client, await _own_result(self._settings))

    def forget(self) -> None:
        """Drop what was measured while everything warmed up."""
        self.whole_ns, self.ours_ns, self.echo_ns = {}, {}, []


async def measure(
    orders: int, *, rate: float, journals: Path, progress: Callable[[str], None]
) -> Section:
    """Return the round trips of `orders` orders, `rate` a second (0: as fast as they go)."""
    with processes.folders(journals) as (sockets, state):
        async with InstantVenue() as venue:
            settings = processes.gate_settings(venue.url, sockets, state / "gate")
            with (
                processes.gatekeeper(settings) as gatekeeper,
                processes.echo(sockets, state / "echo") as echo_socket,
            ):
                connector = aiohttp.UnixConnector(path=str(echo_socket))
                async with (
                    client.session(gatekeeper, SESSION) as gate_client,
                    aiohttp.ClientSession(connector=connector) as echo,
                ):
                    turns = _Turns(gate_client, echo, rate, gatekeeper.settings)
                    inside = await _run(turns, venue, gatekeeper.settings, orders, progress)
    return _section(turns, inside, rate)


async def _run(
    turns: _Turns,
    venue: InstantVenue,
    settings: GateSettings,
    orders: int,
    progress: Callable[[str], None],
) -> Inside:
    planned = market.round_trips(SESSION, at_once=POSITIONS_AT_ONCE)
    for _ in range(min(WARM_UP, orders)):
        await turns.take(next(planned), venue)
    turns.forget()
    before = await _inside(settings)
    for number in range(orders):
        if number % 100 == 0:
            progress(f"round trip: {number} of {orders} orders")
        await turns.take(next(planned), venue)
    after = await _inside(settings)
    return {n: (after[n][0] - before[n][0], after[n][1] - before[n][1]) for n in after}


async def _metrics(settings: GateSettings) -> str:
    url = f"http://{settings.host}:{settings.health_port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


async def _own_result(settings: GateSettings) -> float:
    for family in text_string_to_metric_families(await _metrics(settings)):
        if family.name == f"{PREFIX}session_pnl_usd":
            return float(family.samples[0].value)
    raise BenchmarkError("the gatekeeper shows no result")


async def _inside(settings: GateSettings) -> Inside:
    """Return sum and count of the gatekeeper's own histograms."""
    text = await _metrics(settings)
    found = {name: [0.0, 0.0] for name in INSIDE}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name, _, kind = sample.name.removeprefix(PREFIX).rpartition("_")
            if name in found and kind in ("sum", "count"):
                found[name][kind == "count"] += sample.value
    return {name: (total, number) for name, (total, number) in found.items()}


def _section(turns: _Turns, inside: Inside, rate: float) -> Section:
    echo = spread(turns.echo_ns)
    perp, upbit = Venue.BINANCE_PERP, Venue.UPBIT
    rows = (
        Row("echo of the same stack, one durable line", echo, 1.0),
        _goal_row(spread(turns.ours_ns[perp]), echo),
        _plain_row("- with the venue's own time", spread(turns.whole_ns[perp]), echo),
        _plain_row("Upbit order", spread(turns.ours_ns[upbit]), echo, note=_upbit_note()),
    )
    pace = f"at most {rate:g} orders a second" if rate else "orders without a pause"
    means = {name: total / number for name, (total, number) in inside.items()}
    syncs_each = inside["journal_fsync_seconds"][1] / inside["decide_seconds"][1]
    text = (
        f"A whole gatekeeper in a process of its own, the engine's client, {pace}, each order "
        "followed by an echo of its body; every order filled, none was denied. A perpetual order "
        "takes two calls of the venue (order, fills); the venue answers from memory in the "
        "driver's process, and only the time it spent on that is subtracted: loopback stays in. "
        "Inside the gatekeeper, means by its own metrics: decision "
        f"{_us(means['decide_seconds'])}, fdatasync {_us(means['journal_fsync_seconds'])} "
        f"({syncs_each:.1f} an order), send until the venue's answer "
        f"{_us(means['send_seconds'])} (holds the order's fdatasync)."
    )
    return Section("Order round trip over the socket", "p50 / echo", rows, text)


def _goal_row(found: Spread, echo: Spread) -> Row:
    ratio = found.p50_us / echo.p50_us
    goal = f"ratio <= {ECHO_RATIO_GOAL:g}"
    met = judge(met=ratio <= ECHO_RATIO_GOAL)
    return Row("perpetual order, without the venue's time", found, ratio, goal, met)


def _plain_row(what: str, found: Spread, echo: Spread, *, note: str = "") -> Row:
    return Row(what, found, found.p50_us / echo.p50_us, note=note)


def _upbit_note() -> str:
    return f"holds the {FOLLOW_DELAYS_S[0] * 1_000:.0f} ms before the first question for fills"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} us"
