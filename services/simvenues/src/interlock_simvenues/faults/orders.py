"""Order faults: what happens to a valid order on its way to the book, in no venue's words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from interlock_core.instrument import Side, Venue
from interlock_simvenues.faults.faults import Faults
from interlock_simvenues.faults.kinds import REFUSING_KINDS, FaultKind, Operation
from interlock_simvenues.faults.rule import Rule
from interlock_simvenues.matching.exchange import Interference
from interlock_simvenues.matching.orders import ZERO, NewOrder, Reason, RefusedError, TimeInForce
from interlock_simvenues.matching.rules import MarketRules

_KINDS = REFUSING_KINDS | {FaultKind.SELF_TRADE}


class OrderFaults:
    """Asked by one venue's exchange about every valid order."""

    def __init__(self, faults: Faults, venue: Venue, rules: Mapping[str, MarketRules]) -> None:
        self._faults = faults
        self._venue = venue
        self._rules = rules

    def __call__(self, new: NewOrder, *, would_fill: bool, now_ns: int) -> Interference | None:
        """Return what happens to the order's fill, or raise RefusedError."""
        kinds = _KINDS if would_fill else REFUSING_KINDS
        if would_fill and new.time_in_force is TimeInForce.IOC:
            kinds |= {FaultKind.PARTIAL_FILL}
        rule = self._faults.decide(
            self._venue, Operation.ORDER, new.symbol, now_ns, kinds=kinds, client_id=new.client_id
        )
        if rule is None:
            return None
        if rule.kind is FaultKind.SELF_TRADE:
            return Interference(share=ZERO, prevented=True)
        if rule.kind is FaultKind.PARTIAL_FILL:
            return Interference(share=rule.fraction or ZERO)
        raise self._refusal(rule, new)

    def _refusal(self, rule: Rule, new: NewOrder) -> RefusedError:
        rules = self._rules[new.symbol]
        buying = new.side is Side.BUY
        if rule.kind is FaultKind.HALTED:
            return RefusedError(Reason.HALTED)
        if rule.kind is FaultKind.DELISTED:
            return RefusedError(Reason.UNKNOWN_MARKET, new.symbol)
        if rule.reason == "filter":
            return RefusedError(Reason.NOTIONAL_LOW, f"{rules.min_notional}")
        if rule.reason == "price_band":
            limit = new.price if new.price is not None else Decimal(0)
            reason = Reason.PRICE_RANGE_HIGH if buying else Reason.PRICE_RANGE_LOW
            return RefusedError(reason, f"{limit}")
        return RefusedError(Reason.FUNDS, rules.quote if buying else rules.base)
