#!/usr/bin/env python3
"""Write docs/reference/faults.md from the simulator's code. With --check, only compare."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from interlock_core.instrument import Venue
from interlock_simvenues.faults.kinds import SHAPES, Operation, Parameter, Shape

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference" / "faults.md"
SCENARIOS = ROOT / "config" / "scenarios"
HEAD = """\
# Faults of the simulated venues

Written by `scripts/fault_tables.py` from the simulator's code: do not edit by hand.

The simulated venues misbehave where a rule says so, and only there. Rules come from a scenario file
(`SIM_SCENARIO`, read at the start) or through the admin endpoint while the simulator runs:

```sh
curl localhost:8090/admin/faults -d '{"kind": "timeout_after", "operation": "order", "count": 1}'
curl localhost:8090/admin/faults              # rules with matches and hits, and what was injected
curl -X DELETE localhost:8090/admin/faults/timeout_after-all-1
curl -X DELETE localhost:8090/admin/faults    # every rule, and the log
```

POST takes one rule or `{"rules": [...]}`, all or none. It answers 201 with `ids`, or 400 with
`errors` that name the field and what was expected. Unknown fields are refused.

The first rule in the list that matches and fires wins. Every rule that matches draws once from its
own generator of that venue, seeded by the seed, the rule's id and the venue, so that neither other
rules nor other venues' calls change its draws. The seed is the scenario's `seed`, else `SIM_SEED`.
Hits are counted in `simvenues_faults_total` (`venue`, `kind`).
"""
COMMON = """\
## Fields of every rule

| field | means | default |
| --- | --- | --- |
| `id` | the rule's name, in the log and for DELETE | made from kind and venue |
| `kind` | one of the kinds below | required |
| `venue` | `upbit`, `binance` (spot) or `binance_perp` (USD-M) | every venue that has the kind |
| `operation` | what a call does: `order`, `cancel`, `query` (of orders), `account`, `time` or \
`public`; of a connection `public` or `account` | the kind's own |
| `symbol` | as the venue writes it; a call or frame that names none does not match | any |
| `probability` | of firing at a match, 0 to 1 | 1 |
| `count` | how often at most | without end |
| `after` | how many matches pass first | 0 |
| `from_s`, `until_s` | seconds since the rule was loaded | always |

A kind that lasts is a state, not an event: it has no `probability`, `count` or `after`. A match is
a call, an order, a frame of one connection, or for books one step (100 ms) of one market."""


def kinds() -> str:
    """Return the table of the kinds."""
    lines = [
        "## Kinds",
        "",
        "| kind | parameters | operations | effect |",
        "| --- | --- | --- | --- |",
    ]
    for kind, shape in SHAPES.items():
        cells = (f"`{kind}`", _parameters(shape), _operations(shape), _effect(shape))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _parameters(shape: Shape) -> str:
    return "; ".join(_parameter(name, item) for name, item in shape.parameters.items()) or "none"


def _parameter(name: str, item: Parameter) -> str:
    default = "" if item.default is None else f", default {item.default}"
    return f"`{name}`: {item}{default}"


def _operations(shape: Shape) -> str:
    natural = ", ".join(item for item in Operation if item in shape.natural)
    more = shape.allowed - shape.natural
    return f"{natural} (others where named)" if more else natural


def _effect(shape: Shape) -> str:
    venues = "" if shape.venues == frozenset(Venue) else "Binance only. "
    return venues + ("Lasts. " if shape.lasting else "") + shape.effect


def scenarios() -> str:
    """Return the list of the shipped scenario files, by their own titles."""
    lines = ["## Scenarios", ""]
    for path in sorted(SCENARIOS.glob("*.toml")):
        title = path.read_text("utf-8").partition('"')[2].partition('"')[0]
        lines.append(f"* [{path.stem}](../../config/scenarios/{path.name}): {title}.")
    return "\n".join(lines)


def document() -> str:
    """Return the whole document."""
    return f"{HEAD.rstrip()}\n\n{COMMON}\n\n{kinds()}\n\n{scenarios()}\n"


def main() -> int:
    """Write the document, or say that it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    if parser.parse_args().check:
        current = TARGET.read_text("utf-8") if TARGET.exists() else ""
        if current != document():
            print("docs/reference/faults.md is out of date: run scripts/fault_tables.py")
            return 1
        return 0
    TARGET.write_text(document(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
