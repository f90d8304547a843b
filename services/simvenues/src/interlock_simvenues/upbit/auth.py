"""Upbit's JWT: HS256/384/512 over claims that carry a hash of the query or body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from interlock_simvenues.upbit.errors import UpbitError

MAX_NONCES = 100_000
_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_PARTS = 3


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair of the account; a key that may not trade may still read."""

    access: str
    secret: str
    may_trade: bool


class Nonces:
    """Remembers the nonces of each key; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def use(self, access: str, nonce: str) -> None:
        """Record a nonce; raise UpbitError where it was used before."""
        if (access, nonce) in self._seen:
            raise UpbitError(401, "nonce_used", "This nonce has already been used.")
        self._seen[access, nonce] = None
        if len(self._seen) > MAX_NONCES:
            self._seen.popitem(last=False)


class Authenticator:
    """Checks tokens against the account's keys."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self.keys = {key.access: key for key in keys}
        self._nonces = Nonces()

    def rest(self, header: str | None, query: str) -> Key:
        """Return the key of a REST request whose query (or body as a query) is given, or raise."""
        key, claims = self._verify(header)
        expected = hashlib.sha512(query.encode()).hexdigest() if query else ""
        given = str(claims.get("query_hash", ""))
        algorithm = claims.get("query_hash_alg", "SHA512")
        if given != expected or (query and algorithm != "SHA512"):
            raise UpbitError(401, "invalid_query_payload", "Failed to verify the query of Jwt.")
        self._nonces.use(key.access, str(claims.get("nonce", "")))
        return key

    def websocket(self, header: str | None) -> Key:
        """Return the key of a WebSocket upgrade, or raise; clients reuse its token to reconnect."""
        key, _ = self._verify(header)
        return key

    def _verify(self, header: str | None) -> tuple[Key, dict[str, Any]]:
        if not header or not header.startswith("Bearer "):
            raise UpbitError(401, "no_authorization_token", "An authorization token is required.")
        signed, claims, algorithm, signature = _split(header.removeprefix("Bearer ").strip())
        key = self.keys.get(str(claims.get("access_key", "")))
        if key is None:
            raise UpbitError(401, "invalid_access_key", "Invalid access key.")
        digest = hmac.new(key.secret.encode(), signed, _HASHES[algorithm]).digest()
        if not hmac.compare_digest(digest, signature):
            raise _unverified()
        if not claims.get("nonce"):
            raise _unverified()
        return key, claims


def query_of_url(raw_query: str) -> str:
    """Return the text that a GET or DELETE request's query_hash covers."""
    return unquote(raw_query)


def query_of_body(body: dict[str, Any]) -> str:
    """Return the text that a POST request's query_hash covers: the body's pairs, in order."""
    pairs: list[str] = []
    for key, value in body.items():
        if isinstance(value, list):
            pairs += [f"{key}[]={_scalar(item)}" for item in value]
        else:
            pairs.append(f"{key}={_scalar(value)}")
    return "&".join(pairs)


def _scalar(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _split(token: str) -> tuple[bytes, dict[str, Any], str, bytes]:
    parts = token.split(".")
    if len(parts) != _PARTS:
        raise _unverified()
    try:
        header = json.loads(_decode(parts[0]))
        claims = json.loads(_decode(parts[1]))
        signature = _decode(parts[2])
    except (ValueError, binascii.Error) as error:
        raise _unverified() from error
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise _unverified()
    algorithm = str(header.get("alg"))
    if algorithm not in _HASHES:
        raise _unverified()
    return f"{parts[0]}.{parts[1]}".encode(), claims, algorithm, signature


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _unverified() -> UpbitError:
    return UpbitError(401, "jwt_verification", "Failed to verify Jwt token.")
