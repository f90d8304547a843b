"""Three adapters on made-up keys, an order for each, and answers as venues give them."""

import json
from decimal import Decimal

from interlock_core.instrument import Side
from interlock_core.wire.gate import OrderIntent, Purpose
from interlock_gatekeeper.state import OpenOrder
from interlock_gatekeeper.transport import Answer
from interlock_gatekeeper.vault import KeyPair
from interlock_gatekeeper.venues.binance import PERP as PERP_MARKET
from interlock_gatekeeper.venues.binance import SPOT as SPOT_MARKET
from interlock_gatekeeper.venues.binance import Binance
from interlock_gatekeeper.venues.upbit import Upbit

KEYS = KeyPair("key-0123456789abcdef", "secret-0123456789abcdef")
OWN = "gkabcdefgh"


def adapters(keys=KEYS):
    """Return new adapters: Upbit, spot, perpetual."""
    return (
        Upbit("http://127.0.0.1:1/upbit", keys),
        Binance(SPOT_MARKET, "http://127.0.0.1:1", keys),
        Binance(PERP_MARKET, "http://127.0.0.1:1", keys),
    )


UPBIT, SPOT, PERP = adapters()
INSTRUMENT = {UPBIT: "UPBIT:KRW-BTC", SPOT: "BINANCE:BTCUSDT", PERP: "BINANCE_PERP:BTCUSDT"}


def order(instrument, *, reducing=False, client_order_id=OWN, **changes):
    fields = {
        "schema": 1,
        "intent_id": "intent-0001",
        "group_id": "group-0001",
        "leg": "a",
        "purpose": Purpose.ENTRY,
        "instrument": instrument,
        "side": Side.BUY,
        "type": "limit",
        "time_in_force": "ioc",
        "quantity": Decimal("0.0010"),
        "price": Decimal(14000000),
        "quoted_price": Decimal(1),
        "edge_bps": Decimal(1),
        "created_boot_ns": 1,
        "epoch": 1,
        **changes,
    }
    intent = OrderIntent(**fields)
    return OpenOrder(client_order_id, "session-1", intent, "0", Decimal(1), reducing, unknown=False)


def answer(status, body=b"", **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, data, {name.replace("_", "-"): value for name, value in headers.items()})


def upbit_error(name, message="why"):
    return {"error": {"name": name, "message": message}}
