"""The digest by which engine and gatekeeper know that they were configured alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

# Every service of a stack is given these alike; a difference is a deployment error.
SHARED_SETTINGS = ("arbitrage_env", "venues", "binance_market", "universe", "stage")


def config_sha256(values: Mapping[str, object]) -> str:
    """Return the hex SHA-256 of the shared settings in `values` (lower-case names)."""
    shared = {name: str(values[name]) for name in SHARED_SETTINGS}
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()
