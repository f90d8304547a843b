"""`interlock up`, end to end: it trades, ends as it should, and leaves nothing behind."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import jsonschema
import pytest

from interlock_core.wire import kpi

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

END_DEADLINE_S = 5
DURATION_S = 45


def check_kpi(document):
    """Check a final KPI JSON against its schema."""
    jsonschema.Draft202012Validator(kpi.schema()).validate(document)
    assert document["final"] is True
    assert list(document)[: len(kpi.FIELDS)] == list(kpi.FIELDS)


def test_a_session_trades_and_ends_with_its_kpis(up):
    """A timed session makes round trips and leaves a whole KPI JSON that names its market."""
    stack = up("--duration", str(DURATION_S), "--universe", "top10")
    assert stack.wait_for_end(DURATION_S + 120) == 0
    document = stack.kpi()
    check_kpi(document)
    assert document["round_trips_completed"] >= 1
    assert document["duration_seconds"] >= DURATION_S
    assert (document["market_source"], document["market_regime"]) == ("synthetic", "lively")
    assert document["environment"] == "paper"
    assert not document["residuals"]
    said = stack.said()
    assert "first market-data message" in said
    assert "says nothing about real markets" in said
    assert "kpi.json" in said


def test_ctrl_c_ends_it_within_five_seconds(up, living):
    """SIGINT: positions closed, final KPI JSON written, nothing left running."""
    stack = up()
    stack.wait_until_trading()
    children = stack.children()
    assert set(children) == {"postgres", "valkey", "simvenues", "gatekeeper", "engine"}
    began = time.monotonic()
    stack.process.send_signal(signal.SIGINT)
    code = stack.wait_for_end(END_DEADLINE_S)
    assert time.monotonic() - began < END_DEADLINE_S
    document = stack.kpi()
    check_kpi(document)
    assert code == document["exit_code"] == 0
    assert not living(children.values())
    assert not (stack.native_dir / "stack.json").exists()


def test_a_killed_supervisor_leaves_no_process(up, living, eventually):
    """SIGKILL of the supervisor: every child and grandchild is gone within seconds."""
    stack = up()
    stack.wait_until_trading()
    children = stack.children()
    assert len(children) == 5
    family = stack.family()
    assert len(family) > len(children), "PostgreSQL has processes of its own"
    os.kill(stack.process.pid, signal.SIGKILL)
    eventually(lambda: not living(family), within_s=5, what="nothing left")


def test_the_next_start_after_a_kill_keeps_its_data(up):
    """What a killed stack left behind does not stop the next one, which keeps its data."""
    first = up()
    first.wait_until_trading()
    runtime_dir = Path(first.facts()["gate_socket"]).parent
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    again = up()
    again.wait_until_trading()
    assert not runtime_dir.exists()


def test_a_second_stack_in_the_same_folder_is_refused(up):
    """A second `interlock up` says who holds the folder; a folder of its own works beside it."""
    first = up()
    first.wait_until_trading()
    second = up()
    assert second.wait_for_end(20) == 1
    assert f"already runs from {first.native_dir} (pid {first.process.pid})" in second.said()
    beside = up(folder="beside")
    beside.wait_until_trading()
    urls = [{v for k, v in s.facts().items() if k.endswith("_url")} for s in (first, beside)]
    assert not urls[0] & urls[1]


def test_the_death_of_the_venues_stops_the_stack(up, living):
    """A service that dies is named with its last lines, everything else is stopped, exit code 1."""
    stack = up()
    stack.wait_until_trading()
    children = stack.children()
    os.kill(children["simvenues"], signal.SIGKILL)
    assert stack.wait_for_end(END_DEADLINE_S + 5) == 1
    assert "simvenues ended with signal SIGKILL" in stack.said()
    assert not living(children.values())
    check_kpi(stack.kpi())


def test_without_its_gatekeeper_the_engine_orders_nothing(up, eventually):
    """Kill -9 of the gatekeeper: orders stop, the engine says why, and a new epoch resumes."""
    stack = up()
    stack.wait_until_trading()
    eventually(lambda: stack.orders() > 0, within_s=60, what="a first order")
    before = stack.engine()["gate"]["epoch"]
    gatekeeper = stack.children()["gatekeeper"]
    os.kill(gatekeeper, signal.SIGKILL)
    state = eventually(
        lambda: (s := stack.engine()).get("state") == "standing_by" and s,
        within_s=3,
        what="standing by",
    )
    assert state["reason"]
    stopped_at = stack.orders()
    counts = []
    while "gatekeeper" not in stack.children() or stack.engine()["state"] != "trading":
        if stack.engine()["state"] == "standing_by":
            counts.append(stack.orders())
        assert len(counts) < 2000
        time.sleep(0.05)
    assert len(counts) > 3
    assert set(counts) == {stopped_at}, "an order was sent while the gatekeeper was away"
    resumed = stack.engine()
    assert resumed["gate"]["epoch"] > before
    eventually(lambda: stack.orders() > stopped_at, within_s=60, what="orders again")
    assert "gatekeeper ended with signal SIGKILL: no new orders" in stack.said()
    assert "gatekeeper ready again (restart 1)" in stack.said()


def test_an_operator_can_see_stop_and_reset_it(up, eventually):
    """Status, kill, refused reset, audit and preflight pass the gatekeeper's exit codes on."""
    stack = up()
    stack.wait_until_trading()
    status = stack.interlock("status", "--json")
    assert status.returncode == 0, status.stderr
    document = json.loads(status.stdout)
    assert document["gatekeeper"]["state"] == "PAPER"
    assert document["engine"]["state"] == "trading"
    assert document["market"]["source"] == "synthetic"
    assert stack.interlock("status").returncode == 0
    assert stack.interlock("preflight").returncode == 0
    arm = stack.interlock("arm", "--stage", "smoke")
    assert arm.returncode == 2
    assert "LIVE_ARM_ACK" in arm.stderr
    assert stack.interlock("kill", "--reason", "drill").returncode == 0
    assert stack.interlock("status").returncode == 4
    eventually(lambda: stack.engine().get("state") == "standing_by", within_s=5, what="standing by")
    assert stack.interlock("audit", "verify").returncode == 0
    assert stack.interlock("reset").returncode == 3, "a latch must dwell before it may be reset"


def test_commands_without_a_stack_say_what_to_do(up):
    """No stack: one helpful line, exit code 1, no stack trace."""
    stack = up("--duration", "nonsense")
    assert stack.wait_for_end(20) == 2
    for command in ("status", "kill", "disarm", "reset"):
        done = stack.interlock(command)
        assert done.returncode == 1
        assert "interlock up" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_view_on_a_terminal_shows_everything_and_ends_with_ctrl_c(tmp_path):
    """On a terminal the one screen is drawn; the interrupt key ends it, the summary stays."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    folders = {"NATIVE_DIR": str(tmp_path / "native"), "RUNS_DIR": str(tmp_path / "runs")}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "interlock_operator", "up"],
        env=os.environ | folders | {"TERM": "xterm-256color", "MARKET_SOURCE": "synthetic"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    try:
        drawn = read_until(leader, b"open positions", within_s=90)
        process.send_signal(signal.SIGINT)
        drawn += read_until(leader, b"kpi.json", within_s=END_DEADLINE_S)
        assert process.wait(END_DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    for words in (b"PAPER", b"ten KPIs", b"says nothing about real markets", b"until Ctrl+C"):
        assert words in drawn


def read_until(terminal, words, *, within_s):
    """Return what a terminal shows until words appear."""
    until, shown = time.monotonic() + within_s, b""
    while words not in shown:
        assert time.monotonic() < until, shown[-2000:].decode("utf-8", "replace")
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536)
    return shown
