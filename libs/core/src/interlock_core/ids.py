"""Identifiers: sessions, intents, venue client order ids."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from datetime import UTC, datetime

from interlock_core.clock import NS_PER_S

ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{8,40}")
CLIENT_ORDER_ID_CHARS = 28


def new_session_id(wall_ns: int, environment: str) -> str:
    """Return a fresh session id that sorts by time, e.g. `20261123T101300Z-paper-3fa9`."""
    moment = datetime.fromtimestamp(wall_ns // NS_PER_S, tz=UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{environment}-{secrets.token_hex(2)}"


def is_id(value: str) -> bool:
    """Say whether value is an ASCII id of 8 to 40 characters from `[A-Za-z0-9_-]`."""
    return ID_PATTERN.fullmatch(value) is not None


def intent_id(session_id: str, round_trip: int, leg: str, attempt: int) -> str:
    """Return the id of one order attempt: the same arguments give the same id."""
    digest = hashlib.sha256(f"{session_id}|{round_trip}|{leg}|{attempt}".encode()).hexdigest()
    return f"i{round_trip}-{leg}-{attempt}-{digest[:12]}"


def client_order_id(session_id: str, intent: str) -> str:
    """Return the venue's client order id, `gk` + 26 base32 characters, for one intent.

    Valid on both venues (Binance: at most 36 of `[.A-Z:/a-z0-9_-]`; Upbit: at most 64).
    """
    digest = hashlib.sha256(f"{session_id}|{intent}".encode()).digest()
    return "gk" + base64.b32encode(digest).decode("ascii")[: CLIENT_ORDER_ID_CHARS - 2].lower()
