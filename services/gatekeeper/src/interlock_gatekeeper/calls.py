"""Private questions to one venue, and what every answer says about the venue itself."""

from __future__ import annotations

import logging

from interlock_core.clock import NS_PER_S, Clock
from interlock_gatekeeper.seen import VenueSeen
from interlock_gatekeeper.transport import Answer, ConnectError, NoAnswerError, Request, Transport
from interlock_gatekeeper.venues.parse import HTTP_OK
from interlock_gatekeeper.venues.readings import Adapter

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
TOO_MANY, BANNED = 429, 418
REFUSED_KEY = (401, 403)
SERVER_ERROR = 500


class CallError(Exception):
    """The venue did not answer a question, or not as documented. Nothing is proven."""


class Calls:
    """One venue's private interface. Every call keeps the venue's health in `seen`."""

    def __init__(
        self,
        adapter: Adapter,
        transport: Transport,
        seen: VenueSeen,
        clock: Clock,
        *,
        scopes: Transport,
    ) -> None:
        self.adapter = adapter
        self.transport = transport
        self.seen = seen
        self._clock = clock
        self._scopes = scopes

    async def ask(self, request: Request) -> Answer:
        """Return the venue's answer to a signed question or cancel; raise CallError."""
        answer = await self._ask(self.transport, request)
        if answer.status in HTTP_OK:
            self.seen.private_ok_ns = self._clock.boot_ns()
        return answer

    async def ask_public(self, request: Request) -> Answer:
        """Return the venue's answer to a question without a key; raise CallError."""
        return await self._ask(self.transport, request)

    async def ask_scopes(self, request: Request) -> Answer:
        """Return the answer of the origin that tells what keys may do; raise CallError."""
        try:
            # A refusal here is about this question, not about the account: it shuts nothing out.
            return await self._scopes.ask(request, TIMEOUT_S)
        except (ConnectError, NoAnswerError) as error:
            raise CallError(str(error)) from error

    async def _ask(self, transport: Transport, request: Request) -> Answer:
        try:
            answer = await transport.ask(request, TIMEOUT_S)
        except (ConnectError, NoAnswerError) as error:
            self.note_silence()
            raise CallError(str(error)) from error
        self.note(answer)
        return answer

    def note_silence(self) -> None:
        """Take note of a call without an answer."""
        self.seen.errors_ns.append(self._clock.boot_ns())

    def note(self, answer: Answer) -> None:
        """Take note of what an answer says about the venue."""
        now_ns, status = self._clock.boot_ns(), answer.status
        pause_s = self.adapter.back_off_s(answer)
        if pause_s is not None:
            self.seen.back_off_until_ns = now_ns + round(pause_s * NS_PER_S)
        if status == TOO_MANY:
            self.seen.limited_ns = now_ns
        if status == BANNED or status in REFUSED_KEY:
            self.seen.shut_out_ns = now_ns
        if status >= SERVER_ERROR or status in (TOO_MANY, BANNED, *REFUSED_KEY):
            self.seen.errors_ns.append(now_ns)
