"""Another process goes on from any point of the ledger: same books, no order twice, none lost."""

import asyncio
from decimal import Decimal

import pytest
from tests.unit.engine.fakes import ROUTE, FakeGate, fill, result, taxed, veto
from tests.unit.engine.world import World

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Side
from interlock_core.money import ZERO
from interlock_core.wire.gate import Outcome
from interlock_engine.account.leg import LEGS
from interlock_engine.account.position import Phase
from interlock_engine.ledger.records import Opened, Sent, Settled
from interlock_engine.ledger.recovery import replay, residuals, restore
from interlock_engine.observe.tally import Tally

# What the gate answers to the orders of one life, first leg first, over one or two round trips.
SCRIPTS = {
    "clean": [],
    "partial first leg": [fill("0.3")],
    "second leg short": [fill(), fill("0.2")],
    "second leg never": [fill(), fill("0"), fill("0"), fill("0")],
    "first leg never": [fill("0")],
    "vetoed": [veto("ORDER_MAX")],
    "nothing can be repaired": [fill(), *[veto("VENUE_DOWN")] * 6],
    "exit in pieces": [fill(), fill(), fill("0.6"), fill("0.6")],
    "fees in the asset": [taxed] * 8,
    "fees in the asset, nothing entered": [*[taxed] * 4, fill("0")],
    "exit refused at first": [fill(), fill(), *[veto("RATE")] * 3],
}


class RememberingGate(FakeGate):
    """Like the gatekeeper, it knows every intent it ever executed, and answers for each once."""

    def __init__(self, script=(), known=()):
        super().__init__(script=list(script))
        self.known = {r.intent_id: (i, r) for i, r in known}

    async def submit(self, intent):
        assert intent.intent_id not in self.known, "an intent was sent twice"
        answer = await super().submit(intent)
        self.known[intent.intent_id] = (intent, answer)
        return answer

    async def prove(self, intent):
        found = self.known.get(intent.intent_id)
        return found[1] if found else result(intent, ZERO, outcome=Outcome.VETOED, code="NOT_FOUND")

    def net(self, leg):
        """Return what all executed orders of a leg add up to, signed."""
        results = [(i.side, r) for i, r in self.known.values() if i.leg == leg]
        gross = sum((r.filled_quantity * (1, -1)[side is Side.SELL] for side, r in results), ZERO)
        return gross - sum((r.fee for _, r in results if r.fee_currency == "ETH"), ZERO)


async def _live(script):
    world = World()
    gate = RememberingGate(script)
    _use(world, gate)
    world.warm_up()
    for premium in (0.0, 100.0, 0.0, 100.0):
        world.step(premium, seconds=12.0)
        await world.settle()
        world.trader.tend(world.clock.boot_ns())
        await world.settle()
    return world, gate


def _use(world, gate):
    world.gate = gate
    world.trader._legs._gate = gate


def _held(world, leg):
    """Return what the engine's books hold of a leg: positions and dust."""
    key = (ROUTE.upbit if leg == "a" else ROUTE.binance).key
    position = world.state.position
    held = position.held[leg] if position is not None else ZERO
    return held + world.score.dust.get(key, ZERO)


def _resumed(records, gate, live):
    """Return the world of a process that begins where the records end."""
    world = World()
    _use(world, gate)
    world.clock.advance(live.clock.boot_ns() + 5 * NS_PER_S)
    world.quote(100.0)
    world.state.update_premium(world.market.fx_book)
    found = replay(records, world.score)
    world.trader.numbers = found.numbers
    world.trader.residuals += residuals(found)
    for trip in found.trips.values():
        world.trader.take_over(*restore(trip, ROUTE, world.clock))
    return world, found


async def _go_on(world):
    for _ in range(6):
        world.clock.advance(3 * NS_PER_S)
        world.quote(100.0)
        world.state.update_premium(world.market.fx_book)
        world.trader.tend(world.clock.boot_ns())
        await world.settle()
    await world.trader.close_all(1.0)


def _cases():
    for name, script in SCRIPTS.items():
        world, _ = asyncio.run(_live(script))
        for cut in range(len(world.ledger.records) + 1):
            last = world.ledger.records[cut - 1] if cut else None
            yield pytest.param(name, cut, False, id=f"{name}-{cut}")
            if isinstance(last, Sent):
                yield pytest.param(name, cut, True, id=f"{name}-{cut}-executed")


@pytest.mark.parametrize(("name", "cut", "executed"), list(_cases()))
async def test_a_process_that_ends_at_any_record_is_gone_on_with(name, cut, executed):
    """The ledger equation, for an order that was lost on its way and for one that arrived."""
    live, first = await _live(SCRIPTS[name])
    records = live.ledger.records[:cut]
    settled = {r.result.intent_id for r in records if isinstance(r, Settled)}
    arrived = [
        first.known[r.intent.intent_id]
        for r in records
        if isinstance(r, Sent)
        and r.intent.intent_id in first.known
        and (r.intent.intent_id in settled or executed)
    ]
    gate = RememberingGate(known=arrived)
    world, _ = _resumed(records, gate, live)
    assert world.trader.numbers == sum(isinstance(r, Opened) for r in records)
    await _go_on(world)
    assert world.state.position is None
    assert world.score.in_doubt == {}
    for leg in LEGS:
        assert _held(world, leg) == gate.net(leg)
    # Its own ledger, put behind the first one, tells the same story again.
    again = Tally()
    whole = replay([*records, *world.ledger.records], again)
    assert whole.trips == {}
    assert _counts(again) == _counts(world.score)


def _counts(tally):
    skipped = {"slippage", "fill_ratio", "last_trips", "resumed"}
    plain = {name: value for name, value in vars(Tally()).items() if name not in skipped}
    means = [
        (m.total, m.count) for each in (tally.slippage, tally.fill_ratio) for m in each.values()
    ]
    return [getattr(tally, name) for name in plain] + means + [list(tally.last_trips)]


@pytest.mark.parametrize("name", SCRIPTS)
async def test_the_counters_read_again_are_the_counters_as_they_were(name):
    live, _ = await _live(SCRIPTS[name])
    again = Tally()
    found = replay(live.ledger.records, again)
    assert _counts(again) == _counts(live.score)
    position = live.state.position
    assert set(found.trips) == ({position.number} if position else set())
    for trip in found.trips.values():
        restored, doubtful = restore(trip, ROUTE, live.clock)
        assert doubtful == []
        assert (restored.held, restored.phase, restored.attempts, restored.budget) == (
            position.held,
            position.phase,
            position.attempts,
            position.budget,
        )
        assert restored.cash_usd == position.cash_usd
        assert restored.opened_boot_ns == position.opened_boot_ns


async def test_an_order_in_doubt_is_proven_before_anything_else_is_sent():
    live, first = await _live([])
    cut = 1 + next(
        n
        for n, r in enumerate(live.ledger.records)
        if isinstance(r, Sent) and r.intent.purpose.value == "exit"
    )
    gate = RememberingGate(known=first.known.values())
    world, _ = _resumed(live.ledger.records[:cut], gate, live)
    position = world.state.position
    assert position.phase is Phase.CLOSING
    world.loop.watch(world.clock.boot_ns())
    assert gate.sent == []
    assert world.trader.is_doubtful(position)
    await _go_on(world)
    assert {i.intent_id for i in gate.sent}.isdisjoint(first.known)


async def test_a_position_is_left_alone_until_the_books_were_compared():
    live, first = await _live([])
    opened = [n for n, r in enumerate(live.ledger.records) if isinstance(r, Sent)][2]
    gate = RememberingGate(known=list(first.known.values())[:2])
    world, _ = _resumed(live.ledger.records[:opened], gate, live)
    world.unconfirmed.add(world.state.position.number)
    world.clock.advance(500 * NS_PER_S)
    world.quote(100.0)
    world.loop.step(world.state, world.clock.boot_ns())
    world.trader.tend(world.clock.boot_ns())
    await world.settle()
    assert gate.sent == []
    world.unconfirmed.clear()
    await _go_on(world)
    assert len(gate.sent) == 2
    assert world.score.round_trips == 1


def test_records_that_contradict_are_refused():
    live, _ = asyncio.run(_live([]))
    sent = next(n for n, r in enumerate(live.ledger.records) if isinstance(r, Sent))
    settled = next(r for r in live.ledger.records if isinstance(r, Settled))
    with pytest.raises(ValueError, match="is not open"):
        replay(live.ledger.records[sent:], Tally())
    with pytest.raises(ValueError, match="was never sent"):
        replay([*live.ledger.records[:sent], settled], Tally())


async def test_a_residual_is_taken_over_and_still_freezes_entries():
    live, _ = await _live(SCRIPTS["nothing can be repaired"])
    cut = next(n for n, r in enumerate(live.ledger.records) if type(r).__name__ == "Unhedged")
    world, _ = _resumed(live.ledger.records[: cut + 1], RememberingGate(), live)
    (residual,) = world.trader.residuals
    assert (residual.asset, residual.resolved) == ("ETH", False)
    assert residual.value_usd > Decimal(100)


async def test_dust_is_carried_into_the_next_round_trip_and_leaves_with_its_exit():
    """An exit for more than is there would open the opposite: the gatekeeper refuses that."""
    live, gate = await _live(SCRIPTS["fees in the asset"])
    exits = [i for i in gate.sent if i.purpose.value == "exit"]
    assert len(exits) == 4
    running = {"a": ZERO, "b": ZERO}
    for intent, done in gate.known.values():
        before = running[intent.leg]
        change = done.filled_quantity * (1, -1)[intent.side is Side.SELL]
        fee = done.fee if done.fee_currency == "ETH" else ZERO
        running[intent.leg] += change - fee
        if intent in exits:
            assert before * change < ZERO
            assert abs(change) <= abs(before)
    assert live.score.round_trips == 2
    # One tick of dust is what is left of two round trips, not of one each.
    assert all(abs(left) < Decimal("0.001") for left in running.values())
