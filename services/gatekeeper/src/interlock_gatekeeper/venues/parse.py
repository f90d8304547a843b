"""Reading venue JSON: decimals stay exact, anything unexpected is a ValueError."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any
from urllib.parse import urlsplit

from interlock_core.money import EXACT_PRECISION, ZERO
from interlock_gatekeeper.transport import Answer, Request
from interlock_gatekeeper.venues.readings import Ended

# A wire decimal between our services has at most 12 fractional digits.
WIRE_STEP = Decimal("1e-12")
HTTP_OK = range(200, 300)
HTTP_CLIENT_ERROR = range(400, 500)


def document(answer: Answer) -> Any:
    """Return the JSON in an answer with exact decimals, or raise ValueError."""
    try:
        return json.loads(answer.body, parse_float=Decimal)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError("the answer is not JSON") from error


def mapping(value: Any) -> dict[str, Any]:
    """Return value if it is a JSON object, or raise ValueError."""
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    return value


def rows(value: Any) -> list[dict[str, Any]]:
    """Return value if it is a list of JSON objects, or raise ValueError."""
    if not isinstance(value, list):
        raise ValueError("expected a list")
    return [mapping(item) for item in value]


def text(row: dict[str, Any], key: str) -> str:
    """Return a non-empty text or number field as text, or raise ValueError."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"expected {key}")
    return str(value)


def amount(row: dict[str, Any], key: str) -> Decimal:
    """Return a finite non-negative decimal field, or raise ValueError."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"expected {key}")
    try:
        result = Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"expected a number in {key}") from error
    if not result.is_finite() or result < ZERO:
        raise ValueError(f"expected a non-negative number in {key}")
    return result


def average(total: Decimal, quantity: Decimal) -> Decimal:
    """Return total / quantity to the precision of the wire; zero for no quantity."""
    if quantity == ZERO:
        return ZERO
    with localcontext() as context:
        context.prec = EXACT_PRECISION
        return (total / quantity).quantize(WIRE_STEP)


def signed_request(signed: dict[str, Any]) -> Request:
    """Return ccxt's signed request as what our transport writes."""
    parts = urlsplit(signed["url"])
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = tuple((str(k), str(v)) for k, v in (signed["headers"] or {}).items())
    body = signed["body"]
    return Request(signed["method"], target, headers, body.encode() if body else b"")


def unfilled(venue_order_id: str) -> Ended:
    """Return an order that ended without a fill."""
    return Ended(venue_order_id, ZERO, ZERO, ZERO, None)
