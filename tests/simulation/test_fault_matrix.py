"""Every fault at every leg of a round trip: what becomes of it is what docs/reference says.

The table there is the expectation. A cell is one round trip: the rule is loaded in the moment in
which the engine sends the leg's order, and is gone six virtual seconds later. Afterwards every
book must be even, and the system trades on.
"""

import asyncio
import re
from pathlib import Path

import pytest
from tests.simulation import equation, virtual
from tests.simulation.system import ENGINE, System

from interlock_core.wire.gate import Purpose
from interlock_engine.execute.gate_client import GateClient
from interlock_engine.ledger.records import Finished, Sent, Settled, Undone
from interlock_engine.observe.scoreboard import Scoreboard

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

TABLE = Path(__file__).parents[2] / "docs/reference/fault-matrix.md"
SETTINGS = {
    "TIME_LIMIT_S": "4",
    "WARM_UP_S": "2",
    "MAX_POSITIONS": "1",
    "ENTRY_THRESHOLD_BPS": "4",
    "COOLDOWN_S": "1",
}
ONCE = {"count": 1, "operation": "order"}
WHILE = {"until_s": 6}
FAULTS = {
    "delay": {"kind": "delay", "ms": 1_500, **ONCE},
    "timeout before acceptance": {"kind": "timeout_before", "ms": 20_000, **ONCE},
    "timeout after acceptance": {"kind": "timeout_after", "ms": 20_000, **ONCE},
    "5xx, executed": {"kind": "unknown_status", "executed": True, **ONCE},
    "5xx, not executed": {"kind": "unknown_status", "executed": False, **ONCE},
    "429": {"kind": "rate_limited", "retry_after_s": 2, **ONCE},
    "418": {"kind": "banned", "retry_after_s": 4, **ONCE},
    "rejected: balance": {"kind": "rejected", "reason": "balance", **ONCE},
    "rejected: filter": {"kind": "rejected", "reason": "filter", **ONCE},
    "rejected: price band": {"kind": "rejected", "reason": "price_band", **ONCE},
    "partial fill of 40 %": {"kind": "partial_fill", "fraction": 0.4, **ONCE},
    "self-trade prevention": {"kind": "self_trade", **ONCE},
    "market halted": {"kind": "halted", **WHILE},
    "market delisted": {"kind": "delisted", **WHILE},
    "maintenance page": {"kind": "maintenance", **ONCE},
    "stale book": {"kind": "stale_book", **WHILE},
    "crossed book": {"kind": "crossed_book", **WHILE},
    "gap in sequence": {"kind": "sequence_gap", **WHILE},
    "silent WebSocket": {"kind": "stall", "operation": "public", **WHILE},
    "WebSocket disconnected": {"kind": "disconnect", "operation": "public", "count": 1},
    "malformed frame": {"kind": "malformed_frame", "operation": "public", "count": 1},
    "clock 2 s ahead": {"kind": "clock_skew", "ms": 2_000, **WHILE},
    "slow account": {"kind": "slow_account", "ms": 3_000, **WHILE},
}
PLACES = {
    "entry leg 1": (Purpose.ENTRY, "a"),
    "entry leg 2": (Purpose.ENTRY, "b"),
    "exit leg 1": (Purpose.EXIT, "a"),
    "exit leg 2": (Purpose.EXIT, "b"),
}
VENUE_OF = {"a": "upbit", "b": "binance"}


def expected():
    """Return the outcomes in the table of the documentation, by fault and place."""
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$",
        TABLE.read_text(),
        re.MULTILINE,
    )
    return {row[0]: dict(zip(PLACES, row[1:], strict=True)) for row in rows if row[0] in FAULTS}


def test_the_table_has_every_fault():
    assert list(expected()) == list(FAULTS)


class Watch:
    """Loads a rule right before a leg's order is sent, and remembers what was in doubt."""

    def __init__(self, monkeypatch):
        self.system = None
        self.wanted = None
        self.group = None
        self.doubts = set()
        submit, began = GateClient.submit, Scoreboard.doubt_began

        async def watched(client, intent):
            if self.wanted and self.wanted[1:] == (intent.purpose, intent.leg):
                rule = dict(FAULTS[self.wanted[0]], venue=VENUE_OF[intent.leg])
                self.wanted, self.group = None, intent.group_id
                if rule["kind"] != "sequence_gap" or intent.leg == "b":
                    self.system.misbehave(rule)
            return await submit(client, intent)

        def doubted(score, order):
            self.doubts.add(order.intent.group_id)
            began(score, order)

        monkeypatch.setattr(GateClient, "submit", watched)
        monkeypatch.setattr(Scoreboard, "doubt_began", doubted)


def outcome(system, group, *, doubted):
    """Return in a few words what became of a round trip, from the engine's ledger."""
    kept = system.ledger()
    sent = [r for r in kept if isinstance(r, Sent) and r.intent.group_id == group]
    number = sent[0].number
    filled = {
        r.result.intent_id for r in kept if isinstance(r, Settled) and r.result.filled_quantity
    }
    traded = [r.intent.purpose for r in sent if r.intent.intent_id in filled]
    if any(isinstance(r, Undone) and r.number == number for r in kept):
        word = "undone" if traded else "not entered"
    else:
        assert any(isinstance(r, Finished) and r.number == number for r in kept)
        exits = [r for r in sent if r.intent.purpose is Purpose.EXIT]
        word = "traded"
        if Purpose.REPAIR in traded:
            word = "repaired"
        elif Purpose.UNWIND in traded:
            word = "reduced"
        elif len(exits) > len(PLACES) // 2:
            word = "closed at a later try"
    return f"{word} after doubt" if doubted else word


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_at_each_leg(fault, tmp_path, monkeypatch, few_assets):
    watch = Watch(monkeypatch)

    async def main():
        system = watch.system = System(tmp_path, **SETTINGS)
        await system.start()
        start, found = system.balances(), {}
        for place, (purpose, leg) in PLACES.items():
            watch.wanted, watch.group = (fault, purpose, leg), None
            await system.until(lambda: watch.group, f"{fault}, {place}: the order", 180.0)
            await system.until(
                lambda: _is_over(system, watch.group), f"{fault}, {place}: its end", 180.0
            )
            await system.settle()
            system.world.faults.clear()
            equation.check(system, start)
            found[place] = outcome(system, watch.group, doubted=watch.group in watch.doubts)
            if await _is_held_for_good(system):
                found[place] += ", held"
                system.kill(ENGINE)
                await system.restart(ENGINE)
                await system.until(system.is_trading, f"{fault}, {place}: a new session", 60.0)
            system.go_on()
        equation.check_journal(system)
        assert not any(not r.resolved for r in system.engine._trader.residuals)
        await system.settle()
        assert await system.stop_engine() == 0
        await system.close()
        return found

    found = virtual.run(main, monkeypatch)
    assert found == expected()[fault]


async def _is_held_for_good(system):
    """Say whether the gatekeeper still holds new risk half a minute after everything ended."""
    deadline = system.loop.time() + 30.0
    await asyncio.sleep(1.0)
    while system.gatekeeper._state.hold is not None and system.loop.time() < deadline:
        await asyncio.sleep(1.0)
    return system.gatekeeper._state.hold is not None


def _is_over(system, group):
    number = int(group[2:8])
    return any(isinstance(r, Finished | Undone) and r.number == number for r in system.ledger())
