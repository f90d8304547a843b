"""The state table, held against the machine in every phase and against the design's model."""

import re
from pathlib import Path

import pytest
from tests.unit.gatekeeper.conftest import make

from interlock_core.wire.gate import Outcome
from interlock_gatekeeper.state import Boot
from interlock_gatekeeper.transitions import EVENTS, PHASES, TRANSITIONS

MODEL = Path(__file__).resolve().parents[3] / "model" / "interlock.pml"
ANNOTATION = re.compile(r"@transition (\S+) (\S+) (\S+) \*/")
ASSIGNMENT = re.compile(r"\bst = (\w+)")


def boot(environment):
    bench = make(environment)
    bench.state.phase = Boot()
    return bench


def killed(environment):
    bench = make(environment)
    bench.kill()
    return bench


def disarmed():
    bench = make("live")
    bench.ready()
    return bench


def armed():
    bench = disarmed()
    bench.arm()
    return bench


def in_session(bench):
    """Open a session and leave an order in flight: nothing is flat by itself."""
    bench.open()
    bench.order(bench.intent())
    return bench


def expired():
    bench = in_session(armed())
    bench.close()
    return bench


# Every way to be in a phase, in both environments.
BENCHES = {
    "BOOT": [lambda: boot("live"), lambda: boot("paper")],
    "DISARMED": [disarmed, lambda: make("live")],
    "ARMED": [armed],
    "LIVE": [lambda: in_session(armed())],
    "EXPIRED": [expired],
    "KILLED": [lambda: killed("live"), lambda: killed("paper")],
    "PAPER": [lambda: make("paper"), lambda: in_session(make("paper"))],
}


def advance_to(bench, boot_ns):
    bench.clock.advance(boot_ns - bench.now.boot_ns)


def refused_arm(bench):
    bench.arm(ack="no")


def window_lapses(bench):
    if bench.state.phase_name == "ARMED":
        advance_to(bench, bench.state.phase.until_ns)
    bench.tick()


def lease_lapses(bench):
    if bench.state.session is not None:
        advance_to(bench, bench.state.session.lease_until_ns)
    bench.tick()


def hard_deadline(bench):
    """Keep the lease alive until the session's time is over, where it has an end."""
    session = bench.state.session
    while session is not None and session.hard_deadline_ns is not None:
        advance_to(bench, min(bench.now.boot_ns + 10**9, session.hard_deadline_ns))
        bench.beat()
        session = bench.state.session
    bench.tick()


def flat(bench):
    for order in list(bench.state.open_orders.values()):
        bench.settle(bench.result(order, "0", Outcome.UNFILLED))
    if bench.state.session is None:
        bench.flatten_out()


def late_reset(bench):
    bench.advance(61)
    if bench.state.phase_name == "KILLED":
        flat(bench)
    bench.reset()


# Every way an event can happen: accepted, and refused by its guard.
DRIVERS = {
    "recovered": [lambda bench: bench.machine.recovered(bench.now)],
    "arm": [lambda bench: bench.arm(), refused_arm],
    "disarm": [lambda bench: bench.disarm()],
    "window_lapses": [window_lapses],
    "open": [lambda bench: bench.open(), lambda bench: bench.open("hour")],
    "heartbeat": [
        lambda bench: bench.beat(),
        lambda bench: bench.beat(epoch=bench.state.epoch - 1),
    ],
    "close": [lambda bench: bench.close()],
    "hard_deadline": [hard_deadline],
    "lease_lapses": [lease_lapses],
    "kill": [lambda bench: bench.kill()],
    "reset": [late_reset, lambda bench: bench.reset()],
    "flat": [flat],
    "restart": [lambda bench: bench.restart()],
}


def after(make_bench, drive):
    bench = make_bench()
    drive(bench)
    live = bench.state.environment == "live"
    assert bench.state.phase_name != ("PAPER" if live else "DISARMED")
    return bench.state.phase_name


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("phase", PHASES)
def test_the_machine_does_what_the_table_says(phase, event):
    """From every phase, every event leads exactly where the table says, both environments."""
    for make_bench in BENCHES[phase]:
        assert make_bench().state.phase_name == phase
    reached = {
        after(make_bench, drive) for make_bench in BENCHES[phase] for drive in DRIVERS[event]
    }
    assert reached == TRANSITIONS[phase, event]


def plain_model():
    """Return the model's lines as the preprocessor leaves them when no rule is removed."""
    kept, lines = [], []
    for line in MODEL.read_text("utf-8").splitlines():
        if line.startswith("#if"):
            kept.append(not line.startswith("#ifdef"))
        elif line.startswith("#else"):
            kept[-1] = not kept[-1]
        elif line.startswith("#endif"):
            kept.pop()
        elif all(kept):
            lines.append(line)
    return lines


def model_transitions():
    """Return the model's (phase, event, next), and check each one against its assignment."""
    found, assigned, annotated = set(), None, True
    for number, line in enumerate(plain_model(), 1):
        for target in ASSIGNMENT.findall(line):
            assert annotated, f"line {number}: st = {assigned} before it names no transition"
            assigned, annotated = target, target == "BOOT"
        for phases, event, target in ANNOTATION.findall(line):
            assert target == assigned, f"line {number}: expected {assigned}, was {target}"
            annotated = True
            found |= {(phase, event, target) for phase in phases.split(",")}
    assert annotated, f"st = {assigned} names no transition"
    return found


def test_the_model_changes_state_as_the_table_says():
    """Where both know the phase and the event, model and code make the same changes."""
    modeled = model_transitions()
    phases = {phase for phase, _, _ in modeled} | {target for _, _, target in modeled}
    events = {event for _, event, _ in modeled}
    assert phases == set(PHASES) - {"BOOT", "PAPER"}
    assert events == set(EVENTS) - {"recovered", "heartbeat"}
    changes = {(phase, event, target) for phase, event, target in modeled if phase != target}
    assert changes == {
        (phase, event, target)
        for (phase, event), targets in TRANSITIONS.items()
        for target in targets & phases
        if phase in phases and event in events and phase != target
    }
