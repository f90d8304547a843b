"""The whole system on virtual time: it trades, ends flat, and its seed alone decides how."""

import pytest
from tests.simulation import equation, virtual
from tests.simulation.system import System

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def _trade(tmp_path, monkeypatch, *, seconds=120.0, **environ):
    async def main():
        system = System(tmp_path, **environ)
        await system.start()
        start = system.balances()
        began = system.loop.time()
        await system.until(lambda: system.loop.time() > began + seconds, "the time", seconds + 1)
        code = await system.stop_engine()
        equation.check(system, start)
        found = code, system.kpi(), list(system.world.audit)
        await system.close()
        return found

    return virtual.run(main, monkeypatch)


def test_it_trades_and_ends_flat_with_even_books(tmp_path, monkeypatch):
    code, kpi, orders = _trade(tmp_path, monkeypatch, TIME_LIMIT_S="10")
    print(kpi)
    assert code == 0
    assert kpi["round_trips_completed"] >= 20
    assert len(orders) >= 4 * kpi["round_trips_completed"]
