#!/usr/bin/env python3
"""Change the safety core one operator at a time and see whether a unit test notices.

cosmic-ray makes the mutants. Each is loaded into a fork of this process, which has the third-party
packages in memory already, so that a mutant costs its tests and no start-up; no file is changed.

Usage: scripts/mutants.py [--jobs 2] [NAME ...]     NAME: a module, such as policy or arming
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from hypothesis import Phase, settings

ROOT = Path(__file__).resolve().parent.parent
ACCEPTED = ROOT / "tests" / "mutants" / "accepted.txt"
CORE = "libs/core/src/interlock_core"
GATEKEEPER = "services/gatekeeper/src/interlock_gatekeeper"
UNIT = "tests/unit/gatekeeper"

# What is mutated, and the tests that must notice: the most telling ones first.
POLICY = tuple(f"{UNIT}/test_{name}.py" for name in ("policy", "books", "edges", "machine"))
MACHINE = tuple(
    f"{UNIT}/test_{name}.py"
    for name in ("machine", "transitions", "halt", "arming_conditions", "edges", "lifecycle")
)
VENUES = tuple(
    f"{UNIT}/venues/test_{name}.py"
    for name in ("answers", "adapters", "parse", "account", "orders", "codes", "signatures")
)
TESTS = {
    f"{GATEKEEPER}/checks.py": POLICY,
    f"{GATEKEEPER}/policy.py": POLICY,
    f"{GATEKEEPER}/facts.py": (*POLICY, f"{UNIT}/test_balances.py"),
    f"{GATEKEEPER}/order_rates.py": (f"{UNIT}/test_order_rates.py", *POLICY),
    f"{GATEKEEPER}/budget.py": (
        *POLICY,
        f"{UNIT}/test_balances.py",
        f"{UNIT}/test_guards.py",
        f"{UNIT}/test_unknown_inputs.py",
    ),
    f"{GATEKEEPER}/guards.py": (f"{UNIT}/test_guards.py", f"{UNIT}/test_trigger_edges.py"),
    f"{GATEKEEPER}/conditions.py": (f"{UNIT}/test_arming_conditions.py",),
    f"{GATEKEEPER}/halt.py": tuple(
        f"{UNIT}/test_{name}.py" for name in ("sweeping", "halt", "books")
    ),
    f"{GATEKEEPER}/flatten.py": (f"{UNIT}/test_repair.py", f"{UNIT}/test_halt.py"),
    f"{GATEKEEPER}/recon.py": (f"{UNIT}/test_books.py",),
    f"{GATEKEEPER}/arms.py": (*MACHINE, f"{UNIT}/test_arming_conditions.py"),
    f"{GATEKEEPER}/sessions.py": (
        *MACHINE,
        f"{UNIT}/test_trigger_edges.py",
        f"{UNIT}/test_guards.py",
    ),
    f"{GATEKEEPER}/machine.py": (
        f"{UNIT}/test_machine_records.py",
        f"{UNIT}/test_repair.py",
        *MACHINE,
        f"{UNIT}/test_halt.py",
        f"{UNIT}/test_unknown_inputs.py",
    ),
    f"{GATEKEEPER}/records.py": (
        f"{UNIT}/test_records.py",
        f"{UNIT}/test_machine_records.py",
        *MACHINE,
    ),
    f"{GATEKEEPER}/books.py": tuple(
        f"{UNIT}/test_{name}.py" for name in ("book_keeping", "books", "policy")
    ),
    f"{GATEKEEPER}/venues/codes.py": (f"{UNIT}/venues/test_codes.py",),
    f"{GATEKEEPER}/venues/binance.py": VENUES,
    f"{GATEKEEPER}/venues/binance_answers.py": VENUES,
    f"{GATEKEEPER}/venues/upbit.py": VENUES,
    f"{GATEKEEPER}/venues/parse.py": (f"{UNIT}/venues/test_parse.py", *VENUES),
    f"{CORE}/arming.py": ("tests/unit/core/test_arming.py",),
}
# Here every comparison and every boolean counts: these lines decide what may be sent.
STRICT = (f"{GATEKEEPER}/checks.py",)
REQUIRED_PERCENT = 95

LOGIC = (
    *("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt"),
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
)
LOGIC_OPERATORS = (
    *(f"ReplaceComparisonOperator_{pair}" for pair in LOGIC),
    *("ReplaceAndWithOr", "ReplaceOrWithAnd", "AddNot", "ReplaceUnaryOperator_Delete_Not"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
)
OTHER_OPERATORS = (
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul")),
    *("ReplaceUnaryOperator_Delete_USub", "NumberReplacer", "ZeroIterationForLoop"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ExceptionReplacer"),
)


@dataclass(frozen=True)
class Mutant:
    """One changed line of one module."""

    path: str
    line: int
    before: str
    after: str
    is_logic: bool
    code: str = field(repr=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what identifies it in the accepted list; line numbers move."""
        return Path(self.path).name, self.before, self.after

    def __str__(self) -> str:
        """Return where it is and what it does."""
        return f"{self.path}:{self.line}\n    - {self.before}\n    + {self.after}"


def mutants(path: str) -> Iterator[Mutant]:
    """Yield every mutant of a file once."""
    source = (ROOT / path).read_text("utf-8")
    tree, seen = get_ast(source), {source}
    for name in (*LOGIC_OPERATORS, *OTHER_OPERATORS):
        operator = get_operator(f"core/{name}")()
        count = sum(1 for node in ast_nodes(tree) for _ in operator.mutation_positions(node))
        for occurrence in range(count):
            try:
                code = mutate_code(source, operator, occurrence)
            except AttributeError:
                continue  # cosmic-ray cannot replace a dotted exception's name
            if code is None or code in seen:
                continue
            seen.add(code)
            lines = enumerate(zip(source.splitlines(), code.splitlines(), strict=False), 1)
            line, before, after = next((n, a.strip(), b.strip()) for n, (a, b) in lines if a != b)
            if not is_declaration(before, after):
                yield Mutant(path, line, before, after, name in LOGIC_OPERATORS, code)


def is_declaration(before: str, after: str) -> bool:
    """Say whether only a declaration changed: a decorator, or the star of keyword-only names."""
    return before.startswith("@") or before.replace("*,", "/,") == after


class Replaced(MetaPathFinder, Loader):
    """Loads one module from changed text."""

    def __init__(self, path: str, code: str) -> None:
        self.name = ".".join(Path(path.partition("/src/")[2]).with_suffix("").parts)
        self._path = ROOT / path
        self._code = code

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Return the changed module's spec, and no other's."""
        if fullname != self.name:
            return None
        return spec_from_loader(fullname, self, origin=str(self._path))

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed text."""
        exec(compile(self._code, str(self._path), "exec"), module.__dict__)  # noqa: S102 - its job


def run_tests(tests: tuple[str, ...]) -> int:
    """Run tests in this process, quietly, the same way every time, up to the first failure."""
    settings.register_profile(
        "mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
    )
    # Plugins that this process imported already are not rewritten: that matters to nobody here.
    known = "ignore::pytest.PytestAssertRewriteWarning"
    quiet = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-W", known)
    return int(pytest.main([*quiet, "--hypothesis-profile=mutants", *tests]))


def fork(tests: tuple[str, ...], replaced: Replaced | None, modules: Path | None = None) -> int:
    """Start the tests in a child process and return its id; it exits as pytest says."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as null:
            os.dup2(null.fileno(), 1)
            os.dup2(null.fileno(), 2)
        if replaced is not None:
            sys.meta_path.insert(0, replaced)
        code = run_tests(tests)
        if modules is not None:
            modules.write_text(json.dumps(sorted(sys.modules)), "utf-8")
    finally:
        os._exit(code)


def baseline(tests: tuple[str, ...]) -> float:
    """Run the tests unchanged; return their seconds, and warm this process with what they use."""
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            file, start = Path(folder) / "modules", time.monotonic()
            _, status = os.waitpid(fork(tests, None, file), 0)
            took_s = time.monotonic() - start
            if os.waitstatus_to_exitcode(status) != 0:
                raise SystemExit(f"mutants: the tests fail as they are: {' '.join(tests)}")
            names = json.loads(file.read_text("utf-8"))
        for name in names:
            if not name.startswith(("interlock_", "tests", "conftest", "_pytest", "__")):
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)
    return took_s


def survivors(path: str, found: list[Mutant], jobs: int) -> list[Mutant]:
    """Return the mutants that no test noticed."""
    tests = TESTS[path]
    limit_s = 10 + 5 * baseline(tests)
    waiting, running, left = list(reversed(found)), {}, []
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            pid = fork(tests, Replaced(path, mutant.code))
            running[pid] = (mutant, time.monotonic() + limit_s)
        for pid, (mutant, deadline) in list(running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done and time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)  # its tests hang: that is noticed
                done, status = os.waitpid(pid, 0)
            if done:
                del running[pid]
                if status == 0:
                    left.append(mutant)
                    print(f"survived: {mutant}", flush=True)
                done_count = len(found) - len(waiting) - len(running)
                if done_count % 25 == 0:
                    print(f"{Path(path).name}: {done_count}/{len(found)}", flush=True)
        time.sleep(0.02)
    return left


def accepted() -> dict[tuple[str, str, str], str]:
    """Return the mutants that may survive, each with its reason."""
    reasons = {}
    for line in ACCEPTED.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, before, after, reason = (part.strip() for part in line.split(" || "))
            reasons[name, before, after] = reason
    return reasons


def main() -> int:
    """Mutate, print the table, and say by the exit code whether the tests see enough."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("names", nargs="*", metavar="NAME", help="modules; default: all")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    os.environ["LIFECYCLE_EXAMPLES"] = "200"
    paths = [p for p in TESTS if not arguments.names or Path(p).stem in arguments.names]
    reasons, rows, good = accepted(), [], True
    for path in paths:
        found = list(mutants(path))
        left = survivors(path, found, arguments.jobs)
        bad = [mutant for mutant in left if mutant.key not in reasons]
        stale = {key for key in reasons if key[0] == Path(path).name} - {m.key for m in left}
        percent = 100 * (len(found) - len(bad)) / len(found)
        blind = path in STRICT and any(mutant.is_logic for mutant in bad)
        good = good and percent >= REQUIRED_PERCENT and not blind and not stale
        rows.append((Path(path).name, len(found), len(found) - len(left), len(left), len(bad)))
        for key in sorted(stale):
            print(f"accepted, but does not survive: {' || '.join(key)}")
    print(f"\n{'module':14}{'mutants':>9}{'killed':>8}{'survived':>10}{'unexplained':>13}")
    for name, *numbers in rows:
        print(f"{name:14}" + "{:>9}{:>8}{:>10}{:>13}".format(*numbers))
    print("mutants: enough are seen" if good else "mutants: too many are not seen")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
