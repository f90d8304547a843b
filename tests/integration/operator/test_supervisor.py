"""The supervisor with small real processes: order, health, failures, ends."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from interlock_operator.errors import Interrupted, ServiceFailedError
from interlock_operator.native.process import Child, tail
from interlock_operator.native.supervisor import STOP_BUDGET_S, Service, Supervisor

pytestmark = pytest.mark.integration

FOREVER = "import time\nwhile True: time.sleep(60)"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
ENV = {"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
DEADLINE_S = 20


def script(text):
    """Return the command that runs a few lines of Python."""
    return (sys.executable, "-c", textwrap.dedent(text))


def marker(path):
    """Return a gate that opens when a file is there."""

    async def gate():
        return path.exists()

    return gate


def ready_then_forever(path, before=""):
    """Return lines that make a marker and stay."""
    return f"{before}open({str(path)!r}, 'w').close()\n{FOREVER}"


async def eventually(check):
    """Poll until check is true."""
    until = time.monotonic() + DEADLINE_S
    while not check():
        assert time.monotonic() < until, "did not happen in time"
        await asyncio.sleep(0.02)


def alive(pid):
    """Say whether a process runs; a zombie nobody reaps does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii")
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in "ZX"


@pytest.fixture
def said():
    """Collect what the supervisor says."""
    return []


@pytest.fixture
def make(tmp_path, said):
    """Return a function that makes a supervisor of services."""

    def build(*services):
        return Supervisor(services, log_dir=tmp_path, say=said.append)

    return build


async def test_starts_each_service_after_those_it_needs(make, tmp_path, said):
    """A service starts once what it comes after is healthy, a job once it exited with 0."""
    up = tmp_path / "up"
    job = f"import os\nassert os.path.exists({str(up)!r}), 'started too early'"
    supervisor = make(
        Service("base", script(ready_then_forever(up)), ENV, marker(up)),
        Service("job", script(job), ENV, None, after=("base",)),
        Service("main", script("pass"), ENV, marker(up), after=("job",), main=True),
    )
    try:
        with pytest.raises(ServiceFailedError):
            await supervisor.start()  # main ends at once, before its gate is looked at
    finally:
        await supervisor.stop()
    assert [line.split()[0] for line in said] == ["base", "job"]


async def test_the_exit_code_of_the_main_service_is_the_answer(make, tmp_path):
    """Watching returns what the main service exits with."""
    up, go = tmp_path / "up", tmp_path / "go"
    text = f"""
        import os, sys, time
        open({str(up)!r}, "w").close()
        while not os.path.exists({str(go)!r}): time.sleep(0.02)
        sys.exit(7)
    """
    supervisor = make(Service("main", script(text), ENV, marker(up), main=True))
    try:
        await supervisor.start()
        go.touch()
        assert await supervisor.watch() == 7
    finally:
        await supervisor.stop()


async def test_a_main_service_that_is_killed_is_started_again_and_its_own_end_counts(
    make, tmp_path, said
):
    """A signal from outside is no end of the session; an exit code is."""
    up, again = tmp_path / "up", tmp_path / "again"
    text = f"""
        import os, signal, sys
        if os.path.exists({str(again)!r}): sys.exit(3)
        open({str(up)!r}, "w").close()
        open({str(again)!r}, "w").close()
        signal.pause()
    """
    supervisor = make(Service("main", script(text), ENV, marker(up), main=True, restarts=True))
    try:
        await supervisor.start()
        os.kill(supervisor._running["main"].child.pid, signal.SIGKILL)
        assert await supervisor.watch() == 3
    finally:
        await supervisor.stop()
    assert any("signal SIGKILL" in line for line in said)
    assert supervisor.restarts() == {"main": 1}


async def test_a_job_that_fails_stops_the_start_and_shows_its_last_lines(make):
    """A job's exit code and its last lines are in the error."""
    supervisor = make(
        Service("job", script("print('why it failed')\nraise SystemExit(1)"), ENV, None)
    )
    with pytest.raises(ServiceFailedError, match="job ended with exit code 1") as caught:
        await supervisor.start()
    assert caught.value.tail == ("why it failed",)


async def test_a_service_that_never_gets_healthy_fails_in_time(make, tmp_path):
    """A closed gate ends the start after the service's own time."""
    never = marker(tmp_path / "never")
    supervisor = make(Service("slow", script(FOREVER), ENV, never, start_timeout_s=0.3))
    try:
        with pytest.raises(ServiceFailedError, match="slow was not ready"):
            await supervisor.start()
    finally:
        await supervisor.stop()


async def test_a_missing_program_is_one_line(make):
    """A program that is not there is said with its name."""
    supervisor = make(Service("ghost", ("/no/such/program",), ENV, None))
    with pytest.raises(ServiceFailedError, match="ghost cannot be started"):
        await supervisor.start()


async def test_the_death_of_a_service_is_told_with_its_name(make, tmp_path):
    """A service that must not restart stops the stack when it dies."""
    up = tmp_path / "up"
    supervisor = make(Service("base", script(ready_then_forever(up)), ENV, marker(up)))
    try:
        await supervisor.start()
        os.kill(supervisor.pids()["base"], signal.SIGKILL)
        with pytest.raises(ServiceFailedError, match="base ended with signal SIGKILL"):
            await supervisor.watch()
    finally:
        await supervisor.stop()


async def test_a_service_that_may_restart_does_and_is_counted(make, tmp_path, said):
    """After a kill it runs again under another pid, and the restart is counted."""
    up = tmp_path / "up"
    supervisor = make(
        Service("gate", script(ready_then_forever(up)), ENV, marker(up), restarts=True)
    )
    await supervisor.start()
    first = supervisor.pids()["gate"]
    watching = asyncio.create_task(supervisor.watch())
    try:
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: supervisor.pids().get("gate", first) != first)
        await eventually(lambda: "gate ready again (restart 1)" in said)
        assert supervisor.restarts() == {"gate": 1}
    finally:
        watching.cancel()
        await supervisor.stop()


@pytest.mark.parametrize("code", [2, 75])
async def test_an_exit_code_that_no_restart_can_change_stops_the_stack(make, tmp_path, code):
    """A usage error or a second instance is not restarted."""
    up, go = tmp_path / "up", tmp_path / "go"
    text = f"""
        import os, sys, time
        open({str(up)!r}, "w").close()
        while not os.path.exists({str(go)!r}): time.sleep(0.02)
        sys.exit({code})
    """
    supervisor = make(Service("gate", script(text), ENV, marker(up), restarts=True))
    try:
        await supervisor.start()
        go.touch()
        with pytest.raises(ServiceFailedError, match=f"exit code {code}"):
            await supervisor.watch()
    finally:
        await supervisor.stop()


async def test_stops_in_reverse_order(make, tmp_path):
    """What started last ends first."""
    order = tmp_path / "order"
    services = []
    for name in ("first", "second"):
        up = tmp_path / name
        before = f"""
import signal, sys
def end(*_):
    open({str(order)!r}, "a").write("{name} ")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
"""
        after = ("first",) if name == "second" else ()
        services.append(
            Service(name, script(ready_then_forever(up, before)), ENV, marker(up), after=after)
        )
    supervisor = make(*services)
    await supervisor.start()
    assert await supervisor.stop() == {"second": 0, "first": 0}
    assert order.read_text("ascii") == "second first "


async def test_stopping_stubborn_services_keeps_to_the_budget(make, tmp_path):
    """Services that ignore SIGTERM are killed, all together within the budget."""
    services = [
        Service(
            f"s{number}",
            script(ready_then_forever(tmp_path / str(number), STUBBORN)),
            ENV,
            marker(tmp_path / str(number)),
            stop_grace_s=1.5,
        )
        for number in range(5)
    ]
    supervisor = make(*services)
    await supervisor.start()
    began = time.monotonic()
    codes = await supervisor.stop()
    assert time.monotonic() - began < STOP_BUDGET_S + 0.6
    assert set(codes.values()) == {-signal.SIGKILL}


async def test_a_grandchild_does_not_outlive_its_service(make, tmp_path):
    """Stopping a service ends its whole process group."""
    note = tmp_path / "pid"
    text = f"""
        import subprocess, sys, time, os
        child = subprocess.Popen([sys.executable, "-c", {FOREVER!r}])
        open({str(note)!r} + ".new", "w").write(str(child.pid))
        os.rename({str(note)!r} + ".new", {str(note)!r})
        while True: time.sleep(60)
    """
    supervisor = make(Service("parent", script(text), ENV, marker(note)))
    await supervisor.start()
    pid = int(note.read_text("ascii"))
    assert alive(pid)
    await supervisor.stop()
    await eventually(lambda: not alive(pid))


async def test_a_stop_during_the_start_interrupts_it(make, tmp_path):
    """A stop that is asked for ends the start at its next tick."""
    supervisor = make(Service("slow", script(FOREVER), ENV, marker(tmp_path / "never")))
    starting = asyncio.create_task(supervisor.start())
    await eventually(supervisor.pids)
    supervisor.ask_to_stop()
    with pytest.raises(Interrupted):
        await starting
    await supervisor.stop()


def test_children_die_with_a_killed_supervisor(tmp_path):
    """SIGKILL of the parent leaves no child, not even one that ignores SIGTERM."""
    pids = tmp_path / "pids"
    text = f"""
        import os, signal, sys, time
        from pathlib import Path
        from interlock_operator.native.process import Child
        children = [
            Child(str(n), [sys.executable, "-c", {(STUBBORN + FOREVER)!r}],
                  env=dict(PATH="/usr/bin:/bin"), log_path=Path({str(tmp_path)!r}) / str(n))
            for n in range(3)
        ]
        Path({str(pids)!r}).write_text(" ".join(str(c.pid) for c in children))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(script(text), env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    children = [int(pid) for pid in pids.read_text("ascii").split()]
    until = time.monotonic() + DEADLINE_S
    while any(alive(pid) for pid in children):
        assert time.monotonic() < until, "a child outlived its supervisor"
        time.sleep(0.02)
    assert len(children) == 3


async def test_a_child_has_its_own_session_and_no_terminal(tmp_path):
    """Ctrl+C in the supervisor's terminal does not reach the children."""
    child = Child("own", script(FOREVER), env=ENV, log_path=tmp_path / "log")
    try:
        assert os.getpgid(child.pid) == child.pid
        assert os.getsid(child.pid) == child.pid
    finally:
        assert await child.stop(signal.SIGTERM, 5.0) == -signal.SIGTERM


def test_tail_reads_the_end_of_a_file_only(tmp_path):
    """The last lines come back in order; a missing file has none."""
    path = tmp_path / "log"
    path.write_text("".join(f"line {n}\n" for n in range(50_000)), "ascii")
    assert tail(path, 2) == ("line 49998", "line 49999")
    assert tail(tmp_path / "none", 2) == ()
