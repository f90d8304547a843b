"""The whole gatekeeper as a process on the real simulator, with the venue as its witness.

It is killed at random; the record must hold against the order list that the venue itself keeps.
"""

import asyncio
import json
import os
import random
import signal
import sys
import urllib.request
from contextlib import asynccontextmanager

import httpx
import pytest
from tests.integration.gatekeeper.conftest import Client
from tests.integration.simvenues.sim_server import start, stop
from tests.ports import free_port

from interlock_core.instrument import Side
from interlock_gatekeeper import audit, drill, invariants, journal
from interlock_gatekeeper.settings import read_settings

pytestmark = pytest.mark.integration

PERP = "BINANCE_PERP:XRPUSDT"
SPOT = "UPBIT:KRW-XRP"


@pytest.fixture(scope="module")
def simulator():
    running = start(SIM_RATE_LIMITS="off")
    yield running
    stop(running)


@asynccontextmanager
async def process(environ, log):
    """Run one life of the gatekeeper; it ends by SIGKILL unless it was told to end before."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "interlock_gatekeeper",
        env={**os.environ, **environ},
        stdout=log,
        stderr=log,
    )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{environ['GATE_HEALTH_PORT']}"
        ) as health:
            await until_ready(health, running)
        yield running
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGKILL)
        await running.wait()


async def until_ready(health, running):
    async with asyncio.timeout(30):
        while running.returncode is None:
            try:
                if (await health.get("/health/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
    pytest.fail("the gatekeeper ended")


def touch(simulator):
    """Return the perpetual's best bid and ask."""
    url = f"{simulator.http}/fapi/v1/ticker/bookTicker?symbol=XRPUSDT"
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own simulator
        best = json.load(answer)
    return best["bidPrice"], best["askPrice"]


async def trade(client, simulator, rng, name):
    """Send one order of about 20 dollars; whatever comes back, or nothing, is fine."""
    bid, ask = await asyncio.to_thread(touch, simulator)
    side = rng.choice(list(Side))
    price = ask if side is Side.BUY else bid
    try:
        await client.order(
            name,
            group_id=name,
            instrument=PERP,
            side=side,
            quantity="10",
            price=price,
            quoted_price=price,
        )
    except httpx.TransportError:
        return


def witness(simulator):
    """Return every order that the venues ever received."""
    with urllib.request.urlopen(f"{simulator.http}/admin/orders", timeout=5) as answer:  # noqa: S310
        return json.load(answer)["orders"]


async def one_life(simulator, environ, log, rng, life):
    """Trade for a while, kill or not, then die at a random moment."""
    uds = httpx.AsyncHTTPTransport(uds=environ["GATE_SOCKET"])
    async with (
        process(environ, log) as running,
        httpx.AsyncClient(transport=uds, base_url="http://engine", timeout=5) as http,
    ):
        client = Client(http, read_settings(environ).config_sha256)
        opened = await client.open(f"session-{life}", instruments=(PERP, SPOT))
        orders = [
            asyncio.create_task(trade(client, simulator, rng, f"order-{life}-{number}"))
            for number in range(3)
        ]
        await asyncio.sleep(rng.uniform(0, 0.15))
        if rng.random() < 0.3 and opened.status_code == 200:
            await http.post("/v1/kill", content=b'{"reason":"test"}')
        running.send_signal(rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        await asyncio.gather(*orders)
        await running.wait()


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_venue_bears_witness(simulator, tmp_path, seed):
    """V3, V5, V6, V7, V11, V14 over lives that end anywhere: journal and venue agree."""
    rng = random.Random(seed)
    before = len(witness(simulator))
    environ = {
        "SIMVENUES_URL": simulator.http,
        "GATE_SOCKET": str(tmp_path / "e.sock"),
        "OPERATOR_SOCKET": str(tmp_path / "o.sock"),
        "GATE_HEALTH_PORT": str(free_port()),
        "GATE_CONSOLE_PORT": str(free_port()),
        "GATE_STATE_DIR": str(tmp_path / "state"),
    }
    with (tmp_path / "log").open("wb") as log:
        for life in range(6):
            await one_life(simulator, environ, log, rng, life)
            if (tmp_path / "state").exists() and is_killed(tmp_path / "state"):
                break
    lines = []
    report = audit.verify(tmp_path / "state", environment="paper", visit=lines.append)
    assert report.defect is None
    assert report.violations == []
    received = witness(simulator)[before:]
    assert invariants.check_venue(lines, received) == []
    kinds = {line.record.kind for line in lines}
    assert {"BOOT", "OPEN", "SENT"} <= kinds


def is_killed(folder):
    lines = []
    journal.read(folder, lines.append)
    return lines[-1].raw["after"] == "KILLED"


async def test_a_drill_on_the_simulator(simulator):
    """V16, as the drill that arming asks for measures it: denied, cancelled, figures told."""
    said = []
    (drilled,) = await drill.run(simulator.http, 1, said.append)
    assert 0 < drilled.deny_ms < 1_000
    assert 0 < drilled.cancel_ms < 2_000
    assert said[0].startswith("drill 1/1: first denial after")


def test_a_drill_is_judged_by_its_slowest_hundredth():
    """V16: both limits, at the limit."""
    good = drill.Drilled(drill.MAX_DENY_MS, drill.MAX_CANCEL_MS)
    assert drill.passed([good] * 20)
    assert not drill.passed([good] * 19 + [drill.Drilled(10.1, 1.0)])
    assert not drill.passed([good] * 19 + [drill.Drilled(1.0, 150.1)])
    assert drill.p99([float(n) for n in range(1, 101)]) == 99.0
