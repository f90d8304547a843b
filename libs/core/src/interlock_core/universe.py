"""The universe of a session: how many assets, and which."""

from __future__ import annotations

UNIVERSE_SIZES = {"top10": 10, "top20": 20, "top50": 50}
