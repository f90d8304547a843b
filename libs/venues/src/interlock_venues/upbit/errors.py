"""What Upbit's public interface refuses with.

`VenueAnswerError` is the root for all venues: not the answer that was asked for, ask later.
"""

from __future__ import annotations

import msgspec

from interlock_venues.answer import VenueAnswerError


class _Error(msgspec.Struct):
    # An integer on quotation calls, a word elsewhere.
    name: str | int
    message: str = ""


class _Body(msgspec.Struct):
    error: _Error


_decode = msgspec.json.Decoder(_Body).decode


def answer_error(status: int, body: bytes) -> VenueAnswerError:
    """Return the error in an answer that is not 200."""
    try:
        error = _decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return VenueAnswerError("UPBIT", status, "no readable error")
    return VenueAnswerError("UPBIT", status, f"{error.name} {error.message}".strip())
