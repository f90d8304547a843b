"""No byte of a secret leaves a live gatekeeper, whatever goes wrong around it (V15)."""

import asyncio
import base64
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
import pytest
from tests.integration.gatekeeper.conftest import (
    FILLS,
    PERP_BTC,
    POST,
    QUERY,
    UPBIT_BTC,
    Client,
    attest,
    facts,
    live_environment,
    says,
)
from tests.integration.gatekeeper.scripted_venue import DROP
from tests.integration.gatekeeper.test_mirror import migrated  # noqa: F401 - a fixture
from tests.integration.migrate.conftest import database, server  # noqa: F401 - fixtures
from tests.ports import free_port

from interlock_core.wire import gate
from interlock_gatekeeper.settings import LIVE_SECRETS, read_settings

pytestmark = pytest.mark.integration

# Characters that change in a URL, in JSON and in base64.
SECRETS = {name: f'{name.title()}+/="\\%&?0123456789-k3y' for name in LIVE_SECRETS}
PASSWORD = "pw-of-gatekeeper"
UPBIT_POST = "POST /upbit/v1/orders"


def written(secret):
    """Return a secret as text, in JSON, in a URL, in hex, and within something in base64."""
    raw = secret.encode()
    plain = [secret, json.dumps(secret)[1:-1], quote(secret, safe=""), raw.hex()]
    inside = [b"x" * before + raw for before in range(3)]
    return [
        *plain,
        *(base64.b64encode(text).decode() for text in inside),
        *(base64.urlsafe_b64encode(text).decode() for text in inside),
    ]


def spellings(secret):
    """Return what to look for: base64 without the ends that depend on what stands around."""
    plain, encoded = written(secret)[:4], written(secret)[4:]
    return {*plain, *(text[4:-4] for text in encoded)}


def leaks(said):
    """Return the secrets that bytes hold in any spelling."""
    every = {**SECRETS, "password": PASSWORD}
    return sorted(
        name for name, secret in every.items() if any(s.encode() in said for s in spellings(secret))
    )


ECHO = " ".join(text for secret in SECRETS.values() for text in written(secret))
ONE = " ".join(written(SECRETS["UPBIT_SECRET_KEY"]))


class Heard:
    """Everything that came out of the gatekeeper, by where it came out."""

    def __init__(self):
        self.said = []

    async def keep(self, response):
        await response.aread()
        head = "\n".join(f"{k}: {v}" for k, v in response.headers.items()).encode()
        self.said.append((str(response.request.url), head + b"\n" + response.content))

    def client(self, **options):
        return httpx.AsyncClient(event_hooks={"response": [self.keep]}, **options)


@asynccontextmanager
async def process(environ, log_path, *arguments):
    """Run the gatekeeper itself, its log in a file."""
    with log_path.open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *(arguments or ("interlock_gatekeeper",)),
            env={**os.environ, **environ},
            stdout=log,
            stderr=log,
        )
        try:
            yield running
        finally:
            with contextlib.suppress(ProcessLookupError):
                running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                await running.wait()


@pytest.fixture
def environ(venue, tmp_path, migrated):  # noqa: F811 - the fixture of that name
    """Return a live environment whose keys hold every awkward character."""
    base = live_environment(tmp_path, migrated.dsn(user="gatekeeper", password=PASSWORD))
    files = {}
    for name, secret in SECRETS.items():
        file = tmp_path / name
        file.unlink()
        file.write_text(secret)
        file.chmod(0o400)
        files[f"{name}_FILE"] = str(file)
    with tempfile.TemporaryDirectory(prefix="ilk-") as sockets:
        made = {
            **base,
            **files,
            "ARBITRAGE_ENV": "live",
            "STAGE": "smoke",
            "LOG_LEVEL": "DEBUG",
            "SIMVENUES_URL": venue.url,
            "GATE_SOCKET": f"{sockets}/e/engine.sock",
            "OPERATOR_SOCKET": f"{sockets}/o/operator.sock",
            "GATE_HEALTH_PORT": str(free_port()),
            "GATE_CONSOLE_PORT": str(free_port()),
            "GATE_STATE_DIR": str(tmp_path / "state"),
        }
        attest(made)
        own_key = {"access_key": SECRETS["UPBIT_ACCESS_KEY"], "expire_at": "2099-01-01"}
        venue.script["GET /upbit/v1/api_keys"].clear()
        venue.script["GET /upbit/v1/api_keys"].append(says([own_key]))
        yield made


@asynccontextmanager
async def faces(environ, heard):
    """Open a client on every face, once the gatekeeper knows its venues."""
    url = "http://127.0.0.1:{}"
    async with (
        heard.client(
            transport=httpx.AsyncHTTPTransport(uds=environ["GATE_SOCKET"]), base_url="http://engine"
        ) as engine,
        heard.client(
            transport=httpx.AsyncHTTPTransport(uds=environ["OPERATOR_SOCKET"]),
            base_url="http://operator",
        ) as operator,
        heard.client(base_url=url.format(environ["GATE_HEALTH_PORT"])) as health,
        heard.client(base_url=url.format(environ["GATE_CONSOLE_PORT"])) as console,
    ):
        drill = {"passed": True, "drills": 1, "deny_p99_ms": 1.0, "cancel_p99_ms": 1.0}
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await health.get("/health/ready")).status_code == 200:
                        break
                    await operator.post("/v1/drill", json=drill)
                await asyncio.sleep(0.2)
        config = read_settings(environ).config_sha256
        yield Client(engine, config), operator, health, console


def misbehave(venue):
    """Let both venues repeat every secret in each kind of error."""
    echo = says({"code": -2019, "msg": ONE}, 400)
    venue.script[POST].clear()
    venue.script[POST].extend([echo, says({"code": -2014, "msg": ECHO}, 401)])
    venue.script[POST].extend([(500, ECHO.encode()), (200, b"<html>" + ECHO.encode()), DROP])
    venue.script[QUERY].extend([(500, ECHO.encode()), says({"code": -1, "msg": ECHO}, 400)])
    venue.script[FILLS].appendleft((418, ECHO.encode()))
    refused = {"error": {"name": "insufficient_funds_bid", "message": ONE}}
    venue.script[UPBIT_POST].extend([says(refused, 400), (503, ECHO.encode())])
    venue.script["GET /upbit/v1/order"].append((500, ECHO.encode()))
    for path in ("GET /fapi/v1/ticker/bookTicker", "GET /upbit/v1/orderbook"):
        venue.script[path].extend([(403, ECHO.encode()), venue.script[path][0]])


async def test_no_secret_comes_out(venue, environ, tmp_path):
    """Orders refused, in doubt and lost, bad requests on every face, a kill, failed starts."""
    assert leaks(ECHO.encode()) == sorted(SECRETS)
    heard, log = Heard(), tmp_path / "log"
    async with (
        process(environ, log) as running,
        faces(environ, heard) as (engine, operator, health, console),
    ):
        armed = await operator.post("/v1/arm", json=arm_message())
        assert armed.status_code == 200, armed.text
        assert (await engine.open(stage="smoke")).status_code == 200
        misbehave(venue)
        orders = [
            await engine.order(f"intent-000{number}", group_id=f"group-000{number}", **changes)
            for number, changes in enumerate([{}, upbit(), {}, {}])
        ]
        assert [answer.json().get("outcome") for answer in orders[:2]] == ["rejected"] * 2
        assert "[redacted]" in orders[0].text
        await bad_requests(engine, operator, health, console)
        token = re.search(r'name="token" value="([^"]+)"', (await console.get("/")).text).group(1)
        await console.post("/kill", data={"token": token})
        assert (await health.get("/health")).json()["state"] == "KILLED"
        await failed_starts(environ, tmp_path)
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await running.wait() == 0
    files = (log, *tmp_path.glob("start-*"), *(tmp_path / "state").iterdir())
    said = [*heard.said, *((file.name, file.read_bytes()) for file in files)]
    names = {"journal" if where.startswith("journal-") else where for where, _ in said}
    assert {"journal", "log", "start-0", "start-1", "start-2"} <= names
    assert [(where, leaks(content)) for where, content in said if leaks(content)] == []


def arm_message():
    asked = facts()
    return {
        "approval": "",
        "ack": asked["LIVE_ARM_ACK"],
        "arm_at": asked["LIVE_ARM_AT"],
        "max_notional_usd": asked["LIVE_MAX_NOTIONAL_USD"],
        "stage": "smoke",
    }


def upbit():
    prices = {"price": "14000000", "quoted_price": "14000000", "quantity": "0.001"}
    return {"instrument": UPBIT_BTC, **prices}


async def bad_requests(engine, operator, health, console):
    """Ask every face for what it does not have, in a form that it does not take."""
    for face in (engine.http, operator, health, console):
        for path in ("/", "/v1/session", "/v1/orders/x", "/v1/arm", "/v1/state", "/metrics"):
            await face.get(path)
            await face.post(path, content=b"x" * 9000)
    await engine.call("POST", gate.PATH_ORDERS, b"{}", bound={"body": b"other"})
    await engine.order("intent-0009", instrument=PERP_BTC, quantity="9")
    for path in ("/health", "/health/live", "/health/ready", "/health/armed", "/metrics"):
        await health.get(path)


async def failed_starts(environ, tmp_path):
    """A second gatekeeper, a key file that others can read, and a report of the journal."""
    spoiled = tmp_path / "open"
    spoiled.write_text(SECRETS["UPBIT_SECRET_KEY"])
    spoiled.chmod(0o644)
    for number, (changes, arguments) in enumerate(
        [
            ({}, ("interlock_gatekeeper",)),
            ({"UPBIT_SECRET_KEY_FILE": str(spoiled)}, ("interlock_gatekeeper",)),
            ({}, ("interlock_gatekeeper.ctl", "state", "--json")),
        ]
    ):
        log = tmp_path / f"start-{number}"
        async with process({**environ, **changes}, log, *arguments) as started:
            async with asyncio.timeout(30):
                await started.wait()
        assert log.read_bytes()
