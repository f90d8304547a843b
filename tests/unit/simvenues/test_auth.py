"""Signatures: the documents' vectors, and every way to get one wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid

import pytest

from interlock_core.clock import ManualClock
from interlock_simvenues.binance import auth as binance
from interlock_simvenues.binance.errors import BinanceError
from interlock_simvenues.upbit import auth as upbit
from interlock_simvenues.upbit.errors import UpbitError

KEY = upbit.Key("access-key", "secret-key", may_trade=True)
B_KEY = binance.Key("binance-key-0123", "binance-secret", may_trade=True)
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _token(query: str = "", *, secret: str = KEY.secret, alg: str = "HS256", **claims: str) -> str:
    payload = {"access_key": KEY.access, "nonce": str(uuid.uuid4())}
    if query:
        payload["query_hash"] = hashlib.sha512(query.encode()).hexdigest()
        payload["query_hash_alg"] = "SHA512"
    payload.update(claims)
    signed = f"{_part({'alg': alg, 'typ': 'JWT'})}.{_part(payload)}"
    digest = hmac.new(secret.encode(), signed.encode(), HASHES.get(alg, hashlib.sha256)).digest()
    return f"Bearer {signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_upbit_accepts_every_documented_algorithm(alg: str) -> None:
    """With and without a query."""
    auth = upbit.Authenticator((KEY,))
    assert auth.rest(_token(alg=alg), "") is KEY
    assert auth.rest(_token("market=KRW-BTC", alg=alg), "market=KRW-BTC") is KEY


@pytest.mark.parametrize(
    ("header", "query", "name"),
    [
        (None, "", "no_authorization_token"),
        ("Basic abc", "", "no_authorization_token"),
        ("Bearer a.b", "", "jwt_verification"),
        ("Bearer !.!.!", "", "jwt_verification"),
        (_token(secret="other"), "", "jwt_verification"),
        (_token(alg="none"), "", "jwt_verification"),
        (_token(nonce=""), "", "jwt_verification"),
        (_token(access_key="nobody"), "", "invalid_access_key"),
        (_token("a=1"), "a=2", "invalid_query_payload"),
        (_token(), "a=2", "invalid_query_payload"),
        (_token("a=1"), "", "invalid_query_payload"),
    ],
)
def test_upbit_names_what_is_wrong(header: str | None, query: str, name: str) -> None:
    """Status 401 and the documented name."""
    with pytest.raises(UpbitError) as caught:
        upbit.Authenticator((KEY,)).rest(header, query)
    assert (caught.value.status, caught.value.name) == (401, name)


def test_upbit_refuses_a_nonce_twice_but_not_on_a_reconnect() -> None:
    """REST nonces are single use; a WebSocket client reuses its token."""
    auth = upbit.Authenticator((KEY,))
    token = _token()
    auth.rest(token, "")
    with pytest.raises(UpbitError, match="nonce_used"):
        auth.rest(token, "")
    assert auth.websocket(token) is KEY
    assert auth.websocket(token) is KEY


def test_upbit_hashes_the_query_unencoded_and_the_body_in_order() -> None:
    """Brackets and commas as they read; body pairs as they stand."""
    assert upbit.query_of_url("states%5B%5D=wait&states%5B%5D=watch") == (
        "states[]=wait&states[]=watch"
    )
    assert upbit.query_of_body({"b": "1", "a": "x", "c": ["p", "q"]}) == "b=1&a=x&c[]=p&c[]=q"


def test_binance_documented_vector() -> None:
    """The USD-M documents' example."""
    secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
    text = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
        "&recvWindow=5000&timestamp=1591702613943"
    )
    expected = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    assert binance.signature(secret, text) == expected


def _signed(query: str, body: str = "") -> dict[str, str]:
    params = dict(pair.split("=") for pair in f"{query}&{body}".split("&") if pair)
    params["signature"] = binance.signature(B_KEY.secret, query + body)
    return params


def _check(query: str, *, body: str = "", tamper: str | None = None) -> None:
    auth = binance.Authenticator((B_KEY,), ManualClock())
    params = _signed(query, body)
    if tamper is not None:
        params["signature"] = tamper
    sign = f"&signature={params['signature']}"
    auth.signed(B_KEY, params, query if body else query + sign, body + sign if body else "")


NOW_MS = ManualClock().wall_ns() // 1_000_000


def test_binance_accepts_signatures_over_query_and_body() -> None:
    """Query alone, body alone, both."""
    _check(f"symbol=BTCUSDT&timestamp={NOW_MS}")
    _check("", body=f"symbol=BTCUSDT&timestamp={NOW_MS}")
    _check("symbol=BTCUSDT", body=f"side=BUY&timestamp={NOW_MS}")
    _check(f"timestamp={NOW_MS - 59_000}&recvWindow=60000")


@pytest.mark.parametrize(
    ("query", "tamper", "code"),
    [
        ("a=1", None, -1102),
        (f"timestamp={NOW_MS - 5_001}", None, -1021),
        (f"timestamp={NOW_MS + 1_000}", None, -1021),
        (f"timestamp={NOW_MS}&recvWindow=60001", None, -1131),
        (f"timestamp={NOW_MS}&recvWindow=x", None, -1100),
        ("timestamp=abc", None, -1100),
        (f"timestamp={NOW_MS}", "0" * 64, -1022),
        (f"timestamp={NOW_MS}", "", -1102),
    ],
)
def test_binance_numbers_what_is_wrong(query: str, tamper: str | None, code: int) -> None:
    """Status 400 and the documented code."""
    with pytest.raises(BinanceError) as caught:
        _check(query, tamper=tamper)
    assert (caught.value.status, caught.value.code) == (400, code)


@pytest.mark.parametrize(
    ("header", "code"), [(None, -2014), ("short", -2014), ("unknown-key-0123", -2015)]
)
def test_binance_refuses_keys_it_does_not_know(header: str | None, code: int) -> None:
    """Malformed and unknown keys differ."""
    with pytest.raises(BinanceError) as caught:
        binance.Authenticator((B_KEY,), ManualClock()).key(header)
    assert (caught.value.status, caught.value.code) == (401, code)
