"""The operator's socket: the only place from which anything can be armed or reset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from interlock_core.arming import ArmRequest
from interlock_core.wire import strict
from interlock_core.wire.strict import SchemaError
from interlock_gatekeeper.accounts import Accounts
from interlock_gatekeeper.arms import Operator
from interlock_gatekeeper.auth import Peer
from interlock_gatekeeper.gateway import Gateway
from interlock_gatekeeper.health import Health
from interlock_gatekeeper.recorder import Refusal
from interlock_gatekeeper.server import document, read_body, refuse

FORBIDDEN, CONFLICT = 403, 409

PATH_STATE = "/v1/state"
PATH_ARM = "/v1/arm"
PATH_DISARM = "/v1/disarm"
PATH_KILL = "/v1/kill"
PATH_RESET = "/v1/reset"
PATH_RENEW = "/v1/renew"
PATH_FLATTEN = "/v1/flatten"
PATH_APPROVE = "/v1/approve"
PATH_DRILL = "/v1/drill"
PATH_RECONCILE = "/v1/reconcile"


@dataclass(frozen=True, slots=True)
class ArmMessage:
    """The three LIVE_ facts and the stage, exactly as the operator's environment holds them."""

    ack: str
    arm_at: str
    max_notional_usd: str
    stage: str
    approval: str


@dataclass(frozen=True, slots=True)
class OperatorKill:
    """Set the latch, with a reason for the record."""

    reason: str


@dataclass(frozen=True, slots=True)
class OperatorReset:
    """Clear the latch: its cause repeated, and the residual's hash where something is left."""

    cause: str
    residual: str


@dataclass(frozen=True, slots=True)
class OperatorFlatten:
    """Close exactly what the residual of this hash lists."""

    residual: str


@dataclass(frozen=True, slots=True)
class OperatorApproval:
    """A second person's word for a wish to arm, such as `hour 500`."""

    wish: str


@dataclass(frozen=True, slots=True)
class DrillReport:
    """What a kill drill measured; milliseconds."""

    passed: bool
    drills: int
    deny_p99_ms: float
    cancel_p99_ms: float


class OperatorApi:
    """Handlers of the operator's socket."""

    def __init__(self, gateway: Gateway, accounts: Accounts, health: Callable[[], Health]) -> None:
        self._gateway = gateway
        self._accounts = accounts
        self._health = health

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route(PATH_STATE, self.state, methods=["GET"]),
                Route(PATH_ARM, self.arm, methods=["POST"]),
                Route(PATH_DISARM, self.disarm, methods=["POST"]),
                Route(PATH_KILL, self.kill, methods=["POST"]),
                Route(PATH_RESET, self.reset, methods=["POST"]),
                Route(PATH_RENEW, self.renew, methods=["POST"]),
                Route(PATH_FLATTEN, self.flatten, methods=["POST"]),
                Route(PATH_APPROVE, self.approve, methods=["POST"]),
                Route(PATH_DRILL, self.drill, methods=["POST"]),
                Route(PATH_RECONCILE, self.reconcile, methods=["GET"]),
            ],
            exception_handlers={SchemaError: _bad_schema},
        )

    async def state(self, _request: Request) -> Response:
        """Return the full report."""
        return document(self._health().report())

    async def arm(self, request: Request) -> Response:
        """Arm for one session, or say which condition failed and how to mend it."""
        asked = strict.decode(ArmMessage, await read_body(request))
        facts = ArmRequest(asked.ack, asked.arm_at, asked.max_notional_usd)
        operator = _operator(request, asked.approval)
        return self._answer(await self._gateway.arm(facts, asked.stage, operator))

    async def approve(self, request: Request) -> Response:
        """Let a second person approve what another one asked to arm."""
        asked = strict.decode(OperatorApproval, await read_body(request))
        gateway = self._gateway
        return self._answer(gateway.machine.approve(asked.wish, gateway.now(), _operator(request)))

    async def renew(self, request: Request) -> Response:
        """Give a continuous session more time."""
        return self._answer(await self._gateway.renew(_actor(request)))

    async def flatten(self, request: Request) -> Response:
        """Close what a halt left; the answer lists what became of each order."""
        asked = strict.decode(OperatorFlatten, await read_body(request))
        results = await self._gateway.flatten(asked.residual)
        if isinstance(results, Refusal):
            return self._answer(results)
        done = [None if result is None else strict.plain(result) for result in results]
        return document({"orders": done})

    async def drill(self, request: Request) -> Response:
        """Take note of a kill drill."""
        asked = strict.decode(DrillReport, await read_body(request))
        figures = {
            "drills": asked.drills,
            "deny_p99_ms": asked.deny_p99_ms,
            "cancel_p99_ms": asked.cancel_p99_ms,
        }
        await self._gateway.drilled(passed=asked.passed, figures=figures)
        return self._answer(None)

    async def reconcile(self, _request: Request) -> Response:
        """Return our books beside the venues' accounts, read now; it changes nothing."""
        found = await self._accounts.side_by_side()
        rows = {
            venue: None if lines is None else [asdict(line) for line in lines]
            for venue, lines in found.items()
        }
        unknown = [order.client_order_id for order in self._gateway.state.unknown_orders]
        return document({"venues": rows, "in_doubt": unknown})

    async def disarm(self, request: Request) -> Response:
        """Take an arm back or end the live session."""
        await self._gateway.disarm(_actor(request))
        return self._answer(None)

    async def kill(self, request: Request) -> Response:
        """Set the latch."""
        asked = strict.decode(OperatorKill, await read_body(request))
        await self._gateway.kill("OPERATOR", f"{_actor(request)}: {asked.reason[:100]}")
        return self._answer(None)

    async def reset(self, request: Request) -> Response:
        """Clear the latch; never arms."""
        asked = strict.decode(OperatorReset, await read_body(request))
        refusal = await self._gateway.reset(
            _actor(request), cause=asked.cause, residual=asked.residual
        )
        return self._answer(refusal)

    def _answer(self, refusal: Refusal | None) -> Response:
        if refusal is not None:
            return refuse(CONFLICT, refusal.code, refusal.detail)
        return document(self._health().report())


async def _bad_schema(_request: Request, error: Exception) -> Response:
    return refuse(FORBIDDEN, "BAD_SCHEMA", str(error))


def _operator(request: Request, approval: str = "") -> Operator:
    peer: Peer = request.state.peer
    return Operator(_actor(request), peer.uid, approval)


def _actor(request: Request) -> str:
    peer: Peer = request.state.peer
    return f"operator socket uid {peer.uid}"
