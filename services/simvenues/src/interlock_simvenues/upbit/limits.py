"""Upbit's request limits: calls a second by group, 429 beyond, 418 for who goes on."""

from __future__ import annotations

from dataclasses import dataclass

from interlock_simvenues.counting import Count, Window
from interlock_simvenues.units import NS_PER_S
from interlock_simvenues.upbit.errors import UpbitError

# Calls per second; `order-cancel-all` is one in two seconds.
PER_SECOND = {
    "market": 10,
    "candles": 10,
    "crix-trades": 10,
    "ticker": 10,
    "orderbook": 10,
    "default": 30,
    "order": 12,
    "order-test": 8,
}
CANCEL_ALL = "order-cancel-all"
# Refusals in a minute after which the caller is banned, and the first ban in seconds.
REFUSALS_BEFORE_BAN = 100
FIRST_BAN_S = 10


@dataclass(slots=True)
class _Ban:
    until_ns: int
    length_s: int


class Limiter:
    """Counts calls per caller and group."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._windows = {name: Window(limit, NS_PER_S) for name, limit in PER_SECOND.items()}
        self._windows[CANCEL_ALL] = Window(1, 2 * NS_PER_S)
        self._refusals = Window(REFUSALS_BEFORE_BAN, 60 * NS_PER_S)
        self._bans: dict[str, _Ban] = {}

    def use(self, group: str, caller: str, now_ns: int) -> tuple[Count, UpbitError | None]:
        """Count a call; return where the caller stands and the refusal, if any."""
        count = self._windows[group].add(caller, 1, now_ns)
        if not self._enabled:
            return count, None
        ban = self._bans.get(caller)
        if ban is not None and now_ns < ban.until_ns:
            left_s = -((now_ns - ban.until_ns) // NS_PER_S)
            message = f"Too many requests; blocked for {left_s} seconds."
            return count, UpbitError(418, "too_many_requests", message)
        if not count.over:
            return count, None
        if self._refusals.add(caller, 1, now_ns).over:
            length_s = 2 * ban.length_s if ban is not None else FIRST_BAN_S
            self._bans[caller] = _Ban(now_ns + length_s * NS_PER_S, length_s)
        return count, UpbitError(429, "too_many_requests", "Too many API requests.")


def header(group: str, count: Count) -> str:
    """Return the value of the Remaining-Req header."""
    return f"group={group}; min={count.limit * 60}; sec={count.left}"
