"""The engine as a process, with the real gatekeeper and the simulated venues."""

import signal
import subprocess
import sys
from decimal import Decimal

import jsonschema
import pytest
from tests.integration.engine.processes import eventually, get, get_json

from interlock_core.wire import kpi

pytestmark = pytest.mark.integration

FEE = Decimal("0.0005")


def _round_trips(state):
    return state["kpis"]["round_trips"]


@pytest.mark.parametrize(
    "stack",
    [
        {},
        {"LEG_POLICY": "simultaneous"},
        {"BINANCE_MARKET": "spot"},
    ],
    indirect=True,
    ids=["sequential", "simultaneous", "spot"],
)
def test_a_session_trades_ends_flat_within_five_seconds_and_leaves_its_kpis(stack):
    stack.up()
    stack.start("engine")
    stack.eventually_state(lambda s: _round_trips(s) >= 2, why="no round trips")
    code, seconds = stack.end("engine", signal.SIGINT)
    document = stack.kpi()
    jsonschema.Draft202012Validator(kpi.schema()).validate(document)
    assert (code, document["exit_code"], document["final"]) == (0, 0, True)
    assert seconds < 5.0
    assert document["round_trips_completed"] >= 2
    assert document["market_source"] == "synthetic"
    assert document["market_regime"] == "lively"
    assert document["residuals"] == []
    accounts = get_json(f"{stack.simvenues_url}/admin/accounts")
    if "BINANCE_MARKET" not in stack.environ:
        assert stack.positions() == {}
        assert accounts["BINANCE_PERP"]["positions"] == []


@pytest.mark.parametrize("stack", [{"DURATION": "8"}], indirect=True)
def test_a_session_ends_by_itself_after_its_duration(stack):
    stack.up()
    process = stack.start("engine")
    assert process.wait(20) == 0
    document = stack.kpi()
    assert document["final"]
    assert 8.0 <= document["duration_seconds"] < 13.0


def test_every_order_the_venues_saw_is_one_the_engine_knows(stack):
    stack.up()
    stack.start("engine")
    stack.eventually_state(lambda s: _round_trips(s) >= 3, why="no round trips")
    stack.end("engine")
    seen = get_json(f"{stack.simvenues_url}/admin/orders")["orders"]
    known = [line for line in stack.log() if line["event"] == "order"]
    traded = [line for line in known if line["outcome"] != "vetoed"]
    assert len(seen) == len(traded)
    assert len({line["intent_id"] for line in known}) == len(known)


def _cash(stack):
    accounts = get_json(f"{stack.simvenues_url}/admin/accounts")
    krw = accounts["UPBIT"]["KRW"]
    wallet = Decimal(accounts["BINANCE_PERP"]["wallet_usdt"])
    return Decimal(krw["free"]) + Decimal(krw["locked"]), wallet


def test_the_engines_fills_are_the_venues_ledgers_to_the_last_digit(stack):
    stack.up()
    before = _cash(stack)
    stack.start("engine")
    stack.eventually_state(lambda s: _round_trips(s) >= 3, why="no round trips")
    assert stack.end("engine")[0] == 0
    moved = [Decimal(0), Decimal(0)]
    for line in stack.log():
        if line["event"] == "order":
            value = Decimal(line["filled"]) * Decimal(line["average"])
            signed = value if line["side"] == "sell" else -value
            moved[line["instrument"].startswith("BINANCE")] += signed - value * FEE
    after = _cash(stack)
    for ledger, engine in zip((after[0] - before[0], after[1] - before[1]), moved, strict=True):
        # An average price of several fills carries twelve digits, a fee the venue's own eight.
        assert abs(ledger - engine) < Decimal("0.0001")
    assert get_json(f"{stack.simvenues_url}/admin/accounts")["BINANCE_PERP"]["positions"] == []


def test_without_a_gatekeeper_it_measures_and_sends_nothing(stack):
    stack.start("simvenues")
    stack.start("engine")
    state = stack.eventually_state(lambda s: s["state"] == "standing_by", why="not standing by")
    assert "does not answer" in state["reason"]
    eventually(lambda: get(f"{stack.engine_url}/health/ready")[0] == 200, why="not ready")
    stack.eventually_state(lambda s: any(a["premium_bps"] is not None for a in s["assets"]))
    code, seconds = stack.end("engine")
    assert (code, stack.kpi()["round_trips_completed"]) == (0, 0)
    assert seconds < 5.0
    assert get_json(f"{stack.simvenues_url}/admin/orders")["count"] == 0


def test_without_venues_it_starts_says_why_and_can_be_ended(stack):
    stack.start("engine")
    state = stack.eventually_state(lambda s: s["state"] == "starting")
    assert state["reason"]
    assert get(f"{stack.engine_url}/health/live")[0] == 200
    assert get(f"{stack.engine_url}/health/ready")[0] == 503
    code, seconds = stack.end("engine")
    assert (code, stack.kpi()["final"]) == (0, True)
    assert seconds < 5.0


def test_a_kill_stops_orders_at_once_and_is_told_at_the_end(stack):
    stack.up()
    stack.start("engine")
    stack.eventually_state(lambda s: s["kpis"]["round_trips"] >= 1, why="no round trip")
    killed = subprocess.run(
        [sys.executable, "-m", "interlock_gatekeeper.ctl", "kill", "--reason", "test"],
        env=stack.environ,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == 0, killed.stderr
    state = stack.eventually_state(lambda s: s["state"] == "standing_by", why="not standing by")
    assert "KILLED" in state["reason"]
    sent = get_json(f"{stack.simvenues_url}/admin/orders")["count"]
    stack.eventually_state(lambda s: s["gate"]["state"] == "KILLED")
    code, seconds = stack.end("engine")
    assert code == 4
    assert seconds < 5.0
    assert get_json(f"{stack.simvenues_url}/admin/orders")["count"] == sent
    document = stack.kpi()
    assert (document["exit_code"], document["final"]) == (4, True)


def _holds(state):
    """Say whether something is held: a position is shown from its first order on."""
    return any(float(q) for p in state["open_positions"] for q in p["held"].values())


# Nothing is closed by itself in this test: only the gatekeeper's absence and return matter.
HOLDS = {"TAKE_PROFIT_BPS": "300", "STOP_LOSS_BPS": "1000", "REVERSAL_BPS": "300"}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("stack", [HOLDS | {"TIME_LIMIT_S": "20"}], indirect=True)
def test_positions_outlive_the_gatekeeper_and_are_closed_under_the_next_session(stack):
    stack.up()
    stack.start("engine")
    held = stack.eventually_state(_holds, why="no position")
    stack.end("gatekeeper", signal.SIGKILL)
    lost = stack.eventually_state(lambda s: s["state"] == "standing_by", why="not standing by")
    assert {p["asset"] for p in held["open_positions"]} <= {
        p["asset"] for p in lost["open_positions"]
    }
    stack.start("gatekeeper")
    stack.gatekeeper_is_ready()
    stack.eventually_state(lambda s: s["state"] == "trading", why="not trading again")
    # Killed between its record and its first byte, an Upbit order is proven absent after 45 s only.
    eventually(
        lambda: get_json(f"{stack.gatekeeper_url}/health")["unknown_orders"] == [],
        deadline_s=60,
        why="an order is still in doubt",
    )
    state = stack.eventually_state(lambda s: _round_trips(s) >= 1, deadline_s=60)
    assert state["gate"]["epoch"] >= 2
    code, _ = stack.end("engine")
    document = stack.kpi()
    assert code == 0
    assert document["alerts"]["P1"] >= 1
    assert stack.positions() == {}


@pytest.mark.parametrize("stack", [HOLDS], indirect=True)
def test_a_gatekeeper_that_hangs_does_not_hold_up_the_end_and_what_is_left_is_told(stack):
    stack.up()
    stack.start("engine")
    stack.eventually_state(_holds, why="no position")
    stack.processes["gatekeeper"].send_signal(signal.SIGSTOP)
    code, seconds = stack.end("engine", signal.SIGINT)
    assert seconds < 5.0
    document = stack.kpi()
    assert (code, document["exit_code"], document["final"]) == (1, 1, True)
    assert document["alerts"]["P0"] >= 1


def test_venues_that_return_are_streamed_again(stack):
    stack.up()
    stack.start("engine")
    stack.eventually_state(lambda s: s["state"] == "trading", why="not trading")
    stack.end("simvenues", signal.SIGKILL)
    eventually(lambda: get(f"{stack.engine_url}/health/ready")[0] == 503, why="still ready")
    stack.start("simvenues")
    eventually(lambda: get(f"{stack.engine_url}/health/ready")[0] == 200, why="not ready again")
    stack.end("engine")
    assert stack.kpi()["guard_triggers"] >= 1


def test_bad_settings_are_one_line_each_and_exit_2(stack):
    environ = stack.environ | {"LEG_POLICY": "x", "UNIVERSE": "top11"}
    done = subprocess.run(
        [sys.executable, "-m", "interlock_engine"], env=environ, check=False, capture_output=True
    )
    assert done.returncode == 2
    lines = done.stderr.decode().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["UNIVERSE", "LEG_POLICY"]


def test_a_port_in_use_is_one_line_and_exit_1(stack):
    stack.start("simvenues")
    stack.environ["ENGINE_PORT"] = stack.environ["SIM_PORT"]
    eventually(lambda: get(f"{stack.simvenues_url}/admin/market"), why="no simulator")
    assert stack.start("engine").wait(10) == 1
    assert stack.kpi()["exit_code"] == 1
    assert not any("Unclosed" in line["event"] for line in stack.log())
