#!/usr/bin/env python3
"""Write .env.example from every service's SPEC. With --check, only say whether it is up to date."""

from __future__ import annotations

import argparse
import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from interlock_core.settings import Setting

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".env.example"
WIDTH = 100
# Where each service declares what it reads, in the order people meet them.
SPECS = {
    "operator": (("interlock_operator.settings", "SPEC"),),
    "simvenues": (("interlock_simvenues.settings", "SPEC"),),
    "gatekeeper": (
        ("interlock_gatekeeper.settings", "SPEC"),
        ("interlock_gatekeeper.ctl", "SPEC"),
        ("interlock_gatekeeper.ctl", "ARM_SPEC"),
    ),
    "preflight": (("interlock_preflight.settings", "SPEC"),),
    "engine": (("interlock_engine.settings", "SPEC"),),
    "migrate": (("interlock_migrate.settings", "SPEC"),),
}
HEAD = """\
# Every setting, with its default and its meaning. None has to be set for paper mode.
# Written by scripts/env_example.py from the services' own declarations: do not edit by hand.
# A setting marked "secret" may also be given as NAME_FILE, the path of a file that holds it;
# compose and the native stack do so. Copy to .env to change something: make and docker compose
# read it.
"""


def declared() -> dict[str, dict[str, Setting]]:
    """Return every service's settings by name, in the order of their declaration."""
    found: dict[str, dict[str, Setting]] = {}
    for service, places in SPECS.items():
        own = found.setdefault(service, {})
        for module, name in places:
            for setting in getattr(importlib.import_module(module), name):
                own.setdefault(setting.name, setting)
    return found


def sections() -> Iterator[tuple[str, list[tuple[Setting, list[str]]]]]:
    """Yield a title and its settings: what several services read first, then each service's own."""
    services = declared()
    readers: dict[str, list[str]] = {}
    for service, settings in services.items():
        for name in settings:
            readers.setdefault(name, []).append(service)
    first = {
        name: next(settings[name] for settings in services.values() if name in settings)
        for name in readers
    }
    several = [(first[name], who) for name, who in readers.items() if len(who) > 1]
    yield "read by several services", several
    for service, settings in services.items():
        own = [
            (setting, [service]) for name, setting in settings.items() if readers[name] == [service]
        ]
        if own:
            yield service, own


def text() -> str:
    """Return the file."""
    parts = [HEAD]
    for title, settings in sections():
        parts.append(f"\n## {title}\n")
        parts += [entry(setting, who) for setting, who in settings]
    return "\n".join(parts)


def entry(setting: Setting, readers: list[str]) -> str:
    """Return one setting: its meaning, who reads it, and its default."""
    notes = [] if len(readers) == 1 else [f"read by {', '.join(readers)}"]
    if setting.secret:
        notes.append("secret, or NAME_FILE")
    if setting.default is None:
        notes.append("no default: needed")
    said = setting.help + (f" ({'; '.join(notes)})" if notes else "")
    lines = textwrap.wrap(said, WIDTH - 2)
    # Unset, not set to its default: a default that changes later then changes here too.
    return "\n".join([*(f"# {line}" for line in lines), f"#{setting.name}={setting.default or ''}"])


def main() -> int:
    """Write the file, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit code 1 where it is out of date")
    wanted = text() + "\n"
    if not parser.parse_args().check:
        TARGET.write_text(wanted, "utf-8")
        return 0
    if TARGET.exists() and TARGET.read_text("utf-8") == wanted:
        return 0
    print(".env.example is out of date: run `make env-example`")
    return 1


if __name__ == "__main__":
    sys.exit(main())
