#!/usr/bin/env python3
"""Print what the next release says: the fragments of changelog.d, safety first."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "changelog.d"
KINDS = ("safety", "added", "changed", "fixed", "removed")


def fragments(folder: Path = FOLDER) -> dict[str, list[str]]:
    """Return the fragments' texts by kind; raise ValueError for a file that is none."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for path in sorted(folder.glob("*.md")):
        if path.name == "README.md":
            continue
        words, _, kind = path.stem.rpartition(".")
        if kind not in KINDS or not words:
            raise ValueError(f"{path.name}: expected <words>.<{'|'.join(KINDS)}>.md")
        found[kind].append(" ".join(path.read_text("utf-8").split()))
    return found


def main() -> int:
    """Print every kind that has fragments."""
    for kind, texts in fragments().items():
        if texts:
            print(f"### {kind.capitalize()}\n")
            print("\n".join(f"- {text}" for text in texts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
