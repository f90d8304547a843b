"""What Binance spot refuses with over the public interface."""

from __future__ import annotations

import msgspec

from interlock_venues.answer import VenueAnswerError


class _Body(msgspec.Struct):
    code: int
    msg: str = ""


_decode = msgspec.json.Decoder(_Body).decode


def answer_error(status: int, body: bytes) -> VenueAnswerError:
    """Return the error in an answer that is not 200."""
    try:
        error = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return VenueAnswerError("BINANCE", status, "no readable error")
    return VenueAnswerError("BINANCE", status, f"{error.code} {error.msg}".strip())
