"""Take secrets out of text and bytes, also where they were escaped or encoded on the way."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote

REDACTED = "[redacted]"
MIN_CHARS = 6
_BITS, _SEXTET = 8, 6


class Redactor:
    """Replaces every form of some secrets; what is too short to be one is left alone."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = {form for secret in secrets if len(secret) >= MIN_CHARS for form in forms(secret)}
        # Longest first: a form may hold another, whose rest would be left.
        self._texts = tuple(sorted(found, key=len, reverse=True))
        self._raws = tuple(text.encode() for text in self._texts)

    def text(self, value: str) -> str:
        """Return value without secrets."""
        for form in self._texts:
            value = value.replace(form, REDACTED)
        return value

    def raw(self, value: bytes) -> bytes:
        """Return value without secrets."""
        for form in self._raws:
            value = value.replace(form, REDACTED.encode())
        return value


def forms(secret: str) -> set[str]:
    """Return a secret as it is, in JSON (in JSON), in a URL, in hex, and anywhere in base64."""
    raw, quoted = secret.encode(), quote(secret, safe="")
    escaped = json.dumps(secret)[1:-1]
    twice = json.dumps(escaped)[1:-1]
    plain = {secret, escaped, twice, quoted, quoted.lower(), raw.hex()}
    return plain | {form for before in range(3) for form in _base64_forms(raw, before)}


def _base64_forms(raw: bytes, before: int) -> tuple[str, str]:
    """Return the characters that depend on the secret alone, `before` bytes into a triple."""
    first = -(-before * _BITS // _SEXTET)
    last = (before + len(raw)) * _BITS // _SEXTET
    encoded = base64.b64encode(bytes(before) + raw).decode("ascii")[first:last]
    return encoded, encoded.replace("+", "-").replace("/", "_")
