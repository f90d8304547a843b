"""Slow account updates: the accounts and open orders of a venue as they were some time ago."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Generic, Protocol, Self, TypeVar

from interlock_core.instrument import Venue
from interlock_simvenues.faults.faults import Faults
from interlock_simvenues.faults.kinds import MAX_MS, FaultKind
from interlock_simvenues.matching.exchange import Exchange
from interlock_simvenues.matching.orders import Order
from interlock_simvenues.units import NS_PER_MS


class Account(Protocol):
    """A ledger or futures account that can be kept."""

    def frozen(self) -> Self:
        """Return a copy that later changes do not reach."""
        ...


A = TypeVar("A", bound=Account)


@dataclass(frozen=True, slots=True)
class _Moment(Generic[A]):
    time_ns: int
    account: A
    open_orders: list[Order]


class Past(Generic[A]):
    """Keeps what a slow_account rule may ask for, and nothing while there is no such rule."""

    def __init__(self, faults: Faults, venue: Venue, account: A, exchange: Exchange) -> None:
        self._faults = faults
        self._venue = venue
        self._account = account
        self._exchange = exchange
        self._moments: deque[_Moment[A]] = deque()

    def step(self, now_ns: int) -> None:
        """Keep this moment where a rule holds, and forget what no rule can reach."""
        if self._slow_ms(now_ns) is None:
            self._moments.clear()
            return
        self._keep(now_ns)
        while self._moments[0].time_ns < now_ns - (MAX_MS + 1_000) * NS_PER_MS:
            self._moments.popleft()

    def account(self, now_ns: int) -> A:
        """Return the account as it is shown now."""
        moment = self._shown(now_ns)
        return self._account if moment is None else moment.account

    def open_orders(self, symbol: str | None, now_ns: int) -> list[Order]:
        """Return the open orders as they are shown now, of one symbol or of all."""
        moment = self._shown(now_ns)
        if moment is None:
            return self._exchange.open_orders(symbol)
        return [o for o in moment.open_orders if symbol is None or o.new.symbol == symbol]

    def _shown(self, now_ns: int) -> _Moment[A] | None:
        slow_ms = self._slow_ms(now_ns)
        if slow_ms is None:
            return None
        if not self._moments:
            self._keep(now_ns)
        asked_ns = now_ns - slow_ms * NS_PER_MS
        before = [moment for moment in self._moments if moment.time_ns <= asked_ns]
        return before[-1] if before else self._moments[0]

    def _keep(self, now_ns: int) -> None:
        orders = [replace(o, fills=list(o.fills)) for o in self._exchange.open_orders()]
        self._moments.append(_Moment(now_ns, self._account.frozen(), orders))

    def _slow_ms(self, now_ns: int) -> int | None:
        rule = self._faults.standing(FaultKind.SLOW_ACCOUNT, self._venue, "", now_ns)
        return None if rule is None else rule.ms
