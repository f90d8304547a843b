"""The preflight's word that all seven checks passed, under a key it shares with the gatekeeper.

Sealed bytes are canonical JSON with a `mac` field; one changed byte, and they are nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from interlock_core.clock import NS_PER_S
from interlock_core.common_settings import UNKNOWN_COMMIT
from interlock_core.wire import strict
from interlock_core.wire.strict import SchemaError

SCHEMA = 1
CHECKS = ("environment", "secrets", "live safety", "stores", "venues", "exposure", "git")
MAX_AGE_NS = 600 * NS_PER_S
MAX_AHEAD_NS = 2 * NS_PER_S
MIN_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Attestation:
    """What one preflight run found good, for which configuration and code, and when it began."""

    schema: int
    at_wall_ns: int
    config_sha256: str
    commit: str
    passed: tuple[str, ...]
    report_id: str

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema: expected {SCHEMA}, was {self.schema}")


def key_in(raw: bytes) -> bytes:
    """Return the key in a key file's bytes, or raise ValueError where it is too short."""
    key = raw.strip()
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"expected a key of at least {MIN_KEY_BYTES} bytes, was {len(key)}")
    return key


def seal(attestation: Attestation, key: bytes) -> bytes:
    """Return the attestation as canonical JSON with its MAC."""
    plain = strict.plain(attestation)
    return strict.canonical({**plain, "mac": _mac(plain, key)})


def open_sealed(raw: bytes, key: bytes) -> Attestation:
    """Return the attestation in raw, or raise SchemaError; nothing is read before the MAC fits."""
    value = strict.loads(raw)
    if not isinstance(value, dict) or strict.canonical(value) != raw:
        raise SchemaError("expected one canonical JSON object")
    claimed = value.pop("mac", None)
    if not isinstance(claimed, str):
        raise SchemaError("mac: expected a string")
    if not hmac.compare_digest(claimed.encode(), _mac(value, key).encode()):
        raise SchemaError("mac: does not match")
    return strict.from_value(Attestation, value, "attestation")


def problem(
    attestation: Attestation, *, now_wall_ns: int, config_sha256: str, commit: str
) -> str | None:
    """Return why an attestation does not hold here and now, or None."""
    age_ns = now_wall_ns - attestation.at_wall_ns
    if age_ns < -MAX_AHEAD_NS:
        return f"made {-age_ns // NS_PER_S} s in the future: compare the clocks"
    if age_ns > MAX_AGE_NS:
        return f"{age_ns // NS_PER_S} s old, at most {MAX_AGE_NS // NS_PER_S}: run it again"
    if attestation.config_sha256 != config_sha256:
        return "made for another configuration"
    if commit == UNKNOWN_COMMIT:
        return "nobody knows which commit this is: set INTERLOCK_COMMIT"
    if attestation.commit != commit:
        return f"made for commit {attestation.commit[:12]}, this is {commit[:12]}"
    if sorted(attestation.passed) != sorted(CHECKS):
        return "not all seven checks passed"
    return None


def _mac(plain: dict[str, object], key: bytes) -> str:
    return hmac.new(key, strict.canonical(plain), hashlib.sha256).hexdigest()
