#!/usr/bin/env python3
"""Check our own rules on every package's source; exit code 1 and one line for each breach."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))

import rules  # noqa: E402 - found beside this file


def sources() -> Iterator[rules.Source]:
    """Yield every source file of every package."""
    for pattern in ("libs/*/src/**/*.py", "services/*/src/**/*.py"):
        for path in sorted(ROOT.glob(pattern)):
            yield rules.parse(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))


def breaches() -> list[str]:
    """Return every breach as `path:line: rule: what to do`."""
    return [
        f"{source.path}:{line}: {rule.__name__}: {what}"
        for source in sources()
        for rule in rules.RULES
        for line, what in rule(source)
    ]


def main() -> int:
    """Print every breach."""
    found = breaches()
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
