"""Whatever fits a socket's description, and what nearly does: answered, never obeyed, never 5xx."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance
from tests.integration.gatekeeper.conftest import (
    PERP_BTC,
    POST,
    UPBIT_BTC,
    open_for_business,
)
from tests.integration.gatekeeper.scripted_venue import ScriptedVenue
from tests.ports import free_port

from interlock_core.wire import gate, strict
from interlock_core.wire.gate import SessionGranted, SessionOpen
from interlock_gatekeeper import journal, openapi
from interlock_gatekeeper.settings import read_settings

pytestmark = pytest.mark.integration

# Seven operations of twelve examples are fewer than the hundred malformed ones of a flood.
EXAMPLES = settings(
    max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
# What a start and a refused request leave in any journal.
ALWAYS = ("BOOT", "READY", "SWEEP", "FLAT", "DENY")
CHECKS = [not_a_server_error, response_schema_conformance]
WITHIN_S = 60


@contextmanager
def scripted_venue():
    """Run a scripted venue in a thread, because the examples are drawn in this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    venue = ScriptedVenue()
    asyncio.run_coroutine_threadsafe(venue.__aenter__(), loop).result(10)
    open_for_business(venue)
    try:
        yield venue
    finally:
        asyncio.run_coroutine_threadsafe(venue.__aexit__(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Gatekeeper:
    """A real process, a client for each of its sockets, and what it did."""

    def __init__(self, venue, environ, stack):
        self.venue, self.environ = venue, environ
        self.engine = stack.enter_context(unix(environ["GATE_SOCKET"]))
        self.operator = stack.enter_context(unix(environ["OPERATOR_SOCKET"]))
        port = environ["GATE_HEALTH_PORT"]
        self.health = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}"))

    @property
    def state(self):
        return self.health.get("/health").json()["state"]

    def journal(self):
        """Return the types of all records but those of the start and of refused requests."""
        (path,) = journal.files(Path(self.environ["GATE_STATE_DIR"]))
        found = [json.loads(line)["type"] for line in path.read_text("ascii").splitlines()]
        return [name for name in found if name not in ALWAYS]

    def wait(self, path, status):
        """Ask the health port until it answers as it should."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            try:
                if self.health.get(path).status_code == status:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        pytest.fail(f"{path} never answered {status}")


def unix(path):
    return httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://gate")


@contextmanager
def gatekeeper(tmp_path, **environ):
    """Run `python -m interlock_gatekeeper` over a scripted venue."""
    with ExitStack() as stack:
        venue = stack.enter_context(scripted_venue())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ilk-"))
        environ = {
            "SIMVENUES_URL": venue.url,
            "GATE_SOCKET": f"{folder}/e/engine.sock",
            "OPERATOR_SOCKET": f"{folder}/o/operator.sock",
            "GATE_HEALTH_PORT": str(free_port()),
            "GATE_CONSOLE_PORT": str(free_port()),
            "GATE_STATE_DIR": str(tmp_path / "state"),
            **environ,
        }
        log = stack.enter_context((tmp_path / "log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-m", "interlock_gatekeeper"],
            env={**os.environ, **environ},
            stdout=log,
            stderr=log,
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        yield Gatekeeper(venue, environ, stack)


def described(title, operations):
    """Return every operation of a description, ready to draw requests from."""
    document = openapi.description(title, operations)
    schema = schemathesis.openapi.from_dict(document)
    return [schema[operation.path][operation.method] for operation in operations]


def ask_everything(client, operations, headers=lambda *_: {}):
    """Draw requests for each operation, send them, check the answers; return those."""
    answers = []
    for operation in operations:

        @EXAMPLES
        @given(case=operation.as_strategy())
        def ask(case):
            answer = send(client, case, headers)
            answers.append(answer)
            case.validate_response(answer, checks=CHECKS)

        ask()
    assert len(answers) > len(operations)
    return answers


def send(client, case, headers):
    """Send one request; wait where it came too fast."""
    wanted = case.as_transport_kwargs(base_url="http://gate")
    body = wanted.get("json")
    content = wanted.get("data") if body is None else json.dumps(body).encode()
    content = content.encode() if isinstance(content, str) else content or b""
    deadline = time.monotonic() + WITHIN_S
    while True:
        request = client.build_request(wanted["method"], wanted["url"], content=content)
        request.headers.update(headers(request.method, request.url.path, content))
        answer = client.send(request)
        if answer.status_code != 429 or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)


def test_a_stranger_changes_nothing(tmp_path):
    """Another user id on the engine's socket: 403 AUTH to everything, no record, no order."""
    with gatekeeper(tmp_path, ENGINE_UID=str(os.getuid() + 1)) as gate_process:
        gate_process.wait("/health/armed", 200)
        before = gate_process.state
        answers = ask_everything(gate_process.engine, described("engine", openapi.ENGINE))
        assert {(a.status_code, a.json()["code"]) for a in answers} == {(403, "AUTH")}
        assert (gate_process.state, gate_process.journal()) == (before, [])
        assert gate_process.venue.count(POST) == 0


def test_an_engine_without_a_session_sends_nothing(tmp_path):
    """The right user without a MAC may kill, and nothing else."""
    with gatekeeper(tmp_path) as gate_process:
        gate_process.wait("/health/armed", 200)
        ask_everything(gate_process.engine, described("engine", openapi.ENGINE))
        assert set(gate_process.journal()) <= {"KILL"}
        assert gate_process.venue.count(POST) == 0


def test_a_session_with_random_messages_sends_nothing(tmp_path):
    """Well-formed, well-signed nonsense is vetoed, every time."""
    with gatekeeper(tmp_path) as gate_process:
        gate_process.wait("/health/armed", 200)
        config = read_settings(gate_process.environ).config_sha256
        asked = SessionOpen(1, "session-1", "paper", config, (UPBIT_BTC, PERP_BTC))
        answer = gate_process.engine.post(gate.PATH_SESSION, content=strict.encode(asked))
        granted = strict.decode(SessionGranted, answer.content)
        sequence = iter(range(1, 1_000_000))

        def signed(method, path, body):
            number = next(sequence)
            mac = gate.mac(
                bytes.fromhex(granted.key),
                method=method,
                path=path,
                sequence=number,
                epoch=granted.epoch,
                body=body,
            )
            return {
                gate.HEADER_EPOCH: str(granted.epoch),
                gate.HEADER_SEQUENCE: str(number),
                gate.HEADER_MAC: mac,
            }

        ending = (gate.PATH_KILL, gate.PATH_SESSION)
        others = tuple(o for o in openapi.ENGINE if o.path not in ending)
        answers = ask_everything(gate_process.engine, described("engine", others), signed)
        assert "AUTH" not in {a.json().get("code") for a in answers if a.status_code == 403}
        assert "SENT" not in gate_process.journal()
        assert gate_process.venue.count(POST) == 0


def test_an_operators_random_requests_arm_nothing(tmp_path):
    """Live and ready, but whatever is not the three facts arms nothing."""
    environ = {"ARBITRAGE_ENV": "live", "STAGE": "smoke"}
    with gatekeeper(tmp_path, **environ) as gate_process:
        gate_process.wait("/health", 200)
        ask_everything(gate_process.operator, described("operator", openapi.OPERATOR))
        assert gate_process.state in ("DISARMED", "KILLED")
        assert not {"ARM", "OPEN", "SENT"} & set(gate_process.journal())
        assert gate_process.venue.count(POST) == 0
