"""A long run in which one call in ten goes wrong: it ends flat, with every order proven."""

import os

import pytest
from tests.simulation import equation, virtual
from tests.simulation.system import System

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]

TRIPS = int(os.environ.get("FAULTY_TRIPS", "60"))
SETTINGS = {
    "TIME_LIMIT_S": "3",
    "WARM_UP_S": "2",
    "MAX_POSITIONS": "8",
    "ENTRY_THRESHOLD_BPS": "1",
    "COOLDOWN_S": "0",
    # Small, so that what a thousand of them lose stays within the loss limit of a session.
    "ORDER_NOTIONAL_USD": "30",
}
# One call in ten, of each kind of call: those whose outcome stays open weigh most.
RULES = [
    {"kind": "timeout_after", "operation": "order", "probability": 0.02, "ms": 20_000},
    {"kind": "timeout_before", "operation": "order", "probability": 0.02, "ms": 20_000},
    {"kind": "unknown_status", "operation": "order", "probability": 0.02},
    {"kind": "rejected", "operation": "order", "probability": 0.01},
    {"kind": "partial_fill", "operation": "order", "probability": 0.02, "fraction": 0.4},
    {"kind": "self_trade", "operation": "order", "probability": 0.01},
    {"kind": "unknown_status", "operation": "query", "probability": 0.04},
    {"kind": "delay", "operation": "query", "probability": 0.04, "ms": 1_500},
    {"kind": "maintenance", "operation": "query", "probability": 0.02},
    {"kind": "maintenance", "operation": "account", "probability": 0.05},
    {"kind": "delay", "operation": "account", "probability": 0.05, "ms": 1_500},
]


def test_a_thousand_round_trips_with_one_call_in_ten_faulty_end_flat(
    tmp_path, monkeypatch, few_assets
):
    async def main():
        system = System(tmp_path, **SETTINGS)
        await system.start()
        start = system.balances()
        system.misbehave(*RULES)
        began = system.loop.time()
        await system.until(
            lambda: system.engine._score.round_trips >= TRIPS, f"{TRIPS} round trips", 400.0 * TRIPS
        )
        took = system.loop.time() - began
        injected = list(system.world.faults.log)
        system.world.faults.clear()
        await system.settle()
        equation.check(system, start)
        equation.check_journal(system)
        assert await system.stop_engine() == 0
        kpi = system.kpi()
        await system.close()
        return kpi, took, injected

    kpi, took, injected = virtual.run(main, monkeypatch)
    print(f"{took:.0f} virtual s, {len(injected)} faults (the last 2000 are kept), {kpi}")  # noqa: T201
    assert kpi["round_trips_completed"] >= TRIPS
    assert {fault.rule.kind for fault in injected} == {rule["kind"] for rule in RULES}
