"""The process: sources, health, admin, limits, shutdown."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import aiohttp
import pytest
from tests.integration.simvenues.sim_server import Server, start, stop

pytestmark = pytest.mark.integration


def _get(url: str) -> tuple[int, dict[str, str], Any]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # loopback http only
            return answer.status, dict(answer.headers), json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), json.loads(error.read())


def test_admin_health_and_metrics(server: Server) -> None:
    """What is served is what the contract names."""
    _, _, market = _get(f"{server.http}/admin/market")
    assert (market["source"], market["regime"], market["seed"]) == ("synthetic", "lively", 7)
    assert market["requested"] == "synthetic"
    assert market["fallback_reason"] is None
    assert len(market["assets"]) >= 50
    assert _get(f"{server.http}/health")[0] == 200
    accounts = _get(f"{server.http}/admin/accounts")[2]
    assert set(accounts) == {"UPBIT", "BINANCE", "BINANCE_PERP"}
    assert "orders" in _get(f"{server.http}/admin/orders")[2]
    url = f"{server.http}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # loopback http only
        text = answer.read().decode()
    for name in (
        "interlock_sim_requests_total",
        "interlock_sim_orders_total",
        'interlock_sim_market_source_info{regime="lively",source="synthetic"} 1.0',
        "interlock_sim_ws_connections",
        "process_resident_memory_bytes",
    ):
        assert name in text


def test_requests_beyond_the_limit_are_refused() -> None:
    """Upbit by the second with Remaining-Req, Binance by weight and minute."""
    server = start()
    try:
        url = f"{server.http}/upbit/v1/ticker?markets=KRW-BTC"
        answers = [_get(url) for _ in range(60)]
        assert answers[0][1]["Remaining-Req"].startswith("group=ticker; min=600; sec=")
        refused = [answer for answer in answers if answer[0] == 429]
        assert refused
        assert int(refused[0][1]["Retry-After"]) >= 1
        url = f"{server.http}/fapi/v1/ticker/24hr"
        weights = [_get(url) for _ in range(70)]
        assert int(weights[0][1]["X-MBX-USED-WEIGHT-1M"]) >= 40
        status, headers, body = weights[-1]
        assert (status, body["code"]) == (429, -1003)
        assert int(headers["Retry-After"]) >= 1
    finally:
        stop(server)


async def test_sigterm_ends_the_process_at_once_despite_open_sockets() -> None:
    """Clients that never close do not delay it."""
    server = start()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{server.ws}/upbit/websocket/v1") as upbit,
        session.ws_connect(f"{server.ws}/fstream/public/stream?streams=btcusdt@depth"),
    ):
        await upbit.send_str('[{"ticket":"t"},{"type":"orderbook","codes":["KRW-BTC"]}]')
        await upbit.receive(timeout=5)
        begun = time.monotonic()
        assert await asyncio.to_thread(stop, server) == 0
        assert time.monotonic() - begun < 1.5


def test_auto_falls_back_to_synthetic_and_says_why() -> None:
    """The mirrored address does not answer."""
    server = start(
        MARKET_SOURCE="auto", SIM_MIRROR_URL="http://127.0.0.1:9", SIM_MIRROR_TIMEOUT_S="1"
    )
    try:
        market = _get(f"{server.http}/admin/market")[2]
        assert (market["requested"], market["source"]) == ("auto", "synthetic")
        assert "127.0.0.1:9 cannot be reached" in market["fallback_reason"]
    finally:
        stop(server)


def test_mirror_follows_another_venue(server: Server) -> None:
    """Books come through ccxt.pro from a second simulator."""
    mirror = start(MARKET_SOURCE="auto", SIM_MIRROR_URL=server.http, SIM_MIRROR_ASSETS="3")
    try:
        market = _get(f"{mirror.http}/admin/market")[2]
        assert (market["source"], market["fallback_reason"]) == ("mirror", None)
        assert market["assets"] == ["BTC", "ETH", "XRP"]
        path = "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT"
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            rows = [_get(base + path)[2] for base in (server.http, mirror.http)]
            if rows[0]["bidPrice"] == rows[1]["bidPrice"]:
                break
        assert rows[0]["bidPrice"] == rows[1]["bidPrice"]
        assert _get(f"{mirror.http}/health")[0] == 200
    finally:
        stop(mirror)


def test_a_recording_is_played(tmp_path: Any) -> None:
    """Bars of both venues; the label names the file."""
    bars = tmp_path / "bars.csv"
    bars.write_text(
        "timestamp,close_upbit_krw,close_binance_usdt\n"
        "2025-05-28 18:10:00,150000000,107800\n"
        "2025-05-28 18:15:00,150300000,107900\n"
    )
    server = start(MARKET_SOURCE="recording", SIM_RECORDING_PATH=str(tmp_path))
    try:
        market = _get(f"{server.http}/admin/market")[2]
        assert market["source"] == "recording"
        assert market["detail"].startswith("bars.csv: bar replay")
        book = _get(f"{server.http}/upbit/v1/orderbook?markets=KRW-BTC&count=1")[2][0]
        assert book["orderbook_units"][0]["bid_price"] == 150_000_000
    finally:
        stop(server)


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"SIM_PORT": "x"}, "SIM_PORT: expected a whole number, was 'x'"),
        ({"MARKET_SOURCE": "recording", "SIM_RECORDING_PATH": "/nowhere"}, "does not exist"),
        ({"SIM_REGIME": "wild"}, "SIM_REGIME: expected one of lively, calibrated"),
    ],
)
def test_unusable_settings_are_one_clear_line(environ: dict[str, str], text: str) -> None:
    """Exit code 2, no stack trace."""
    done = subprocess.run(
        [sys.executable, "-m", "interlock_simvenues"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_help_explains_paths_and_settings() -> None:
    """Every setting is named."""
    done = subprocess.run(
        [sys.executable, "-m", "interlock_simvenues", "--help"],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    for word in (
        "/upbit/v1",
        "/fapi/v1",
        "SIM_PORT",
        "MARKET_SOURCE",
        "SIM_REGIME",
        "/admin/orders",
    ):
        assert word in done.stdout
