"""The engine's side of the gatekeeper's socket: one session, its MAC, its orders.

Any doubt about the session ends it here: orders stop at once, and a new one has to be opened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPMethod, HTTPStatus
from pathlib import Path

import aiohttp

from interlock_core.clock import NS_PER_S, Clock
from interlock_core.reasons import DenyReason
from interlock_core.wire import gate, strict
from interlock_core.wire.gate import (
    Heartbeat,
    HeartbeatAck,
    OrderIntent,
    OrderResult,
    Outcome,
    SessionBooks,
    SessionGranted,
    SessionOpen,
    Telemetry,
)
from interlock_core.wire.problem import Problem
from interlock_core.wire.strict import SchemaError
from interlock_engine.execute.order import GATE_LOST, in_doubt, not_sent

log = logging.getLogger(__name__)

BASE = "http://gatekeeper"
CALL_TIMEOUT_S = 1.0
# A heartbeat may wait for the journal; three missed ones lose the lease anyway.
HEARTBEAT_TIMEOUT_S = 2.0
# The gatekeeper follows an order for up to about eight seconds before it says "unknown".
ORDER_TIMEOUT_S = 12.0
PROVE_EVERY_S = 0.25
# After this long an intent that the gatekeeper has never seen would be refused as stale.
NEVER_ARRIVED_NS = 3 * NS_PER_S
POOL = 16
MAX_BOOKS_BYTES = 262_144

SESSION_ENDING = frozenset(
    {
        DenyReason.AUTH,
        DenyReason.STALE_EPOCH,
        DenyReason.LEASE,
        DenyReason.NOT_LIVE,
        DenyReason.KILLED,
        DenyReason.AUDIT,
    }
)


class GateError(Exception):
    """The gatekeeper refused or did not answer: there is no session. `code` says which."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(f"{code}: {detail}")


class NotSentError(GateError):
    """There was no connection: nothing was sent, so nothing can have happened."""


@dataclass(slots=True)
class _Session:
    granted: SessionGranted
    key: bytes
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


class GateClient:
    """One connection pool on the Unix socket; at most one session at a time."""

    def __init__(self, socket: Path, *, clock: Clock, on_lost: Callable[[str], None]) -> None:
        connector = aiohttp.UnixConnector(path=str(socket), limit=POOL)
        self._http = aiohttp.ClientSession(connector=connector)
        self._clock = clock
        self._on_lost = on_lost
        self._session: _Session | None = None
        self.in_doubt: dict[str, OrderIntent] = {}

    @property
    def granted(self) -> SessionGranted | None:
        """Return the running session, or None."""
        return self._session.granted if self._session else None

    @property
    def epoch(self) -> int:
        """Return the epoch of the running session; 0 where there is none."""
        return self._session.granted.epoch if self._session else 0

    async def open(self, request: SessionOpen) -> SessionGranted:
        """Open a session, or raise GateError."""
        body = strict.encode(request)
        answer = await self._exchange(
            HTTPMethod.POST, gate.PATH_SESSION, body=body, headers={}, timeout_s=10.0
        )
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer)
        try:
            granted = strict.decode(SessionGranted, answer.body)
            self._session = _Session(granted, bytes.fromhex(granted.key))
        except ValueError as error:
            raise GateError("BAD_ANSWER", str(error)) from error
        return granted

    async def heartbeat(self, telemetry: Telemetry) -> HeartbeatAck | None:
        """Renew the lease; return None where the session is lost (it is then forgotten)."""
        body = strict.encode(Heartbeat(telemetry))
        try:
            answer = await self._call(
                HTTPMethod.POST, gate.PATH_HEARTBEAT, body, HEARTBEAT_TIMEOUT_S
            )
            if answer.status != HTTPStatus.OK:
                raise _refusal(answer)
            return strict.decode(HeartbeatAck, answer.body)
        except (GateError, SchemaError) as error:
            self.lose(str(error))
            return None

    def lose(self, why: str) -> None:
        """Forget the session at once; tell why, once."""
        if self._session is not None:
            self._session = None
            self._on_lost(why)

    async def submit(self, intent: OrderIntent) -> OrderResult:
        """Return what became of the intent; UNKNOWN where that is not proven. Never raises."""
        if self._session is None:
            return not_sent(intent, GATE_LOST, "there is no session with the gatekeeper")
        self.in_doubt[intent.intent_id] = intent
        body = strict.encode(intent)
        try:
            answer = await self._call(HTTPMethod.POST, gate.PATH_ORDERS, body, ORDER_TIMEOUT_S)
            result = self._order_result(intent, answer)
        except NotSentError as error:
            self.lose(str(error))
            result = not_sent(intent, GATE_LOST, "the gatekeeper's socket does not answer")
        except (GateError, SchemaError) as error:
            result = in_doubt(intent, str(error))
        if result.outcome is not Outcome.UNKNOWN:
            self.in_doubt.pop(intent.intent_id, None)
        return result

    def _order_result(self, intent: OrderIntent, answer: _Answer) -> OrderResult:
        """Return the result in an answer; raise SchemaError where it proves nothing."""
        if answer.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            result = strict.decode(OrderResult, answer.body)
            if result.intent_id != intent.intent_id:
                raise SchemaError("the answer is about another intent")
            return result
        problem = strict.decode(Problem, answer.body)
        if problem.code == DenyReason.INTERNAL:
            # Something broke in the gatekeeper: before or after the write, it does not say.
            raise SchemaError("the gatekeeper broke on this order")
        if problem.code in SESSION_ENDING:
            self.lose(f"{problem.code}: {problem.detail}")
        return not_sent(intent, problem.code, problem.detail)

    async def books(self) -> SessionBooks:
        """Return the gatekeeper's books; raise GateError or SchemaError where it does not say."""
        answer = await self._call(HTTPMethod.GET, gate.PATH_SESSION, b"", CALL_TIMEOUT_S)
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer)
        return strict.decode(SessionBooks, answer.body, max_bytes=MAX_BOOKS_BYTES)

    async def prove(self, intent: OrderIntent) -> OrderResult:
        """Ask until the outcome of an intent is proven; waits for a new session if need be."""
        path = f"{gate.PATH_ORDERS}/{intent.intent_id}"
        while True:
            await asyncio.sleep(PROVE_EVERY_S)
            if self._session is None:
                continue
            try:
                answer = await self._call(HTTPMethod.GET, path, b"", CALL_TIMEOUT_S)
                result = self._proof(intent, answer)
            except NotSentError as error:
                self.lose(str(error))
                continue
            except (GateError, SchemaError):
                continue
            if result is not None:
                self.in_doubt.pop(intent.intent_id, None)
                return result

    def _proof(self, intent: OrderIntent, answer: _Answer) -> OrderResult | None:
        if answer.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            result = strict.decode(OrderResult, answer.body)
            proven = result.outcome is not Outcome.UNKNOWN and result.intent_id == intent.intent_id
            return result if proven else None
        if answer.status == HTTPStatus.FORBIDDEN:
            self.lose(str(_refusal(answer)))
        age_ns = self._clock.boot_ns() - intent.created_boot_ns
        # Under a later epoch it can never be accepted any more, however young it is.
        never = age_ns > NEVER_ARRIVED_NS or self.epoch > intent.epoch
        if answer.status == HTTPStatus.NOT_FOUND and never:
            return not_sent(intent, "NOT_FOUND", "the gatekeeper never accepted the intent")
        return None

    async def end(self) -> None:
        """End the session in an orderly way, as far as the gatekeeper answers."""
        if self._session is None:
            return
        try:
            await self._call(HTTPMethod.DELETE, gate.PATH_SESSION, b"", CALL_TIMEOUT_S)
        except GateError as error:
            log.warning("session was not ended in order", extra={"why": str(error)})
        self._session = None

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    async def _call(self, method: HTTPMethod, path: str, body: bytes, timeout_s: float) -> _Answer:
        session = self._session
        if session is None:
            raise GateError(GATE_LOST, "there is no session")
        session.sequence += 1
        epoch, sequence = session.granted.epoch, session.sequence
        headers = {
            gate.HEADER_EPOCH: str(epoch),
            gate.HEADER_SEQUENCE: str(sequence),
            gate.HEADER_MAC: gate.mac(
                session.key, method=method, path=path, sequence=sequence, epoch=epoch, body=body
            ),
        }
        return await self._exchange(method, path, body=body, headers=headers, timeout_s=timeout_s)

    async def _exchange(
        self,
        method: HTTPMethod,
        path: str,
        *,
        body: bytes,
        headers: dict[str, str],
        timeout_s: float,
    ) -> _Answer:
        """Send one request once; NotSentError means that nothing reached the gatekeeper."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._http.request(
                method,
                BASE + path,
                data=body or None,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return _Answer(response.status, await response.read())
        except aiohttp.ClientConnectorError as error:
            raise NotSentError("CONNECTION", f"cannot connect: {error.strerror}") from error
        except TimeoutError as error:
            raise GateError("TIMEOUT", f"no answer within {timeout_s} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise GateError("CONNECTION", type(error).__name__) from error


def _refusal(answer: _Answer) -> GateError:
    try:
        problem = strict.decode(Problem, answer.body)
    except SchemaError:
        return GateError("BAD_ANSWER", f"HTTP {answer.status}")
    return GateError(problem.code, problem.detail)
