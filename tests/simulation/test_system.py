"""The whole system on virtual time: it trades, ends flat, and its seed alone decides how."""

import pytest
from tests.simulation import equation, virtual
from tests.simulation.system import System

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def trade(tmp_path, monkeypatch, *, seconds=60.0, **environ):
    """Trade for so many virtual seconds; return exit code, KPI JSON and the venues' orders."""

    async def main():
        system = System(tmp_path, **environ)
        await system.start()
        start = system.balances()
        began = system.loop.time()
        await system.until(lambda: system.loop.time() > began + seconds, "the time", seconds + 1)
        code = await system.stop_engine()
        equation.check(system, start)
        equation.check_journal(system)
        found = code, system.kpi(), fills_of(system)
        await system.close()
        return found

    return virtual.run(main, monkeypatch)


def fills_of(system):
    """Return every fill at the venues: time, venue, symbol, side, quantity, price."""
    return [
        (fill.time_ns, venue.value, fill.symbol, fill.side.value, fill.quantity, fill.price)
        for venue, order in system.world.audit
        for fill in order.fills
    ]


def test_it_trades_and_ends_flat_with_even_books(tmp_path, monkeypatch):
    code, kpi, fills = trade(tmp_path, monkeypatch, TIME_LIMIT_S="10", BINANCE_MARKET="spot")
    assert code == 0
    assert kpi["round_trips_completed"] >= 20
    assert len(fills) >= 4 * kpi["round_trips_completed"]
    assert kpi["vetoes"].keys() <= {"SYMBOL_RATE", "RATE"}


def test_the_seed_decides_every_fill_and_every_figure(tmp_path, monkeypatch):
    runs = [
        trade(tmp_path / name, monkeypatch, seconds=30.0, TIME_LIMIT_S="10", SIM_SEED=seed)
        for name, seed in (("one", "7"), ("same", "7"), ("other", "8"))
    ]
    (_, first, fills), (_, second, same), (_, _, other) = runs
    assert fills == same
    assert first == second
    assert fills != other
