"""Binance's request signature: HMAC-SHA256 over query string and body exactly as sent."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from interlock_core.clock import Clock
from interlock_simvenues.binance.errors import BinanceError, illegal, missing, not_permitted
from interlock_simvenues.units import NS_PER_MS

DEFAULT_WINDOW_MS = 5_000
MAX_WINDOW_MS = 60_000
AHEAD_MS = 1_000
_KEY_SHAPE = re.compile(r"[A-Za-z0-9_\-]{8,128}")
_SIGNATURE = re.compile(r"&?signature=([^&]*)")


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair of the account; a key that may not trade may still read."""

    key: str
    secret: str
    may_trade: bool


class Authenticator:
    """Checks keys, time stamps and signatures."""

    def __init__(self, keys: tuple[Key, ...], clock: Clock) -> None:
        self.keys = {item.key: item for item in keys}
        self._clock = clock

    def key(self, header: str | None) -> Key:
        """Return the key named by the X-MBX-APIKEY header, or raise."""
        if not header or not _KEY_SHAPE.fullmatch(header):
            raise BinanceError(401, -2014, "API-key format invalid.")
        found = self.keys.get(header)
        if found is None:
            raise not_permitted()
        return found

    def signed(self, key: Key, params: Mapping[str, str], query: str, body: str) -> None:
        """Check time stamp and signature of a request with this raw query and body, or raise."""
        self.in_time(params)
        given = params.get("signature")
        if not given:
            raise missing("signature")
        text = _SIGNATURE.sub("", query) + _SIGNATURE.sub("", body)
        self.matches(key, text, given)

    def signed_params(self, key: Key, params: Mapping[str, str]) -> None:
        """Check a WebSocket-API request: the signature covers its sorted parameters, or raise."""
        self.in_time(params)
        given = params.get("signature")
        if not given:
            raise missing("signature")
        text = "&".join(f"{k}={v}" for k, v in sorted(params.items()) if k != "signature")
        self.matches(key, text, given)

    def in_time(self, params: Mapping[str, str]) -> None:
        """Raise where the time stamp is missing or outside the receive window."""
        sent, window = params.get("timestamp"), params.get("recvWindow") or str(DEFAULT_WINDOW_MS)
        if not sent:
            raise missing("timestamp")
        if not sent.isdigit():
            raise illegal("timestamp")
        try:
            window_ms = float(window)
        except ValueError as error:
            raise illegal("recvWindow") from error
        if not 0 < window_ms <= MAX_WINDOW_MS:
            raise BinanceError(400, -1131, "recvWindow must be less than 60000.")
        now_ms = self._clock.wall_ns() // NS_PER_MS
        if int(sent) >= now_ms + AHEAD_MS:
            text = "Timestamp for this request was 1000ms ahead of the server's time."
            raise BinanceError(400, -1021, text)
        if now_ms - int(sent) > window_ms:
            raise BinanceError(
                400, -1021, "Timestamp for this request is outside of the recvWindow."
            )

    @staticmethod
    def matches(key: Key, text: str, given: str) -> None:
        """Raise where the signature of the text is not the given one."""
        expected = signature(key.secret, text)
        if not hmac.compare_digest(expected, given.lower()):
            raise BinanceError(400, -1022, "Signature for this request is not valid.")


def signature(secret: str, text: str) -> str:
    """Return the hex HMAC-SHA256 of a request's text."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
