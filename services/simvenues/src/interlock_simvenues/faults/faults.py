"""The loaded rules, and the only place that decides whether a fault happens: pure and seeded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from interlock_core.clock import rfc3339
from interlock_core.instrument import Venue
from interlock_simvenues.faults.kinds import CALL_KINDS, SHAPES, FaultKind, Operation
from interlock_simvenues.faults.rule import Rule, RuleError
from interlock_simvenues.units import NS_PER_S

LOG_KEPT = 2_000
MAX_RULES = 200


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault that happened."""

    time_ns: int
    rule: Rule
    venue: Venue
    operation: Operation
    symbol: str
    client_id: str

    def row(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        return {
            "time": rfc3339(self.time_ns),
            "time_ns": self.time_ns,
            "rule": self.rule.id,
            "kind": self.rule.kind,
            "venue": self.venue.lower(),
            "operation": self.operation,
            "symbol": self.symbol,
            "client_id": self.client_id,
            "executed": self.rule.executed,
        }


class _Loaded:
    """A rule with what has become of it; its draws depend on seed, id and venue alone."""

    __slots__ = ("_randoms", "hits", "loaded_ns", "matches", "rule")

    def __init__(self, rule: Rule, seed: int, now_ns: int) -> None:
        self.rule = rule
        self.loaded_ns = now_ns
        self.matches = 0
        self.hits = 0
        self._randoms = {venue: Random(f"{seed}/{rule.id}/{venue}") for venue in Venue}

    def holds(self, now_ns: int) -> bool:
        return self.rule.holds((now_ns - self.loaded_ns) / NS_PER_S)

    def match(self, venue: Venue) -> Rule | None:
        """Count a match and draw once; return the rule with its choices made, if it fires."""
        self.matches += 1
        rule, drawn = self.rule, self._randoms[venue].random()
        spent = rule.count is not None and self.hits >= rule.count
        if self.matches <= rule.after or spent or drawn >= rule.probability:
            return None
        if rule.kind is FaultKind.UNKNOWN_STATUS and rule.executed is None:
            # Below the probability the draw is still even: its half is a fair coin.
            return replace(rule, executed=drawn < rule.probability / 2)
        return rule


class Faults:
    """Holds rules in their order. The first that matches and fires wins.

    Every rule that matches counts the match and draws, whether or not an earlier one won, so that
    no rule changes another's draws.
    """

    def __init__(self, *, seed: int) -> None:
        self.seed = seed
        self.kinds: frozenset[FaultKind] = frozenset()
        self.log: deque[Injected] = deque(maxlen=LOG_KEPT)
        self.observers: list[Callable[[Injected], None]] = []
        self.loading: list[Callable[[int], None]] = []
        self._loaded: dict[str, _Loaded] = {}

    def add(self, rules: Iterable[Rule], now_ns: int) -> list[str]:
        """Append rules, all or none; return their ids. Raise RuleError for an id that is taken."""
        named = list(rules)
        taken = set(self._loaded) | {rule.id for rule in named if rule.id}
        new: dict[str, Rule] = {}
        problems = []
        for rule in named:
            own = rule.id or _free_id(rule, taken)
            taken.add(own)
            if own in self._loaded or own in new:
                problems.append(f"rule.id: expected a new id, was {own!r}")
            new[own] = replace(rule, id=own)
        if len(self._loaded) + len(named) > MAX_RULES:
            problems.append(f"rules: expected at most {MAX_RULES} in all")
        if problems:
            raise RuleError(problems)
        self._loaded |= {own: _Loaded(rule, self.seed, now_ns) for own, rule in new.items()}
        self._changed()
        for prepare in self.loading:
            prepare(now_ns)
        return list(new)

    def remove(self, rule_id: str) -> bool:
        """Forget a rule; say whether it was there."""
        found = self._loaded.pop(rule_id, None)
        self._changed()
        return found is not None

    def clear(self) -> int:
        """Forget every rule and the log; return how many rules there were."""
        count = len(self._loaded)
        self._loaded.clear()
        self.log.clear()
        self._changed()
        return count

    def decide(
        self,
        venue: Venue,
        operation: Operation,
        symbol: str,
        now_ns: int,
        *,
        kinds: AbstractSet[FaultKind] = CALL_KINDS,
        client_id: str = "",
    ) -> Rule | None:
        """Return the first rule of these kinds that fires here, and record it."""
        if self.kinds.isdisjoint(kinds):
            return None
        chosen: tuple[_Loaded, Rule] | None = None
        for loaded in self._loaded.values():
            rule = loaded.rule
            if rule.kind not in kinds or not rule.concerns(venue, operation, symbol):
                continue
            fired = loaded.match(venue) if loaded.holds(now_ns) else None
            if fired is not None and chosen is None:
                chosen = loaded, fired
        if chosen is None:
            return None
        chosen[0].hits += 1
        self._record(Injected(now_ns, chosen[1], venue, operation, symbol, client_id))
        return chosen[1]

    def standing(self, kind: FaultKind, venue: Venue, symbol: str, now_ns: int) -> Rule | None:
        """Return the first rule of a lasting kind that holds now; its first showing is logged."""
        if kind not in self.kinds:
            return None
        (operation,) = SHAPES[kind].natural
        for loaded in self._loaded.values():
            rule = loaded.rule
            about = rule.kind is kind and rule.concerns(venue, operation, symbol)
            if about and loaded.holds(now_ns):
                if not loaded.hits:
                    loaded.hits = 1
                    self._record(Injected(now_ns, rule, venue, operation, symbol, ""))
                return rule
        return None

    def in_force(self, rule_id: str, now_ns: int) -> bool:
        """Say whether a rule is still loaded and inside its time window."""
        loaded = self._loaded.get(rule_id)
        return loaded is not None and loaded.holds(now_ns)

    def rows(self) -> list[dict[str, Any]]:
        """Return every rule with its matches and hits, as JSON shows it."""
        return [
            {**item.rule.row(), "matches": item.matches, "hits": item.hits}
            for item in self._loaded.values()
        ]

    def _changed(self) -> None:
        self.kinds = frozenset(item.rule.kind for item in self._loaded.values())

    def _record(self, injected: Injected) -> None:
        self.log.append(injected)
        for observe in self.observers:
            observe(injected)


def _free_id(rule: Rule, taken: AbstractSet[str]) -> str:
    """Return an id that rules of other kinds and venues have no part in."""
    stem = f"{rule.kind}-{(rule.venue or 'all').lower()}"
    number = 1
    while (name := f"{stem}-{number}") in taken:
        number += 1
    return name
