"""What simulated money does, live does: one seed, both modes, the same fills and figures."""

import asyncio

import pytest
from tests.simulation import equation, live, virtual
from tests.simulation.system import System
from tests.simulation.test_system import fills_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

BEGIN_S, SECONDS = 60.0, 42.0
# Within what stage `smoke` allows, so that no cap binds in one mode alone.
SETTINGS = {
    "ORDER_NOTIONAL_USD": "17",
    "BINANCE_MARKET": "perp",
    "MAX_POSITIONS": "1",
    "TIME_LIMIT_S": "10",
    "SIM_SEED": "11",
}
# What names the mode, or is a share of its cap.
OF_THE_MODE = {
    "environment",
    "stage",
    "config_digest",
    "initial_equity_usd",
    "final_equity_usd",
    "roi_pct",
}


def _trade(tmp_path, monkeypatch, *, is_live):
    async def main():
        more = live.environment(tmp_path / "keys") if is_live else {}
        system = System(tmp_path, **SETTINGS, **more)
        await system.start_venues()
        system.start_gatekeeper()
        state = system.gatekeeper._state
        await system.until(lambda: state.phase_name != "BOOT", "the gatekeeper")
        start = system.balances()
        if is_live:
            await live.arm(system)
        await asyncio.sleep(BEGIN_S - system.loop.time())
        system.start_engine()
        await system.until(system.is_trading, "trading")
        await asyncio.sleep(BEGIN_S + SECONDS - system.loop.time())
        await system.settle()
        equation.check(system, start)
        assert await system.stop_engine() == 0
        found = system.kpi(), fills_of(system)
        await system.close()
        return found

    return virtual.run(main, monkeypatch)


def test_live_trades_as_simulated_money_does(tmp_path, monkeypatch, few_assets):
    kpi, fills = _trade(tmp_path / "simulated", monkeypatch, is_live=False)
    live_kpi, live_fills = _trade(tmp_path / "live", monkeypatch, is_live=True)
    assert live_kpi["environment"] == "live"
    assert kpi["round_trips_completed"] >= 3
    told = {name: (kpi[name], live_kpi[name]) for name in ("vetoes", "guard_triggers", "alerts")}
    assert live_fills == fills, told
    for name in sorted(set(kpi) - OF_THE_MODE):
        assert live_kpi[name] == kpi[name], name
