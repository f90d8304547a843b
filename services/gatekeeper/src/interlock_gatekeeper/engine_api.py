"""The engine's socket: sessions, heartbeats, orders, kill. Every request is authenticated first."""

from __future__ import annotations

import asyncio
import logging

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from interlock_core.money import ZERO
from interlock_core.reasons import DENY_MEANING, DenyReason
from interlock_core.wire import gate, strict
from interlock_core.wire.gate import (
    Heartbeat,
    HeartbeatAck,
    KillRequest,
    OrderIntent,
    OrderResult,
    Outcome,
    SessionGranted,
    SessionOpen,
    Telemetry,
)
from interlock_core.wire.strict import SchemaError
from interlock_gatekeeper.accounts import Accounts
from interlock_gatekeeper.auth import Peer, SessionKey
from interlock_gatekeeper.books import books_of
from interlock_gatekeeper.gateway import Gateway
from interlock_gatekeeper.market import Market
from interlock_gatekeeper.policy import Denied
from interlock_gatekeeper.recorder import Refusal
from interlock_gatekeeper.server import message, new_key, read_body, refuse
from interlock_gatekeeper.state import OpenOrder, Session

log = logging.getLogger(__name__)

OK, ACCEPTED, FORBIDDEN, NOT_FOUND, CONFLICT, GONE = 200, 202, 403, 404, 409, 410
LOCKED, TOO_MANY, UNAVAILABLE = 423, 429, 503

_STATUS = {
    "SESSION_BUSY": CONFLICT,
    "NOT_ARMED": LOCKED,
    "CONFIG_MISMATCH": CONFLICT,
    DenyReason.ID_CONFLICT: CONFLICT,
    DenyReason.NOT_LIVE: LOCKED,
    DenyReason.KILLED: LOCKED,
    DenyReason.AUDIT: UNAVAILABLE,
    DenyReason.INTERNAL: UNAVAILABLE,
    DenyReason.RATE: TOO_MANY,
    DenyReason.SYMBOL_RATE: TOO_MANY,
}


class AuthError(Exception):
    """The request is not from the running session's engine."""


class EngineApi:
    """Handlers of the engine's socket."""

    def __init__(
        self, gateway: Gateway, market: Market, accounts: Accounts, *, engine_uid: int
    ) -> None:
        self._gateway = gateway
        self._market = market
        self._accounts = accounts
        self._engine_uid = engine_uid
        self._key: SessionKey | None = None

    def app(self) -> Starlette:
        """Return the ASGI application."""
        order = gate.PATH_ORDERS + "/{intent_id}"
        return Starlette(
            routes=[
                Route(gate.PATH_SESSION, self.open_session, methods=["POST"]),
                Route(gate.PATH_SESSION, self.books, methods=["GET"]),
                Route(gate.PATH_SESSION, self.close_session, methods=["DELETE"]),
                Route(gate.PATH_HEARTBEAT, self.heartbeat, methods=["POST"]),
                Route(gate.PATH_ORDERS, self.order, methods=["POST"]),
                Route(order, self.known_order, methods=["GET", "DELETE"]),
                Route(gate.PATH_KILL, self.kill, methods=["POST"]),
            ],
            exception_handlers={AuthError: self._auth_failed, SchemaError: self._bad_schema},
        )

    async def _auth_failed(self, _request: Request, error: Exception) -> Response:
        return await self._refuse(DenyReason.AUTH, str(error))

    async def _bad_schema(self, _request: Request, error: Exception) -> Response:
        return await self._refuse(DenyReason.BAD_SCHEMA, str(error))

    async def _refuse(self, code: DenyReason, why: str) -> Response:
        log.warning("request refused", extra={"code": code, "why": why})
        await self._gateway.refuse_request(code, why)
        return refuse(FORBIDDEN, code, why)

    def _check_peer(self, request: Request) -> None:
        peer: Peer = request.state.peer
        if peer.uid != self._engine_uid:
            raise AuthError(f"expected uid {self._engine_uid}, was {peer.uid}")

    async def _authenticated(self, request: Request) -> bytes:
        self._check_peer(request)
        body = await read_body(request)
        if self._key is None:
            raise AuthError("no session is open")
        problem = self._key.problem(
            method=request.method, path=request.url.path, headers=dict(request.headers), body=body
        )
        if problem is not None:
            raise AuthError(problem)
        return body

    async def open_session(self, request: Request) -> Response:
        """Open the one session this arm allows; the answer carries its key."""
        self._check_peer(request)
        asked = strict.decode(SessionOpen, await read_body(request))
        await asyncio.gather(self._market.poll_all(asked.instruments), self._accounts.read_all())
        allocation = self._accounts.allocation(asked.instruments)
        opened = await self._gateway.open_session(asked, allocation)
        if isinstance(opened, Refusal):
            return _refused(opened)
        self._accounts.begin(opened)
        self._key = SessionKey(opened.epoch, new_key())
        return message(self._grant(opened, self._key))

    def _grant(self, session: Session, key: SessionKey) -> SessionGranted:
        now_ns = self._gateway.now().boot_ns
        hard = session.hard_deadline_ns
        return SessionGranted(
            session_id=session.session_id,
            epoch=session.epoch,
            key=key.key.hex(),
            lease_ms=(session.lease_until_ns - now_ns) // 1_000_000,
            hard_deadline_ms=None if hard is None else (hard - now_ns) // 1_000_000,
            state=self._gateway.state.phase_name,
            order_cap_usd=session.caps.order_usd,
            gross_cap_usd=session.caps.gross_usd,
            loss_limit_usd=session.caps.loss_usd,
        )

    async def books(self, request: Request) -> Response:
        """Say what our books hold, for the engine to compare with its own."""
        await self._authenticated(request)
        return message(books_of(self._gateway.state))

    async def close_session(self, request: Request) -> Response:
        """End the session in an orderly way."""
        await self._authenticated(request)
        await self._gateway.close_session("engine")
        return Response(status_code=OK)

    async def heartbeat(self, request: Request) -> Response:
        """Renew the lease."""
        telemetry = _telemetry(await self._authenticated(request))
        epoch = int(request.headers[gate.HEADER_EPOCH])
        renewed = await self._gateway.heartbeat(epoch, telemetry)
        if isinstance(renewed, Refusal):
            return _refused(renewed)
        left_ms = (renewed.lease_until_ns - self._gateway.now().boot_ns) // 1_000_000
        state = self._gateway.state.phase_name
        hold = self._gateway.state.hold is not None
        return message(HeartbeatAck(renewed.epoch, left_ms, state, hold=hold))

    async def order(self, request: Request) -> Response:
        """Check one order and send it, or veto it."""
        intent = strict.decode(OrderIntent, await self._authenticated(request))
        answer = await self._gateway.order(intent)
        if isinstance(answer, Denied):
            status = _STATUS.get(answer.reason, FORBIDDEN)
            return refuse(status, answer.reason, f"{DENY_MEANING[answer.reason]}: {answer.detail}")
        if answer is None:
            return self._in_doubt(intent.intent_id)
        return message(answer)

    async def known_order(self, request: Request) -> Response:
        """Say what became of an intent; DELETE first asks the venue to cancel what may be open."""
        await self._authenticated(request)
        intent_id = request.path_params["intent_id"]
        if request.method == "DELETE":
            await self._gateway.cancel(intent_id)
        known = self._gateway.known(intent_id)
        if known is None and self._gateway.is_forgotten(intent_id):
            return refuse(GONE, "FORGOTTEN", "it ended; its answer is in the journal alone")
        if known is None:
            return refuse(NOT_FOUND, "NOT_FOUND", "no such intent")
        return message(known) if isinstance(known, OrderResult) else self._in_doubt(intent_id)

    def _in_doubt(self, intent_id: str) -> Response:
        known = self._gateway.known(intent_id)
        if isinstance(known, OrderResult):
            return message(known)
        cid = known.client_order_id if isinstance(known, OpenOrder) else None
        doubt = OrderResult(
            intent_id=intent_id,
            client_order_id=cid,
            outcome=Outcome.UNKNOWN,
            code=None,
            detail="the venue has not proven what happened",
            filled_quantity=ZERO,
            average_price=ZERO,
            fee=ZERO,
            fee_currency=None,
            venue_order_id=None,
            latency_ms=0.0,
        )
        return message(doubt, ACCEPTED)

    async def kill(self, request: Request) -> Response:
        """Set the latch: the engine needs no live session for it, only its own user id."""
        self._check_peer(request)
        asked = strict.decode(KillRequest, await read_body(request))
        await self._gateway.kill("ENGINE", f"engine: {asked.reason[:100]}")
        return Response(status_code=OK)


def _telemetry(body: bytes) -> Telemetry | None:
    """Return a heartbeat's telemetry, or None where it is not whole: that holds, then kills."""
    try:
        return strict.decode(Heartbeat, body).telemetry
    except SchemaError:
        return None


def _refused(refusal: Refusal) -> Response:
    return refuse(_STATUS.get(refusal.code, FORBIDDEN), refusal.code, refusal.detail)
