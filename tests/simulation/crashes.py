"""Ends a component at a numbered step of an order's or a round trip's life, as SIGKILL would."""

import functools

from tests.simulation.system import ENGINE, GATEKEEPER
from tests.simulation.virtual import OWNER

from interlock_engine.execute.gate_client import GateClient
from interlock_engine.ledger.file import Ledger
from interlock_gatekeeper.journal import Journal
from interlock_gatekeeper.transport import Connection

# Where each component touches what outlives it: before the touch, and right after it.
TOUCHES = {
    GATEKEEPER: (
        (Journal, "append"),
        (Journal, "durable"),
        (Connection, "fire"),
        (Connection, "answer"),
    ),
    ENGINE: ((Ledger, "append"), (Ledger, "sync"), (GateClient, "_exchange")),
}
STEPS = {
    owner: tuple(
        f"{'before' if before else 'after'} {cls.__name__}.{method}"
        for cls, method in touches
        for before in (True, False)
    )
    for owner, touches in TOUCHES.items()
}


class Killed(BaseException):
    """The process ends here: nothing that follows in its code is reached."""


class Steps:
    """Counts the steps that pass, and kills at the chosen one."""

    def __init__(self, monkeypatch):
        self.system = None
        self.passed = []
        self._wanted = None
        for owner, touches in TOUCHES.items():
            for cls, method in touches:
                self._wrap(monkeypatch, owner, cls, method)

    def kill_at(self, owner, step, skip):
        """Kill a component at a step, once it was passed `skip` times."""
        self._wanted = (owner, step, skip)

    @property
    def is_done(self):
        """Say whether the kill has happened."""
        return self._wanted is None

    def _pass(self, owner, step):
        if self._wanted is None or self._wanted[:2] != (owner, step):
            return
        if OWNER.get() != self.system.life(owner):
            return
        skip = self._wanted[2]
        if skip:
            self._wanted = (owner, step, skip - 1)
            return
        self._wanted = None
        self.system.kill(owner)
        raise Killed(f"{owner} {step}")

    def _wrap(self, monkeypatch, owner, cls, method):
        inner = getattr(cls, method)
        before, after = (f"{when} {cls.__name__}.{method}" for when in ("before", "after"))

        if method in ("append", "fire"):

            @functools.wraps(inner)
            def touch(*arguments, **options):
                self._pass(owner, before)
                answer = inner(*arguments, **options)
                self._pass(owner, after)
                return answer

        else:

            @functools.wraps(inner)
            async def touch(*arguments, **options):
                self._pass(owner, before)
                answer = await inner(*arguments, **options)
                self._pass(owner, after)
                return answer

        monkeypatch.setattr(cls, method, touch)
