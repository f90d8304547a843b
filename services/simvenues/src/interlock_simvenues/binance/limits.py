"""Binance's limits: request weight by address, orders by account, and the headers that say so."""

from __future__ import annotations

from dataclasses import dataclass

from interlock_simvenues.binance.errors import BinanceError
from interlock_simvenues.counting import Window
from interlock_simvenues.units import NS_PER_S

REFUSALS_BEFORE_BAN = 100
FIRST_BAN_S = 120
WEIGHT, ORDERS = -1003, -1015


@dataclass(frozen=True, slots=True)
class Limits:
    """What one market allows; order limits are (name in the header, most, seconds)."""

    weight: int
    orders: tuple[tuple[str, int, int], ...]


SPOT = Limits(6_000, (("10S", 100, 10), ("1D", 200_000, 86_400)))
PERP = Limits(2_400, (("10S", 300, 10), ("1M", 1_200, 60)))
_WORDS = {10: "10 SECOND", 60: "1 MINUTE", 86_400: "1 DAY"}


class Limiter:
    """Counts weight and orders of one market."""

    def __init__(self, limits: Limits, *, enabled: bool) -> None:
        self._limits = limits
        self._enabled = enabled
        self._weight = Window(limits.weight, 60 * NS_PER_S)
        self._orders = [(name, Window(most, s * NS_PER_S), s) for name, most, s in limits.orders]
        self._refusals = Window(REFUSALS_BEFORE_BAN, 60 * NS_PER_S)
        self._banned_until_ns: dict[str, int] = {}

    def use(self, weight: int, caller: str, now_ns: int, headers: dict[str, str]) -> None:
        """Count a request's weight into the headers; raise beyond the limit."""
        count = self._weight.add(caller, weight, now_ns)
        headers["X-MBX-USED-WEIGHT"] = headers["X-MBX-USED-WEIGHT-1M"] = str(count.used)
        if not self._enabled:
            return
        until = self._banned_until_ns.get(caller, 0)
        if now_ns < until:
            headers["Retry-After"] = str(-((now_ns - until) // NS_PER_S))
            text = f"Way too much request weight used; IP banned until {until // 1_000_000}."
            raise BinanceError(418, -1003, text)
        if not count.over:
            return
        if self._refusals.add(caller, 1, now_ns).over:
            self._banned_until_ns[caller] = now_ns + FIRST_BAN_S * NS_PER_S
        headers["Retry-After"] = str(count.retry_after_s(now_ns))
        raise BinanceError(429, WEIGHT, self.refusal_text(WEIGHT))

    def order(self, account: str, now_ns: int, headers: dict[str, str]) -> None:
        """Count a new order into the headers; raise beyond the limit."""
        for name, window, seconds in self._orders:
            count = window.add(account, 1, now_ns)
            headers[f"X-MBX-ORDER-COUNT-{name}"] = str(count.used)
            if count.over and self._enabled:
                headers["Retry-After"] = str(count.retry_after_s(now_ns))
                raise BinanceError(429, ORDERS, _orders_text(count.limit, seconds))

    def refusal_text(self, code: int) -> str:
        """Return what a 429 with this code says: of the weight, or of the shortest order limit."""
        if code == ORDERS:
            _, most, seconds = self._limits.orders[0]
            return _orders_text(most, seconds)
        return (
            "Too much request weight used; current limit is "
            f"{self._limits.weight} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )

    def describe(self) -> list[dict[str, object]]:
        """Return the rateLimits rows of exchangeInfo."""
        units = {10: ("SECOND", 10), 60: ("MINUTE", 1), 86_400: ("DAY", 1)}
        rows: list[dict[str, object]] = [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": self._limits.weight,
            }
        ]
        for _, most, seconds in self._limits.orders:
            interval, number = units[seconds]
            rows.append(
                {
                    "rateLimitType": "ORDERS",
                    "interval": interval,
                    "intervalNum": number,
                    "limit": most,
                }
            )
        return rows


def _orders_text(most: int, seconds: int) -> str:
    return f"Too many new orders; current limit is {most} orders per {_WORDS[seconds]}."
