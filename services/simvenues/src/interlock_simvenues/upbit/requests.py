"""What clients send on Upbit's WebSockets: a JSON array of ticket, types and format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

FORMATS = ("DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST")
DEPTHS = (1, 5, 15, 30)


@dataclass(frozen=True, slots=True)
class Channel:
    """One requested type with its codes; `units` is the depth of an orderbook."""

    type: str
    codes: tuple[str, ...]
    units: int
    only_snapshot: bool
    only_realtime: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request; it replaces what was asked before."""

    channels: tuple[Channel, ...]
    format: str


class RequestError(Exception):
    """The request is malformed; the venue says so and closes the connection."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        self.message = message
        super().__init__(f"{name}: {message}")

    def frame(self) -> bytes:
        """Return the error as the venue sends it."""
        return json.dumps({"error": {"name": self.name, "message": self.message}}).encode()


def parse(text: str, types: tuple[str, ...], *, needs_codes: bool = True) -> Request:
    """Return the request in a client message, or raise RequestError."""
    try:
        parts = json.loads(text)
    except json.JSONDecodeError as error:
        raise RequestError("WRONG_FORMAT", "The format is not correct.") from error
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise RequestError("WRONG_FORMAT", "The format is not correct.")
    if not any("ticket" in part for part in parts):
        raise RequestError("NO_TICKET", "The ticket is missing.")
    wanted = [part for part in parts if "type" in part]
    if not wanted:
        raise RequestError("NO_TYPE", "The type is missing.")
    form = next((str(part["format"]) for part in parts if "format" in part), "DEFAULT")
    if form not in FORMATS:
        raise RequestError("WRONG_FORMAT", "The format is not correct.")
    channels = [
        channel for part in wanted for channel in _channels(part, types, needs_codes=needs_codes)
    ]
    return Request(tuple(channels), form)


def _channels(part: dict[str, Any], types: tuple[str, ...], *, needs_codes: bool) -> list[Channel]:
    kind = str(part["type"])
    if kind not in types:
        raise RequestError("NO_TYPE", f"The type {kind[:20]} is not known.")
    codes = part.get("codes")
    if needs_codes and not codes:
        raise RequestError("NO_CODES", "The codes are missing.")
    if codes is not None and not isinstance(codes, list):
        raise RequestError("INVALID_PARAM", "The codes are not a list.")
    by_depth: dict[int, list[str]] = {}
    for code in codes or []:
        name, _, suffix = str(code).partition(".")
        depth = int(suffix) if suffix.isdigit() and int(suffix) in DEPTHS else DEPTHS[-1]
        by_depth.setdefault(depth, []).append(name)
    return [
        Channel(
            kind,
            tuple(names),
            depth,
            only_snapshot=part.get("is_only_snapshot") is True,
            only_realtime=part.get("is_only_realtime") is True,
        )
        for depth, names in (by_depth or {DEPTHS[-1]: []}).items()
    ]
