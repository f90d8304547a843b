"""The shape of the tree, and what no file may hold."""

import re
import subprocess

import pytest

LARGEST_MODULE_LINES = 400


def tracked(root):
    """Return every file that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [root / name for name in listed.splitlines() if (root / name).is_file()]


def test_every_package_is_typed_and_in_its_place(package):
    """src/<module>/py.typed and __init__.py are there, named after the folder."""
    assert (package.source / "py.typed").exists()
    assert (package.source / "__init__.py").exists()


def test_every_service_can_be_run(package):
    """A service starts with `python -m`, as the containers start it."""
    if package.folder.parent.name == "services":
        assert (package.source / "__main__.py").exists()


def test_modules_stay_readable(package):
    """No module grows past what one can read in one sitting."""
    long = {
        path.name: lines
        for path in package.files()
        if (lines := len(path.read_text("utf-8").splitlines())) > LARGEST_MODULE_LINES
    }
    assert not long


def test_every_module_says_what_it_is_for(package):
    """The first statement of a module is its docstring."""
    for path in package.files():
        assert path.read_text("utf-8").startswith('"""'), path


def test_no_requirement_names_an_index(root):
    """Locks hold versions and hashes; where they come from is the machine's business."""
    for path in (root / "requirements").glob("*.txt"):
        text = path.read_text("utf-8")
        assert "://" not in text, path
        assert "--index" not in text, path
        assert "--extra-index" not in text, path


def test_no_file_holds_a_key(root):
    """No private key and no Telegram token is in the tree."""
    marks = [
        re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
        re.compile(rb"\b[0-9]{8,10}:[A-Za-z0-9_-]{35}\b"),
    ]
    for path in tracked(root):
        content = path.read_bytes()
        assert not [mark.pattern for mark in marks if mark.search(content)], path


def test_every_target_of_the_makefile_is_short_and_explained(root):
    """A target has at most three lines; what is longer is a script."""
    text = (root / "Makefile").read_text("utf-8")
    for block in re.split(r"\n(?=[a-z$#.-])", text):
        recipe = [line for line in block.splitlines() if line.startswith("\t")]
        if block.startswith((".PHONY", "ifneq", "include")):
            continue
        assert len(recipe) <= 3, block
        if recipe and not block.startswith("$("):
            assert " ## " in block.splitlines()[0], block


@pytest.mark.parametrize("folder", ["secrets"])
def test_only_simulated_secrets_are_tracked(root, folder):
    """Nothing but the values of the simulated accounts is in git."""
    inside = [path for path in tracked(root) if path.is_relative_to(root / folder)]
    assert all(path.is_relative_to(root / folder / "paper") for path in inside)
