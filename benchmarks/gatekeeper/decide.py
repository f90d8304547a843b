"""How long one decision takes, beside decoding one intent, and how that grows with the state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import cycle

from benchmarks.gatekeeper.desk import APPROVED, KNOWN, Desk
from benchmarks.report import BenchmarkError, Row, Section, Spread, counts, judge, spread
from interlock_core.clock import NS_PER_S, monotonic_ns
from interlock_core.instrument import Side
from interlock_core.reasons import DenyReason
from interlock_core.wire import strict
from interlock_core.wire.gate import OrderIntent, Purpose

P99_GOAL_US = 100.0
# "Flat" must hold through the noise of a shared machine.
FLAT_RATIO_GOAL = 1.25
POSITIONS_AT_ONCE = 5
# Odd, so that both legs have their turn.
DENIED_ENTRY = 5
KNOWN_EVERY = 50
BLOCK = 50
SETTLED = (10, 100, 1_000, 10_000)
OPEN = (1, 2, 5, 9)
SETTLED_WHILE_OPEN_GROWS = 1_000

# One wrong thing an order can have, by the check that must find it. What a gatekeeper may
# answer with the latch (a stale epoch, a reused id) is left out: it would end the run.
WRONG: tuple[tuple[DenyReason, Callable[[OrderIntent], OrderIntent]], ...] = (
    (
        DenyReason.STALE_INTENT,
        lambda i: replace(i, created_boot_ns=i.created_boot_ns - 10 * NS_PER_S),
    ),
    (DenyReason.SYMBOL, lambda i: replace(i, instrument=f"{i.instrument}X")),
    (DenyReason.TYPE_TIF, lambda i: replace(i, time_in_force="gtc")),
    (DenyReason.VENUE_FILTER, lambda i: replace(i, price=i.price + Decimal("0.001"))),
    (DenyReason.PRICE_COLLAR, lambda i: replace(i, price=_far(i))),
    (DenyReason.EDGE_IMPLAUSIBLE, lambda i: replace(i, edge_bps=Decimal(900))),
    (DenyReason.ORDER_MAX, lambda i: replace(i, quantity=i.quantity * 50)),
)


def _far(intent: OrderIntent) -> Decimal:
    """Return a price on the tick grid and far beyond any collar, on the side that pays more."""
    far = intent.quoted_price * (2 if intent.side is Side.BUY else Decimal("0.5"))
    return far.quantize(Decimal(1))


@dataclass(slots=True)
class _Case:
    """One state whose decisions are timed."""

    what: str
    desk: Desk
    settled: int
    open: int
    samples: list[int]


def mix(intents: int) -> Section:
    """Return the decision times of a mix of approvals, denials and repeated questions."""
    desk = Desk("bench-mix", positions_at_once=POSITIONS_AT_ONCE)
    decisions, decodes = _timed_mix(desk, intents)
    everything = spread([took for samples in decisions.values() for took in samples])
    denied = [s for kind, ts in decisions.items() if kind not in (APPROVED, KNOWN) for s in ts]
    decode = spread(decodes)
    parts = {"approved": decisions[APPROVED], "denied": denied, "asked again": decisions[KNOWN]}
    rows = [
        _row("every decision", everything, decode, goal=True),
        *(_row(f"- {what}", spread(part), decode) for what, part in parts.items() if part),
        Row("decode of the intent, for comparison", decode, 1.0),
    ]
    position_count = 2 * POSITIONS_AT_ONCE
    text = (
        f"`Machine.order` in process: {len(desk.state.instruments)} instruments and references, up "
        f"to {position_count} positions, {len(desk.state.settled):,} orders settled at the end, "
        f"garbage collector on. Outcomes, each the expected one: {counts(desk.outcomes)}."
    )
    return Section("Decision in process", "p50 / decode", tuple(rows), text)


def _row(what: str, found: Spread, decode: Spread, *, goal: bool = False) -> Row:
    ratio = found.p50_us / decode.p50_us
    if not goal:
        return Row(what, found, ratio)
    met = judge(met=found.p99_us < P99_GOAL_US)
    return Row(what, found, ratio, f"p99 < {P99_GOAL_US:.0f} us", met)


def _timed_mix(desk: Desk, intents: int) -> tuple[dict[str, list[int]], list[int]]:
    decisions: dict[str, list[int]] = defaultdict(list)
    decodes: list[int] = []
    wrong, entries = cycle(WRONG), 0
    for number in range(1, intents + 1):
        intent = desk.next_intent()
        entries += intent.purpose is Purpose.ENTRY
        if intent.purpose is Purpose.ENTRY and entries % DENIED_ENTRY == 0:
            reason, spoil = next(wrong)
            other = replace(intent, intent_id=f"w{number:08d}", group_id=f"w{number:08d}")
            decisions[reason].append(desk.decide(spoil(other), reason))
            # A step later the order comes as it should have been.
            intent = desk.later(intent)
        decisions[APPROVED].append(desk.decide(intent, APPROVED))
        desk.settle(intent)
        if number % KNOWN_EVERY == 0:
            decisions[KNOWN].append(desk.decide(intent, KNOWN))
        decodes.append(_decode(strict.encode(intent)))
    return decisions, decodes


def _decode(raw: bytes) -> int:
    start = monotonic_ns()
    strict.decode(OrderIntent, raw)
    return monotonic_ns() - start


def growth(samples: int, progress: Callable[[str], None], *, settled: Sequence[int]) -> Section:
    """Return how the time of an approval grows with settled intents and with open orders."""
    cases = [_case(f"{n:,} settled, 1 open", n, 1, progress) for n in settled]
    middle = min(SETTLED_WHILE_OPEN_GROWS, settled[-1])
    cases += [_case(f"{middle:,} settled, {n} open", middle, n, progress) for n in OPEN]
    # In turns, so that the machine's drift meets every state alike.
    while len(cases[0].samples) < samples:
        for case in cases:
            _measure(case, min(BLOCK, samples))
    by_settled, by_open = cases[: len(settled)], cases[len(settled) :]
    rows = _growth_rows(by_settled, FLAT_RATIO_GOAL) + _growth_rows(by_open, None)
    text = (
        "Ratios are to the first row of their group, by p50; all states take turns. The order that "
        "is decided on comes on top of the open ones."
    )
    return Section("Growth of one approval", "p50 / first", tuple(rows), text)


def _case(what: str, settled: int, open_orders: int, progress: Callable[[str], None]) -> _Case:
    progress(f"growth: preparing {what}")
    desk = Desk("bench-growth", positions_at_once=POSITIONS_AT_ONCE - 1)
    desk.leave_open(open_orders)
    while len(desk.state.settled) < settled:
        intent = desk.next_intent()
        desk.decide(intent, APPROVED)
        desk.settle(intent)
    return _Case(what, desk, settled, open_orders, [])


def _measure(case: _Case, block: int) -> None:
    state = case.desk.state
    for _ in range(block):
        intent = case.desk.next_intent()
        case.samples.append(case.desk.decide(intent, APPROVED))
        case.desk.settle(intent)
        del state.settled[next(iter(state.settled))]
    if (len(state.settled), len(state.open_orders)) != (case.settled, case.open):
        raise BenchmarkError(f"{case.what}: the state did not keep its size")


def _growth_rows(cases: Sequence[_Case], flat: float | None) -> list[Row]:
    spreads = [spread(case.samples) for case in cases]
    first = spreads[0].p50_us
    rows = [Row(c.what, s, s.p50_us / first) for c, s in zip(cases, spreads, strict=True)]
    if flat is not None:
        last = rows[-1]
        ratio = spreads[-1].p50_us / first
        rows[-1] = replace(last, goal=f"ratio < {flat}", verdict=judge(met=ratio < flat))
    return rows
