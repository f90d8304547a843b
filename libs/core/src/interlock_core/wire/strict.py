"""Strict JSON for messages between services: exact keys, exact types, nothing extra.

A message is a frozen dataclass. `encode` writes canonical JSON (sorted keys, no spaces);
`decode` accepts exactly the declared fields with exactly the declared types, or raises SchemaError.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Hashable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from interlock_core.money import from_wire, to_wire

MAX_BYTES = 8192
_TOO_LARGE = 2**63

T = TypeVar("T")


class SchemaError(ValueError):
    """The bytes are not the message that was expected; nothing was done with them."""


def encode(message: Any) -> bytes:
    """Return a dataclass message as canonical JSON bytes."""
    return canonical(_plain(message))


def canonical(value: Any) -> bytes:
    """Return a JSON value as canonical bytes: sorted keys, no white space, ASCII."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")


def plain(message: Any) -> dict[str, Any]:
    """Return a dataclass message as a JSON-ready dictionary."""
    result: dict[str, Any] = _plain(message)
    return result


def decode(message_type: type[T], raw: bytes, *, max_bytes: int = MAX_BYTES) -> T:
    """Return the message in raw, or raise SchemaError naming the first field that is wrong."""
    return from_value(message_type, loads(raw, max_bytes=max_bytes))


def loads(raw: bytes, *, max_bytes: int = MAX_BYTES) -> Any:
    """Return the JSON value in raw; refuse duplicates, NaN, floats' exotic forms and excess."""
    if len(raw) > max_bytes:
        raise SchemaError(f"expected at most {max_bytes} bytes, was {len(raw)}")
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
        if b"\\u" in raw:
            # Half of a surrogate pair is text that no one can write down again.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except SchemaError:
        raise
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or thousands of digits
        raise SchemaError("expected one JSON document") from error
    return value


def from_value(message_type: type[T], value: Any, where: str = "message") -> T:
    """Return a dataclass message built from a JSON value, checked field by field."""
    if not isinstance(value, dict):
        raise SchemaError(f"{where}: expected an object")
    hints = _hints(cast("Hashable", message_type))
    if extra := sorted(set(value) - set(hints)):
        raise SchemaError(f"{where}: unexpected field {extra[0][:40]!r}")
    if missing := sorted(set(hints) - set(value)):
        raise SchemaError(f"{where}: missing field {missing[0]!r}")
    fields = {name: _convert(hints[name], value[name], name) for name in hints}
    try:
        return message_type(**fields)
    except ValueError as error:
        raise SchemaError(f"{where}: {error}") from error


@cache
def _hints(message_type: Hashable) -> Mapping[str, Any]:
    return get_type_hints(message_type)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise SchemaError("expected no duplicate keys")
    return result


def _refuse(constant: str) -> Any:
    raise SchemaError(f"expected no {constant}")


def _convert(expected: Any, value: Any, where: str) -> Any:
    origin = get_origin(expected)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(expected):
            return None
        (inner,) = (arg for arg in get_args(expected) if arg is not type(None))
        return _convert(inner, value, where)
    if origin is tuple:
        return _convert_tuple(get_args(expected)[0], value, where)
    if origin is dict:
        return _convert_dict(get_args(expected)[1], value, where)
    return _convert_scalar(expected, value, where)


def _convert_tuple(inner: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise SchemaError(f"{where}: expected a list")
    return tuple(_convert(inner, item, where) for item in value)


def _convert_dict(inner: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SchemaError(f"{where}: expected an object")
    return {key: _convert(inner, item, f"{where}.{key}") for key, item in value.items()}


def _convert_scalar(expected: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(expected) and isinstance(expected, type):
        return from_value(expected, value, where)
    if expected is Decimal or (isinstance(expected, type) and issubclass(expected, StrEnum)):
        if not isinstance(value, str):
            raise SchemaError(f"{where}: expected a string")
        try:
            return from_wire(value) if expected is Decimal else expected(value)
        except ValueError as error:
            raise SchemaError(f"{where}: {error}") from error
    if type(value) in (int, float) and not -_TOO_LARGE < value < _TOO_LARGE:
        raise SchemaError(f"{where}: expected a number of at most 63 bits")
    if expected is float and type(value) in (int, float):
        return float(value)
    if expected in (str, int, bool, float) and type(value) is expected:
        return value
    raise SchemaError(f"{where}: expected {getattr(expected, '__name__', expected)}")


@cache
def _field_names(message_type: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cast("Any", message_type)))


_AS_THEY_ARE = frozenset({str, int, bool, float, type(None)})


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is Decimal:
        return to_wire(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(kind):
        return {name: _plain(getattr(value, name)) for name in _field_names(kind)}
    return value
