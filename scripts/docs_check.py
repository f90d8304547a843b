#!/usr/bin/env python3
"""Check the documents: every relative link, every `make` target and every test named exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TESTS = re.compile(r"pytest ((?:tests/[\w/.]+ ?)+)")
TARGET = re.compile(r"`make ([a-z][a-z-]*)")
RULE = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
# Named as still to come.
PLANNED = {"live-smoke"}


def documents() -> list[Path]:
    """Return every Markdown file that git knows or will know."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).exists()]


def problems(document: Path, targets: set[str]) -> list[str]:
    """Return what is wrong in one document."""
    text, name = document.read_text("utf-8"), document.relative_to(ROOT)
    links = [link.partition("#")[0] for link in LINK.findall(text)]
    local = [link for link in links if link and not re.match(r"[a-z]+:", link)]
    dead = [link for link in local if not (document.parent / link).exists()]
    unknown = set(TARGET.findall(text)) - targets - PLANNED
    tests = [path for run in TESTS.findall(text) for path in run.split()]
    return [
        *(f"{name}: dead link {link}" for link in dead),
        *(f"{name}: no target `make {target}`" for target in sorted(unknown)),
        *(f"{name}: no test {path}" for path in tests if not (ROOT / path).exists()),
    ]


def main() -> int:
    """Print every problem."""
    targets = set(RULE.findall((ROOT / "Makefile").read_text("utf-8")))
    found = [problem for document in documents() for problem in problems(document, targets)]
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
