"""Good examples to begin from: a mutation of them goes deeper than noise."""

import json

from tests.unit.core.test_attestation import GOOD
from tests.unit.core.test_strict import INTENT

from interlock_core.wire import strict
from interlock_core.wire.attestation import seal
from interlock_gatekeeper.journal import GENESIS, chain

ORDER = {"orderId": 7, "executedQty": "1", "status": "FILLED", "uuid": "u", "state": "done"}
TRADE = {"orderId": 7, "qty": "1", "price": "2", "commission": "0.1", "commissionAsset": "USDT"}
LINE = {"seq": 1, "prev": GENESIS, "type": "KILL", "data": {"cause": "x"}}
SEEDS = {
    "intent": (strict.encode(INTENT),),
    "arm_at": (b"1700000000", b"2023-11-14T22:13:20.5+09:00", b"2023-11-14T22:13:20Z"),
    "journal_line": (json.dumps({**LINE, "h": chain("1" * 64, LINE)}).encode() + b"\n", b"1\n"),
    "venue_answer": (
        json.dumps({**ORDER, "trades": [{"price": "1", "volume": "1", "funds": "1"}]}).encode(),
        json.dumps([TRADE]).encode(),
        b'{"code":-2019,"msg":"x"}',
        b'{"error":{"name":"order_not_found","message":"x"}}',
    ),
    "attestation": (seal(GOOD, b"j" * 32),),
}
