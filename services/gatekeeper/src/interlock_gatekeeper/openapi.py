"""OpenAPI descriptions of both Unix sockets, made from the messages themselves.

No socket serves them: they are for tests, which ask each socket whatever fits its description.
"""

from __future__ import annotations

import dataclasses
import types
from decimal import Decimal
from enum import StrEnum
from http import HTTPMethod, HTTPStatus
from typing import Any, Union, get_args, get_origin, get_type_hints

from interlock_core.wire import gate
from interlock_core.wire.gate import (
    Heartbeat,
    HeartbeatAck,
    KillRequest,
    OrderIntent,
    OrderResult,
    SessionBooks,
    SessionGranted,
    SessionOpen,
)
from interlock_core.wire.problem import CONTENT_TYPE, Problem
from interlock_gatekeeper import operator_api
from interlock_gatekeeper.operator_api import (
    ArmMessage,
    DrillReport,
    OperatorApproval,
    OperatorFlatten,
    OperatorKill,
    OperatorReset,
)

JSON = "application/json"
INTENT_PATH = gate.PATH_ORDERS + "/{intent_id}"
_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}
_DECIMAL = {"type": "string", "pattern": "^[0-9]{1,12}([.][0-9]{1,12})?$"}

Document = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """One request that a socket takes: its message and its answers by status, None for no body."""

    method: HTTPMethod
    path: str
    body: type | None
    answers: dict[HTTPStatus, type | None]


_OK, _ACCEPTED = HTTPStatus.OK, HTTPStatus.ACCEPTED
_ORDER = {_OK: OrderResult, _ACCEPTED: OrderResult}
ENGINE = (
    Operation(HTTPMethod.POST, gate.PATH_SESSION, SessionOpen, {_OK: SessionGranted}),
    Operation(HTTPMethod.GET, gate.PATH_SESSION, None, {_OK: SessionBooks}),
    Operation(HTTPMethod.DELETE, gate.PATH_SESSION, None, {_OK: None}),
    Operation(HTTPMethod.POST, gate.PATH_HEARTBEAT, Heartbeat, {_OK: HeartbeatAck}),
    Operation(HTTPMethod.POST, gate.PATH_ORDERS, OrderIntent, {**_ORDER}),
    Operation(HTTPMethod.GET, INTENT_PATH, None, {**_ORDER}),
    Operation(HTTPMethod.DELETE, INTENT_PATH, None, {**_ORDER}),
    Operation(HTTPMethod.POST, gate.PATH_KILL, KillRequest, {_OK: None}),
)
# The operator's answers are reports for people, of no fixed form.
OPERATOR = (
    Operation(HTTPMethod.GET, operator_api.PATH_STATE, None, {_OK: dict}),
    Operation(HTTPMethod.POST, operator_api.PATH_ARM, ArmMessage, {_OK: dict}),
    Operation(HTTPMethod.POST, operator_api.PATH_DISARM, None, {_OK: dict}),
    Operation(HTTPMethod.POST, operator_api.PATH_KILL, OperatorKill, {_OK: dict}),
    Operation(HTTPMethod.POST, operator_api.PATH_RESET, OperatorReset, {_OK: dict}),
    Operation(HTTPMethod.POST, operator_api.PATH_RENEW, None, {_OK: dict}),
    Operation(HTTPMethod.POST, operator_api.PATH_FLATTEN, OperatorFlatten, {_OK: dict}),
    Operation(HTTPMethod.POST, operator_api.PATH_APPROVE, OperatorApproval, {_OK: dict}),
    Operation(HTTPMethod.POST, operator_api.PATH_DRILL, DrillReport, {_OK: dict}),
    Operation(HTTPMethod.GET, operator_api.PATH_RECONCILE, None, {_OK: dict}),
)


def description(title: str, operations: tuple[Operation, ...]) -> Document:
    """Return the OpenAPI 3.1 document of one socket."""
    paths: dict[str, Document] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {"openapi": "3.1.0", "info": {"title": title, "version": "1"}, "paths": paths}


def schema_of(expected: Any) -> Document:  # noqa: ANN401 - a type hint may be anything
    """Return the JSON Schema of what `strict` accepts for a type."""
    if get_origin(expected) in (Union, types.UnionType):
        return {"anyOf": [schema_of(arm) for arm in get_args(expected)]}
    if get_origin(expected) is tuple:
        return {"type": "array", "items": schema_of(get_args(expected)[0])}
    if expected is types.NoneType:
        return {"type": "null"}
    if expected is dict:
        return {"type": "object"}
    if expected is Decimal:
        return _DECIMAL
    if issubclass(expected, StrEnum):
        return {"enum": [member.value for member in expected]}
    if dataclasses.is_dataclass(expected):
        fields = {name: schema_of(hint) for name, hint in get_type_hints(expected).items()}
        return {
            "type": "object",
            "properties": fields,
            "required": list(fields),
            "additionalProperties": False,
        }
    return {"type": _SCALARS[expected]}


def _described(operation: Operation) -> Document:
    made: Document = {
        "responses": {
            **{str(int(status)): _answer(kind) for status, kind in operation.answers.items()},
            "default": _content(Problem, CONTENT_TYPE),
        }
    }
    if operation.body is not None:
        made["requestBody"] = {**_content(operation.body, JSON), "required": True}
    if operation.path == INTENT_PATH:
        made["parameters"] = [
            {
                "name": "intent_id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,40}$"},
            }
        ]
    return made


def _answer(kind: type | None) -> Document:
    return {"description": "done"} if kind is None else _content(kind, JSON)


def _content(kind: type, media_type: str) -> Document:
    return {"description": kind.__name__, "content": {media_type: {"schema": schema_of(kind)}}}
