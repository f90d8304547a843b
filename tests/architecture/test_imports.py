"""Who may import what: the table of the design, on the parsed source."""

import ast
import configparser
import re
import sys
from pathlib import Path

import pytest

FIRST_PARTY = {
    "core": set(),
    "venues": {"core"},
    "gatekeeper": {"core"},
    "engine": {"core", "venues"},
    "preflight": {"core"},
    "simvenues": {"core"},
    "migrate": {"core"},
    "operator": {"core"},
}
THIRD_PARTY = {
    "core": set(),
    "venues": {"msgspec"},
    "gatekeeper": {"ccxt", "h11", "prometheus_client", "psycopg", "starlette", "uvicorn"},
    "engine": {"aiohttp", "msgspec", "prometheus_client", "psycopg", "redis", "uvloop"},
    "preflight": {"httpx", "psycopg", "redis", "rich"},
    "simvenues": {"aiohttp", "ccxt", "numpy", "prometheus_client", "pyarrow"},
    "migrate": {"psycopg"},
    "operator": {"httpx", "psycopg", "redis", "rich", "typer"},
}
# Time arrives as an argument, and nothing is read or written.
ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = configparser.ConfigParser()
CONTRACTS.read(ROOT / ".importlinter")
SAFETY_CORE = [
    f"{name.rpartition('.')[2]}.py"
    for name in CONTRACTS["importlinter:contract:pure-safety"]["source_modules"].split()
]
PURE = [
    ("engine", "decide"),
    ("engine", "account"),
    *(("gatekeeper", name) for name in SAFETY_CORE),
    ("venues", "."),
]
IMPURE = {
    "asyncio",
    "http",
    "os",
    "pathlib",
    "requests",
    "socket",
    "subprocess",
    "threading",
    "time",
    "urllib",
}


def imported(path):
    """Return the top-level names that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module.partition(".")[0]


def test_the_table_names_every_package(packages):
    """A new package must state what it may import."""
    names = {package.name for package in packages}
    assert names == set(FIRST_PARTY) == set(THIRD_PARTY)


def test_first_party_imports_are_those_of_the_design(package):
    """A package imports itself and what the table allows."""
    allowed = {package.module} | {f"interlock_{name}" for name in FIRST_PARTY[package.name]}
    seen = {name for path in package.files() for name in imported(path)}
    assert {name for name in seen if name.startswith("interlock_")} <= allowed


def test_third_party_imports_are_those_of_the_design(package):
    """A package imports the standard library and what the table allows."""
    seen = {name for path in package.files() for name in imported(path)}
    others = {n for n in seen if n not in sys.stdlib_module_names and "interlock_" not in n}
    assert others <= THIRD_PARTY[package.name]


def test_what_is_imported_is_declared(package):
    """The package's own pyproject.toml names every package that it imports."""
    declared = {
        re.split(r"[\[<>=! ]", need)[0].lower().replace("-", "_") for need in package.dependencies
    }
    seen = {name for path in package.files() for name in imported(path)} - {package.module}
    assert {name for name in seen if name not in sys.stdlib_module_names} <= declared


@pytest.mark.parametrize(("name", "part"), PURE)
def test_decisions_do_no_input_or_output(packages, name, part):
    """Pure modules import no clock, no socket, no file, no loop."""
    (package,) = (package for package in packages if package.name == name)
    place = package.source / part
    files = [place] if place.suffix == ".py" else sorted(place.rglob("*.py"))
    assert files
    for path in files:
        assert not IMPURE & set(imported(path)), path


def test_every_branch_of_what_decides_is_covered_by_make_coverage():
    """The list of pure modules is the list that must be covered whole."""
    covered = configparser.ConfigParser()
    covered.read(ROOT / "tests" / "core.coveragerc")
    names = {line.rpartition("/")[2] for line in covered["report"]["include"].split()}
    assert names == {*SAFETY_CORE, "invariants.py", "recon.py"}
    assert covered["report"]["fail_under"] == "100"
