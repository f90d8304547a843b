"""Live mode on the simulated venues: keys in files, an attested preflight, a drill, an arm."""

import asyncio

import aiohttp
from tests.integration.gatekeeper.conftest import attest, live_environment
from tests.integration.simvenues.sim_server import BINANCE_KEYS, UPBIT_KEYS
from tests.simulation.system import GATEKEEPER

from interlock_core.clock import SystemClock, rfc3339
from interlock_core.instrument import Venue
from interlock_gatekeeper import operator_api

KEYS = dict(
    zip(
        ("UPBIT_ACCESS_KEY", "UPBIT_SECRET_KEY", "BINANCE_API_KEY", "BINANCE_API_SECRET"),
        (*UPBIT_KEYS, *BINANCE_KEYS),
        strict=True,
    )
)


def environment(folder):
    """Return the settings of live mode, with the simulated accounts' keys in files."""
    folder.mkdir(parents=True, exist_ok=True)
    environ = live_environment(folder)
    for name, key in KEYS.items():
        file = folder / name
        file.chmod(0o600)
        file.write_text(key)
        file.chmod(0o400)
    return environ


async def _post(system, path, body):
    connector = aiohttp.UnixConnector(system.environ["OPERATOR_SOCKET"])
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.post(f"http://operator{path}", json=body) as answer,
    ):
        return answer.status, await answer.json()


async def arm(system):
    """Do what an operator does before the first dollars, and arm stage `smoke` with 50 USD."""
    attest(system.environ)
    account = system.world.perp_account
    for item in system.world.instruments.of(Venue.BINANCE_PERP).values():
        config = account.config(item.symbol)
        config.isolated, config.leverage = True, 1
    # No PostgreSQL takes part here: what its mirror would say is said in its place.
    anchoring = asyncio.ensure_future(_anchor(system))
    system.tasks["anchor"] = anchoring
    report = {"passed": True, "drills": 1, "deny_p99_ms": 1.0, "cancel_p99_ms": 1.0}
    assert (await _post(system, operator_api.PATH_DRILL, report))[0] == 200
    health = system.gatekeeper.health
    try:
        await system.until(lambda: health().ready_answer()[0] == 200, "ready to be armed", 60.0)
    except AssertionError:
        raise AssertionError(health().ready_answer()) from None
    facts = {
        "ack": "I_UNDERSTAND_LIVE_RISK",
        "arm_at": rfc3339(SystemClock().wall_ns()),
        "max_notional_usd": "50",
        "stage": "smoke",
        "approval": "",
    }
    status, answer = await _post(system, operator_api.PATH_ARM, facts)
    assert status == 200, answer


async def _anchor(system):
    while not system.tasks[GATEKEEPER].done():
        system.gatekeeper._anchored(SystemClock().boot_ns())
        await asyncio.sleep(1.0)
