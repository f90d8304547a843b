"""One fault rule, and its strict reading from plain JSON or TOML values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from interlock_core.instrument import Venue
from interlock_simvenues.faults.kinds import SHAPES, Choice, FaultKind, Number, Operation, Parameter

Row = Mapping[str, Any]
_VENUES = {venue.lower(): venue for venue in Venue}
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SYMBOL = re.compile(r"[A-Z0-9-]{1,32}")
_PROBABILITY = Number(0, 1, whole=False)
_COUNT = Number(1, 1_000_000)
_AFTER = Number(0, 1_000_000)
_SECONDS = Number(0, 1_000_000, whole=False)
_EVENT_FIELDS = ("probability", "count", "after")


class RuleError(ValueError):
    """A rule that cannot be used; `problems` name each field and what was expected."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a fault happens, and its parameters; None means any, always, or not of this kind.

    `after` is how many matches pass first, `count` how often the rule fires at most; `from_s` and
    `until_s` are seconds since the rule was loaded.
    """

    id: str
    kind: FaultKind
    venue: Venue | None = None
    operation: Operation | None = None
    symbol: str | None = None
    probability: float = 1.0
    count: int | None = None
    after: int = 0
    from_s: float = 0.0
    until_s: float | None = None
    ms: int | None = None
    fraction: Decimal | None = None
    code: int | None = None
    status: int | None = None
    retry_after_s: int | None = None
    reason: str | None = None
    executed: bool | None = None

    def concerns(self, venue: Venue, operation: Operation, symbol: str) -> bool:
        """Say whether the rule is about this venue, operation and symbol, whatever the time."""
        shape = SHAPES[self.kind]
        if self.venue is not venue and (self.venue is not None or venue not in shape.venues):
            return False
        if self.symbol is not None and self.symbol != symbol:
            return False
        return operation in shape.natural if self.operation is None else operation is self.operation

    def holds(self, age_s: float) -> bool:
        """Say whether the rule's time window covers this age."""
        return age_s >= self.from_s and (self.until_s is None or age_s < self.until_s)

    def row(self) -> dict[str, Any]:
        """Return the rule as JSON shows it, without what is None or not of its kind."""
        row: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if SHAPES[self.kind].lasting and field.name in _EVENT_FIELDS:
                continue
            if isinstance(value, Venue):
                row[field.name] = value.lower()
            elif value is not None:
                row[field.name] = float(value) if isinstance(value, Decimal) else value
        return row


def parse(raw: object, *, place: str = "rule") -> Rule:
    """Return the rule of a JSON object; an absent id is left empty. Raise RuleError with all."""
    if not isinstance(raw, Mapping):
        raise RuleError([f"{place}: expected an object, was {raw!r}"])
    kinds = {kind.value: kind for kind in FaultKind}
    kind = kinds.get(raw["kind"]) if isinstance(raw.get("kind"), str) else None
    if kind is None:
        known = ", ".join(kinds)
        raise RuleError([f"{place}.kind: expected one of {known}; was {raw.get('kind')!r}"])
    reader = _Reader(raw, kind, place)
    rule = reader.rule()
    if reader.problems:
        raise RuleError(reader.problems)
    return rule


class _Reader:
    """Reads one object field by field and collects what is wrong."""

    def __init__(self, raw: Row, kind: FaultKind, place: str) -> None:
        self._raw = raw
        self._kind = kind
        self._shape = SHAPES[kind]
        self._place = place
        self.problems: list[str] = []

    def rule(self) -> Rule:
        """Return the rule; it may only be used where there are no problems."""
        self._check_fields()
        parameters = {
            name: self._value(name, parameter) for name, parameter in self._shape.parameters.items()
        }
        if parameters.get("fraction") is not None:
            parameters["fraction"] = Decimal(str(parameters["fraction"]))
        from_s, until_s = self._or("from_s", _SECONDS, 0.0), self._value("until_s", _SECONDS)
        if until_s is not None and until_s <= from_s:
            self._expected("until_s", f"more than from_s ({from_s:g})")
        return Rule(
            id=self._text("id", _ID, "1-64 letters, digits, dots, dashes or underscores") or "",
            kind=self._kind,
            venue=self._venue(),
            operation=self._operation(),
            symbol=self._text("symbol", _SYMBOL, "a symbol as the venue writes it"),
            probability=float(self._or("probability", _PROBABILITY, 1.0)),
            count=self._value("count", _COUNT),
            after=self._or("after", _AFTER, 0),
            from_s=from_s,
            until_s=until_s,
            **parameters,
        )

    def _check_fields(self) -> None:
        shape = self._shape
        known = {"id", "kind", "venue", "from_s", "until_s", "operation", *shape.parameters}
        known |= set() if shape.lasting else set(_EVENT_FIELDS)
        known |= {"symbol"} if shape.has_symbol else set()
        for name in self._raw:
            if name in known:
                continue
            why = "a state: it has none" if shape.lasting and name in _EVENT_FIELDS else "unknown"
            names = ", ".join(sorted(known))
            self.problems.append(
                f"{self._place}.{name}: {why}; expected for {self._kind} only {names}"
            )

    def _value(self, name: str, parameter: Parameter) -> Any:  # noqa: ANN401  # as the parameter
        raw = self._raw.get(name)
        if raw is None:
            return parameter.default
        if isinstance(parameter, Choice):
            # True is 1 in Python: the type has to match too.
            fits = any(raw == option and type(raw) is type(option) for option in parameter.options)
        else:
            fits = _is_number(raw, parameter)
        if fits:
            return raw
        self._expected(name, str(parameter))
        return parameter.default

    def _or(self, name: str, parameter: Number, default: float) -> Any:  # noqa: ANN401  # as above
        value = self._value(name, parameter)
        return default if value is None else value

    def _text(self, name: str, form: re.Pattern[str], expected: str) -> str | None:
        raw = self._raw.get(name)
        if raw is None:
            return None
        if isinstance(raw, str) and form.fullmatch(raw):
            return raw
        self._expected(name, expected)
        return None

    def _venue(self) -> Venue | None:
        raw = self._raw.get("venue")
        if raw is None:
            return None
        found = _VENUES.get(raw) if isinstance(raw, str) else None
        if found is None or found not in self._shape.venues:
            named = [name for name, venue in _VENUES.items() if venue in self._shape.venues]
            self._expected("venue", "one of " + ", ".join(named))
            return None
        return found

    def _operation(self) -> Operation | None:
        raw = self._raw.get("operation")
        if raw is None:
            return None
        found = next((item for item in self._shape.allowed if item.value == raw), None)
        if found is None:
            named = ", ".join(item for item in Operation if item in self._shape.allowed)
            self._expected("operation", f"one of {named}")
        return found

    def _expected(self, name: str, what: str) -> None:
        self.problems.append(f"{self._place}.{name}: expected {what}, was {self._raw.get(name)!r}")


def _is_number(raw: object, parameter: Number) -> bool:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return False
    if parameter.whole and not isinstance(raw, int):
        return False
    return parameter.low <= raw <= parameter.high
