"""Scenario files: a TOML file with an optional `seed` and a `[[rule]]` table for each fault."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock_simvenues.faults.rule import Rule, RuleError, parse

_KNOWN = {"title", "seed", "rule"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """Rules to load at the start; seed is None where the file leaves it to SIM_SEED."""

    rules: tuple[Rule, ...] = ()
    seed: int | None = None


def load(path: Path) -> Scenario:
    """Return the scenario of a file, or raise RuleError with every problem."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RuleError([f"{path}: {error.strerror or error}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RuleError([f"{path}: expected TOML: {error}"]) from error
    known = ", ".join(sorted(_KNOWN))
    problems = [f"{name}: unknown; expected only {known}" for name in sorted(raw.keys() - _KNOWN)]
    seed = raw.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        problems.append(f"seed: expected a whole number from 0, was {seed!r}")
    rules = parse_all(raw.get("rule", []), problems)
    if problems:
        raise RuleError([f"{path}: {problem}" for problem in problems])
    return Scenario(tuple(rules), seed)


def parse_body(body: object) -> list[Rule]:
    """Return the rules of a request: one object, or {"rules": [...]}. Raise RuleError."""
    if not isinstance(body, Mapping) or "rules" not in body:
        return [parse(body)]
    problems = [f"{name}: unknown; expected only rules" for name in sorted(body.keys() - {"rules"})]
    rules = parse_all(body["rules"], problems)
    if problems:
        raise RuleError(problems)
    return rules


def parse_all(raw: object, problems: list[str]) -> list[Rule]:
    """Return the rules of a list; append what is wrong to the problems."""
    if not isinstance(raw, list):
        problems.append(f"rules: expected a list, was {raw!r}")
        return []
    rules: list[Rule] = []
    for number, item in enumerate(raw, start=1):
        try:
            rules.append(parse(item, place=f"rule {number}"))
        except RuleError as error:
            problems.extend(error.problems)
    named = [rule.id for rule in rules if rule.id]
    twice = sorted({name for name in named if named.count(name) > 1})
    problems.extend(f"rule.id: expected a new id, was {name!r} twice" for name in twice)
    return rules
