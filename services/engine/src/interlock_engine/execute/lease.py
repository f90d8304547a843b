"""Keeps one session with the gatekeeper alive: asks, opens, renews, and says why not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from interlock_core.wire import gate
from interlock_core.wire.gate import SessionGranted, SessionOpen, Telemetry
from interlock_core.wire.health import NotArmed
from interlock_engine.execute.armed import ArmedQuestion
from interlock_engine.execute.gate_client import GateClient, GateError

log = logging.getLogger(__name__)

PERIOD_S = 1.0


class Lease:
    """The engine's permission to trade, as far as it knows: `ready` is advice, never authority."""

    def __init__(
        self,
        client: GateClient,
        question: ArmedQuestion,
        *,
        session_id: str,
        stage: str,
        config_sha256: str,
        telemetry: Callable[[], Telemetry],
        on_granted: Callable[[SessionGranted], None],
    ) -> None:
        self._client = client
        self._question = question
        self._session_id = session_id
        self._stage = stage
        self._config_sha256 = config_sha256
        self._telemetry = telemetry
        self._on_granted = on_granted
        self._instruments: tuple[str, ...] = ()
        self._hold = False
        self.gate_state = "unknown"
        self.reason = "the gatekeeper has not been asked yet"

    @property
    def ready(self) -> bool:
        """Say whether there is a session and the gatekeeper last said "armed"."""
        return self._client.granted is not None and self.reason == ""

    @property
    def has_session(self) -> bool:
        """Say whether there is a session to send orders under."""
        return self._client.granted is not None

    def lost(self, why: str) -> None:
        """Note that the session is gone."""
        self.reason = f"session lost: {why}"
        log.warning("session lost", extra={"why": why})

    async def ask(self) -> bool:
        """Ask once more, right before an entry; return whether entering is allowed."""
        await self._ask()
        return self.ready

    async def _ask(self) -> bool:
        answer = await self._question.ask()
        if isinstance(answer, NotArmed):
            self.gate_state = answer.state or "unknown"
            self._say(answer.reason)
            return False
        self.gate_state = answer.state
        hold = answer.hold or self._hold
        self._say("the gatekeeper holds new risk" if hold else "")
        return True

    def _say(self, reason: str) -> None:
        if reason != self.reason:
            self.reason = reason
            log.info("standing by" if reason else "armed", extra={"reason": reason})

    async def run(self, instruments: Sequence[str]) -> None:
        """Ask at 1 Hz and keep a session open while armed, until cancelled."""
        self._instruments = tuple(instruments)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._heartbeats())

    async def _watch(self) -> None:
        while True:
            if await self._ask() and self._client.granted is None:
                await self._open()
            await asyncio.sleep(PERIOD_S)

    async def _open(self) -> None:
        request = SessionOpen(
            gate.SCHEMA, self._session_id, self._stage, self._config_sha256, self._instruments
        )
        try:
            granted = await self._client.open(request)
        except GateError as error:
            self._say(f"no session: {error}")
            return
        self._hold = False
        self._on_granted(granted)
        log.info(
            "session open",
            extra={"epoch": granted.epoch, "order_cap_usd": str(granted.order_cap_usd)},
        )

    async def _heartbeats(self) -> None:
        while True:
            if self._client.granted is not None:
                ack = await self._client.heartbeat(self._telemetry())
                if ack is not None:
                    self._hold = ack.hold
            await asyncio.sleep(PERIOD_S)
