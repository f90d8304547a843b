"""Our signed bytes against ccxt's own, and against the venues' documents by hand."""

import base64
import hashlib
import hmac
import json
import random
from decimal import Decimal
from urllib.parse import parse_qsl, quote, unquote

import ccxt
import pytest
from tests.unit.gatekeeper.venues.conftest import INSTRUMENT, PERP, SPOT, UPBIT, adapters, order

from interlock_core.instrument import Side
from interlock_core.money import to_wire
from interlock_gatekeeper.vault import KeyPair

KEY_PAIRS, ORDERS_A_PAIR = 10, 50
NOW_MS = 1_790_000_000_000
NONCE = "00000000-0000-4000-8000-000000000000"
# Published with Binance's API documents; the keys were never an account's.
GOLDEN = [
    (
        "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
        (
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
            "&recvWindow=5000&timestamp=1499827319559"
        ),
        "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
    ),
    (
        "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
        (
            "symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY&type=LIMIT"
            "&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
        ),
        "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
    ),
    (
        "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",
        (
            "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
            "&recvWindow=5000&timestamp=1591702613943"
        ),
        "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
    ),
]


def mac(secret, text, digest=hashlib.sha256):
    return hmac.new(secret.encode(), text.encode(), digest)


def frozen(client):
    """Stop an exchange's clock and nonce."""
    client.milliseconds = lambda: NOW_MS
    client.uuid = lambda: NONCE
    return client


def keys(rng):
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return KeyPair("".join(rng.choices(letters, k=64)), "".join(rng.choices(letters, k=64)))


def amount(rng):
    return Decimal(rng.randint(1, 10 ** rng.randint(1, 12))).scaleb(-rng.randint(0, 8))


def random_order(rng, venue):
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/"
    return order(
        INSTRUMENT[venue].replace("BTC", rng.choice(["BTC", "ETH", "1INCH", "币安人生"])),
        client_order_id="".join(rng.choices(alphabet, k=rng.randint(8, 36))),
        reducing=rng.random() < 0.5,
        side=rng.choice(list(Side)),
        time_in_force=rng.choice(["ioc", "fok"]),
        quantity=amount(rng),
        price=amount(rng),
    )


def expected_fields(venue, wanted):
    """Return an order's parameters as the documents name them, in the order we send them."""
    intent, symbol = wanted.intent, wanted.intent.instrument.partition(":")[2]
    if venue is UPBIT:
        return {
            "market": symbol,
            "side": {"buy": "bid", "sell": "ask"}[intent.side],
            "ord_type": "limit",
            "time_in_force": intent.time_in_force,
            "volume": to_wire(intent.quantity),
            "price": to_wire(intent.price),
            "identifier": wanted.client_order_id,
            "smp_type": "cancel_taker",
        }
    fields = {
        "symbol": symbol,
        "side": intent.side.upper(),
        "type": "LIMIT",
        "timeInForce": intent.time_in_force.upper(),
        "quantity": to_wire(intent.quantity),
        "price": to_wire(intent.price),
        "newClientOrderId": wanted.client_order_id,
        "newOrderRespType": "FULL" if venue is SPOT else "RESULT",
        "selfTradePreventionMode": "EXPIRE_TAKER",
    }
    if venue is PERP and wanted.reducing:
        fields["reduceOnly"] = "true"
    return fields


def encoded(fields):
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def check_token(request, pair, text):
    """Verify an Upbit token by hand: header, claims, hash of the text, signature."""
    token = dict(request.headers)["Authorization"].removeprefix("Bearer ")
    head, claims, signature = token.split(".")
    digests = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}
    digest = digests[json.loads(decoded(head))["alg"]]
    assert decoded(signature) == mac(pair.secret, f"{head}.{claims}", digest).digest()
    expected = {"access_key": pair.key, "nonce": NONCE}
    if text:
        expected["query_hash"] = hashlib.sha512(text.encode()).hexdigest()
        expected["query_hash_alg"] = "SHA512"
    assert json.loads(decoded(claims)) == expected


def check_hmac(request, pair, fields):
    """Verify a Binance signature by hand: parameters in sequence, encoding, secret, key."""
    text = request.body.decode() if request.method == "POST" else request.target.partition("?")[2]
    payload = encoded({"timestamp": str(NOW_MS), **fields, "recvWindow": "2000"})
    assert text == f"{payload}&signature={mac(pair.secret, payload).hexdigest()}"
    assert dict(request.headers)["X-MBX-APIKEY"] == pair.key


def same_as(signed, request):
    """Compare a request with what ccxt signed, byte for byte."""
    assert f"http://venue{request.target}" == signed["url"]
    assert request.body == (signed["body"] or "").encode()
    assert dict(request.headers) == signed["headers"]
    assert request.method == signed["method"]


@pytest.mark.parametrize(("secret", "payload", "signature"), GOLDEN)
def test_the_published_examples_come_out(secret, payload, signature):
    """Our own check and ccxt's primitive both give the documents' signature."""
    assert mac(secret, payload).hexdigest() == signature
    assert ccxt.Exchange.hmac(payload.encode(), secret.encode(), hashlib.sha256) == signature


@pytest.mark.parametrize(
    ("index", "api", "prefix"), [(1, "private", "/api/v3"), (2, "fapiPrivate", "/fapi/v1")]
)
def test_binance_requests_are_what_ccxt_and_the_documents_sign(index, api, prefix):
    """500 seeded orders, each with query and cancel, byte for byte under ten key pairs."""
    rng, venue = random.Random(20261123), (UPBIT, SPOT, PERP)[index]
    for _ in range(KEY_PAIRS):
        pair = keys(rng)
        ours = adapters(pair)[index]
        frozen(ours._ccxt)
        config = {"apiKey": pair.key, "secret": pair.secret, "options": {"recvWindow": 2_000}}
        theirs = ccxt.binance({**config, "urls": {"api": {api: f"http://venue{prefix}"}}})
        frozen(theirs)
        for _ in range(ORDERS_A_PAIR):
            wanted = random_order(rng, venue)
            fields = expected_fields(venue, wanted)
            named = {"symbol": fields["symbol"], "origClientOrderId": wanted.client_order_id}
            for request, method, sent in (
                (ours.order_request(wanted), "POST", fields),
                (ours.query_request(wanted), "GET", named),
                (ours.cancel_request(wanted), "DELETE", named),
            ):
                check_hmac(request, pair, sent)
                same_as(theirs.sign("order", [api], method, dict(sent)), request)


def test_upbit_requests_are_what_ccxt_and_the_documents_sign():
    """500 seeded orders, each with query and cancel, byte for byte under ten key pairs."""
    rng = random.Random(20261123)
    for _ in range(KEY_PAIRS):
        pair = keys(rng)
        ours = adapters(pair)[0]
        frozen(ours._ccxt)
        urls = {"api": {"private": "http://venue/upbit"}}
        theirs = ccxt.upbit({"apiKey": pair.key, "secret": pair.secret, "urls": urls})
        frozen(theirs)
        for _ in range(ORDERS_A_PAIR):
            wanted = random_order(rng, UPBIT)
            named = {"identifier": wanted.client_order_id}
            for request, path, method, sent in (
                (ours.order_request(wanted), "orders", "POST", expected_fields(UPBIT, wanted)),
                (ours.query_request(wanted), "order", "GET", named),
                (ours.cancel_request(wanted), "order", "DELETE", named),
            ):
                text = "&".join(f"{name}={value}" for name, value in sent.items())
                check_token(request, pair, text)
                same_as(theirs.sign(path, ["private"], method, dict(sent)), request)
                if method == "POST":
                    assert list(json.loads(request.body).items()) == list(sent.items())
                else:
                    assert unquote(request.target.partition("?")[2]) == text


def test_every_other_request_is_signed_too():
    """Account requests carry a valid signature over exactly what they ask."""
    rng = random.Random(7)
    pair = keys(rng)
    upbit, spot, perp = adapters(pair)
    for venue in (upbit, spot, perp):
        frozen(venue._ccxt)
        for request in (
            *venue.cancel_all_requests([INSTRUMENT[SPOT], INSTRUMENT[PERP]]),
            *venue.open_orders_requests(),
            *venue.holdings_requests(),
            *venue.account_mode_requests(),
            *venue.key_scopes_requests(),
        ):
            query = request.target.partition("?")[2]
            if venue is upbit:
                check_token(request, pair, unquote(query))
                continue
            signing = ("timestamp", "recvWindow", "signature")
            sent = {name: value for name, value in parse_qsl(query) if name not in signing}
            check_hmac(request, pair, sent)
