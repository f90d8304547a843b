"""Reading venue JSON: decimals stay exact, anything unexpected is a ValueError."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, TypeVar
from urllib.parse import urlsplit

from interlock_core.money import EXACT_PRECISION, ZERO
from interlock_gatekeeper.transport import Answer, Request
from interlock_gatekeeper.venues.readings import Ended

T = TypeVar("T")

# A wire decimal between our services has at most 12 fractional digits.
WIRE_STEP = Decimal("1e-12")
# No amount, price or time comes near it; beyond it arithmetic gets slow or inexact.
LARGEST = Decimal("1e20")
HTTP_OK = range(200, 300)
HTTP_CLIENT_ERROR = range(400, 500)
HTTP_BANNED = 418
HTTP_TOO_MANY = 429
# How long to stay away where the venue names no time.
BACK_OFF_S: Mapping[int, float] = {HTTP_TOO_MANY: 1.0, HTTP_BANNED: 60.0}


def document(answer: Answer) -> Any:
    """Return the JSON in an answer with exact decimals, or raise ValueError."""
    try:
        return json.loads(answer.body, parse_float=Decimal)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, InvalidOperation) as error:
        raise ValueError("the answer is not JSON") from error


def answered(answer: Answer) -> Any:
    """Return the JSON in a successful answer, or raise ValueError."""
    if answer.status not in HTTP_OK:
        raise ValueError(f"expected a successful answer, was HTTP {answer.status}")
    return document(answer)


def bodies(answers: Sequence[Answer], count: int) -> list[Any]:
    """Return the JSON in exactly `count` successful answers, or raise ValueError."""
    if len(answers) != count:
        raise ValueError(f"expected {count} answers, were {len(answers)}")
    return [answered(answer) for answer in answers]


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


def named_rows(value: Any, key: str) -> dict[str, dict[str, Any]]:
    """Return a list of JSON objects by a text field that no two share, or raise ValueError."""
    listed = rows(value)
    named = {text(row, key): row for row in listed}
    if len(named) != len(listed):
        raise ValueError(f"expected each {key} once")
    return named


def text(row: dict[str, Any], key: str) -> str:
    """Return a non-empty text or number field as text, or raise ValueError."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"expected {key}")
    return str(value)


def choice(row: dict[str, Any], key: str, values: Mapping[str, T]) -> T:
    """Return what a text field stands for, or raise ValueError where it is none of values."""
    word = text(row, key)
    if word not in values:
        raise ValueError(f"expected {key} to be one of {', '.join(values)}, was {word[:40]}")
    return values[word]


def flag(row: dict[str, Any], key: str) -> bool:
    """Return a field that is true or false, or raise ValueError."""
    value = row.get(key)
    if not isinstance(value, bool):
        raise ValueError(f"expected {key} to be true or false")
    return value


def words(row: dict[str, Any], key: str) -> list[str]:
    """Return a field that is a list of texts, or raise ValueError."""
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"expected {key} to be a list of texts")
    return value


def whole(row: dict[str, Any], key: str) -> int:
    """Return a non-negative whole number field, or raise ValueError."""
    value = amount(row, key)
    if value != value.to_integral_value():
        raise ValueError(f"expected a whole number in {key}")
    return int(value)


def signed_amount(row: dict[str, Any], key: str) -> Decimal:
    """Return a decimal field of plausible size, or raise ValueError."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"expected {key}")
    try:
        result = Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"expected a number in {key}") from error
    if not result.is_finite() or abs(result) > LARGEST:
        raise ValueError(f"expected a plausible number in {key}")
    return result


def amount(row: dict[str, Any], key: str) -> Decimal:
    """Return a non-negative decimal field of plausible size, or raise ValueError."""
    result = signed_amount(row, key)
    if result < ZERO:
        raise ValueError(f"expected a non-negative number in {key}")
    return result


def require_own(named: object, client_order_id: str | None) -> None:
    """Raise ValueError where an answer names another order than the one asked about."""
    if client_order_id is not None and named not in (None, client_order_id):
        raise ValueError("the answer names another order")


def not_zero(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return the amounts that are not zero."""
    return {name: value for name, value in amounts.items() if value != ZERO}


def back_off_s(answer: Answer) -> float | None:
    """Return how long the venue wants no requests, or None where it did not ask."""
    default_s = BACK_OFF_S.get(answer.status)
    if default_s is None:
        return None
    named = answer.headers.get("retry-after", "")
    return float(named) if named.isascii() and named.isdigit() else default_s


def average(total: Decimal, quantity: Decimal) -> Decimal:
    """Return total / quantity to the precision of the wire, zero for none, or raise ValueError."""
    if quantity == ZERO:
        return ZERO
    try:
        with localcontext() as context:
            context.prec = EXACT_PRECISION
            return (total / quantity).quantize(WIRE_STEP)
    except InvalidOperation as error:
        raise ValueError("expected a plausible average price") from error


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
