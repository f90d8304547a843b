"""Scripts are plain files: put their folders on the path, and know where the packages are."""

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "scripts" / "lints")]


@dataclass(frozen=True)
class Package:
    """One package of the repository."""

    name: str
    module: str
    folder: Path
    dependencies: tuple[str, ...]

    @property
    def source(self):
        """Return the folder of its modules."""
        return self.folder / "src" / self.module

    def files(self):
        """Return its Python files."""
        return sorted(self.source.rglob("*.py"))


def _packages():
    found = []
    for file in sorted(ROOT.glob("libs/*/pyproject.toml")) + sorted(
        ROOT.glob("services/*/pyproject.toml")
    ):
        project = tomllib.loads(file.read_text("utf-8"))["project"]
        name = file.parent.name
        found.append(
            Package(name, f"interlock_{name}", file.parent, tuple(project["dependencies"]))
        )
    return found


PACKAGES = _packages()


def pytest_generate_tests(metafunc):
    """Run every test that asks for `package` once for each package."""
    if "package" in metafunc.fixturenames:
        metafunc.parametrize("package", PACKAGES, ids=[package.name for package in PACKAGES])


@pytest.fixture(scope="session")
def packages():
    """Return every package."""
    return PACKAGES


@pytest.fixture(scope="session")
def root():
    """Return the repository's folder."""
    return ROOT
