"""Our own rules, each with its reason. A rule takes one parsed file and yields what breaks it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CORE = "libs/core/src/interlock_core"
GATEKEEPER = "services/gatekeeper/src/interlock_gatekeeper"
OPERATOR = "services/operator/src/interlock_operator"

# Where the operating system's clock may be asked; everything else is handed a clock.
CLOCK_FILE = f"{CORE}/clock.py"
WALL_CLOCKS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}

ENVIRONMENT_FILE = f"{CORE}/settings.py"
# A process reads its environment once, at its edge.
ENVIRONMENT_EDGES = ("__main__.py", "settings.py", "ctl.py")
# Variables that are read past a SPEC, with the reason.
PAST_A_SPEC = {
    ENVIRONMENT_FILE: "reads every SPEC",
    f"{GATEKEEPER}/settings.py": "refuses to start where a trading key stands in the open",
    f"{GATEKEEPER}/hardening.py": "looks for a key's value in every variable",
    "services/preflight/src/interlock_preflight/settings.py": "reports keys and arm facts that "
    "stand in the open",
    f"{OPERATOR}/native/ports.py": "takes a service's own port setting as a wish",
}

# Paper and live differ in addresses and keys, nowhere else: the word is allowed in settings,
# labels, and the gatekeeper's state machine and venue table.
PAPER_FILES = {
    f"{CORE}/common_settings.py": "the setting",
    f"{CORE}/ids.py": "an example of a session id",
    f"{GATEKEEPER}/app.py": "hands out the venue table",
    f"{GATEKEEPER}/console_page.py": "the lamp's label",
    f"{GATEKEEPER}/ctl.py": "the setting",
    f"{GATEKEEPER}/health.py": "says the state",
    f"{GATEKEEPER}/health_api.py": "says the state",
    f"{GATEKEEPER}/drill.py": "a drill is always on simulated venues",
    f"{GATEKEEPER}/guards.py": "the triggers that only hold there",
    f"{GATEKEEPER}/invariants.py": "the state machine, checked",
    f"{GATEKEEPER}/limits.py": "the stage's limits",
    f"{GATEKEEPER}/arms.py": "the state machine",
    f"{GATEKEEPER}/sessions.py": "the state machine",
    f"{GATEKEEPER}/records.py": "the state machine, replayed",
    f"{GATEKEEPER}/state.py": "the state",
    f"{GATEKEEPER}/transitions.py": "the state table",
    f"{GATEKEEPER}/vault.py": "the venue table's keys",
    f"{OPERATOR}/cli.py": "labels for people",
    f"{OPERATOR}/gate_commands.py": "the setting of the native stack",
    f"{OPERATOR}/native/plan.py": "the setting of the native stack",
    f"{OPERATOR}/native/up.py": "the session id of the native stack",
    f"{OPERATOR}/observe/view.py": "the lamp's label",
    "services/preflight/src/interlock_preflight/checks/git.py": "a folder's name",
}

BACK_DOOR = re.compile(r"(^|[-_])(dry[-_]?run|bypass|force|skip)([-_]|$)")
HARMLESS = {"time_in_force"}

# Money is Decimal here; a float literal would make it inexact.
EXACT_FILES = {
    f"{CORE}/money.py",
    f"{CORE}/arming.py",
    f"{CORE}/instrument.py",
    f"{CORE}/wire/gate.py",
    *(
        f"{GATEKEEPER}/{name}.py"
        for name in (
            "books",
            "budget",
            "checks",
            "facts",
            "limits",
            "order_rates",
            "policy",
            "state",
        )
    ),
}


@dataclass(frozen=True, slots=True)
class Source:
    """One parsed file; `path` is relative to the repository, with slashes."""

    path: str
    text: str
    tree: ast.Module


Breach = tuple[int, str]
Rule = Callable[[Source], Iterator[Breach]]


def parse(path: str, text: str) -> Source:
    """Return a file ready for the rules."""
    return Source(path, text, ast.parse(text, path))


def no_wall_clock(source: Source) -> Iterator[Breach]:
    """Time comes from a clock that is handed in, so that tests and replay can own it."""
    if source.path == CLOCK_FILE:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and (_name(node.value), node.attr) in WALL_CLOCKS:
            yield node.lineno, f"asks the wall clock: take a Clock instead ({CLOCK_FILE} has it)"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            for alias in node.names:
                if ("time", alias.name) in WALL_CLOCKS:
                    yield node.lineno, f"asks the wall clock: use {CLOCK_FILE}"


def no_environment(source: Source) -> Iterator[Breach]:
    """Every setting is declared in a SPEC, so that .env.example can name them all."""
    for node in ast.walk(source.tree):
        if source.path != ENVIRONMENT_FILE and _reads_os_environment(node):
            yield node.lineno, "reads the process environment: declare a Setting"
        if source.path not in PAST_A_SPEC and _reads_a_variable(node):
            yield node.lineno, "reads a variable past its SPEC: declare a Setting"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "environment"
            and Path(source.path).name not in ENVIRONMENT_EDGES
        ):
            yield node.lineno, f"reads the environment: only {', '.join(ENVIRONMENT_EDGES)} may"


def _reads_os_environment(node: ast.AST) -> bool:
    names = ("environ", "environb", "getenv", "putenv")
    if isinstance(node, ast.Attribute):
        return _name(node.value) == "os" and node.attr in names
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == "os"
        and any(alias.name in names for alias in node.names)
    )


def _reads_a_variable(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        return _name(node.value) == "environ"
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and _name(node.func.value) == "environ"
    )


def no_paper(source: Source) -> Iterator[Breach]:
    """Paper and live differ in addresses and keys only: code that knows the word is suspect."""
    if source.path in PAPER_FILES:
        return
    for number, line in enumerate(source.text.splitlines(), 1):
        if "paper" in line.lower():
            yield number, "knows of paper: let settings decide, not code"


def no_back_door(source: Source) -> Iterator[Breach]:
    """The gatekeeper has no flag that lets an order pass a check."""
    if not source.path.startswith(GATEKEEPER):
        return
    for node in ast.walk(source.tree):
        for name in _names_in(node):
            if name.lower() not in HARMLESS and BACK_DOOR.search(name.lower()):
                yield getattr(node, "lineno", 1), f"{name!r} sounds like a way round a check"


def _names_in(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        # Only what could be a flag or a setting; prose is not.
        flag = node.value.startswith("--") and " " not in node.value
        yield from [node.value] if flag or node.value.isupper() else []


def no_assert(source: Source) -> Iterator[Breach]:
    """`python -O` removes an assert, and the check with it."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assert):
            yield node.lineno, "assert disappears under -O: raise an error"


def no_float_money(source: Source) -> Iterator[Breach]:
    """A float literal in money code is an amount that is not what it says."""
    if source.path not in EXACT_FILES:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and type(node.value) is float:
            yield node.lineno, f"float literal {node.value!r}: use Decimal"


def no_leftover(source: Source) -> Iterator[Breach]:
    """An open end is an issue, not a comment."""
    words = tuple(word + mark for word in ("TO" + "DO", "FIX" + "ME", "X" + "XX") for mark in " :(")
    for number, line in enumerate(source.text.splitlines(), 1):
        comment = line.partition("#")[2]
        if any(word in comment + " " for word in words):
            yield number, "open end in a comment: finish it or open an issue"


RULES: tuple[Rule, ...] = (
    no_wall_clock,
    no_environment,
    no_paper,
    no_back_door,
    no_assert,
    no_float_money,
    no_leftover,
)


def _name(node: ast.AST) -> str:
    """Return the last name of `a` or `x.a`."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
