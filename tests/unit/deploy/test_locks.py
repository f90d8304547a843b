"""The locks: every dependency pinned by hash, and no package index named anywhere."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ROOT / "requirements"
IMAGES = ("engine", "gatekeeper", "migrate", "preflight", "simvenues")
# Put together here, so that this file does not name them either.
HOSTS = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
PROJECTS = {
    data["project"]["name"]: data
    for file in sorted(ROOT.glob("*/*/pyproject.toml"))
    for data in [tomllib.loads(file.read_text("utf-8"))]
}


def name_of(requirement):
    return re.split(r"[\[=<>~! ;]", requirement.strip())[0].lower().replace("_", "-")


def pins(lock):
    """Return the pinned names of a lock."""
    lines = (LOCKS / f"{lock}.txt").read_text("utf-8").splitlines()
    return {name_of(line) for line in lines if line and not line.startswith((" ", "#"))}


def third_party(package):
    names = set()
    for need in map(name_of, PROJECTS[package]["project"]["dependencies"]):
        names |= third_party(need) if need in PROJECTS else {need}
    return names


@pytest.mark.parametrize("lock", [*IMAGES, "build", "dev"])
def test_every_pin_has_an_exact_version_and_hashes(lock):
    """`pip install --require-hashes` takes each file as it is."""
    text = (LOCKS / f"{lock}.txt").read_text("utf-8").replace("\\\n", "")
    for line in filter(None, text.splitlines()):
        assert re.match(r"[a-z0-9.\-]+==[^ ]+ .*--hash=sha256:[0-9a-f]{64}", line), line[:80]


@pytest.mark.parametrize("image", IMAGES)
def test_an_images_lock_holds_what_its_packages_need(image):
    """A dependency that is not in the lock would be missing in the image."""
    assert third_party(f"interlock-{image}") <= pins(image)


@pytest.mark.parametrize("package", PROJECTS)
def test_the_development_lock_holds_what_every_package_needs(package):
    """One environment runs the tests of all of them."""
    assert third_party(package) <= pins("dev")


def test_the_development_lock_holds_the_tools():
    """requirements/dev.in is in it."""
    tools = (LOCKS / "dev.in").read_text("utf-8").splitlines()
    assert {name_of(t) for t in tools if t and not t.startswith("#")} <= pins("dev")


@pytest.mark.parametrize("lock", [*IMAGES, "build", "dev"])
def test_our_own_packages_are_in_no_lock(lock):
    """A package index could hand out anything under our names."""
    assert not {name for name in pins(lock) if name.startswith("interlock")}


def test_what_the_engine_must_not_have_is_not_in_its_lock():
    """No library that can place an order at a venue."""
    assert "ccxt" not in pins("engine")


def test_no_file_names_a_package_index():
    """Which index is asked is the business of the machine, not of the repository."""
    pattern = "|".join(re.escape(host) for host in HOSTS)
    command = ["git", "grep", "-lIiE", pattern]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stderr == ""
    assert found.stdout == ""


def test_the_command_says_how_it_is_used():
    """`scripts/locks --help` needs nothing but Python."""
    command = [sys.executable, str(ROOT / "scripts" / "locks"), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--upgrade" in shown.stdout
