"""The gatekeeper believes an attestation only where file, key, time and code all fit."""

import pytest

from interlock_core.clock import NS_PER_S
from interlock_core.wire.attestation import CHECKS, Attestation, seal
from interlock_gatekeeper.attested import read_attestation

KEY = b"k" * 32
NOW = 1_700_000_000 * NS_PER_S
GOOD = Attestation(1, NOW, "c" * 64, "a" * 40, CHECKS, "report-0001")


@pytest.fixture
def files(tmp_path):
    """Return a sealed attestation's path and its key's path."""
    path, key_path = tmp_path / "attestation", tmp_path / "key"
    path.write_bytes(seal(GOOD, KEY))
    path.chmod(0o640)
    key_path.write_bytes(KEY)
    key_path.chmod(0o440)
    return path, key_path


def read(files, **changes):
    facts = {"now_wall_ns": NOW, "config_sha256": "c" * 64, "commit": "a" * 40}
    return read_attestation(*files, **(facts | changes))


def test_a_good_attestation_is_returned(files):
    """Everything fits."""
    assert read(files) == GOOD


def test_without_its_files_there_is_none(files):
    """Unset or missing, either of them, is a reason and not an error."""
    path, key_path = files
    assert "set ATTESTATION_FILE" in read((None, key_path))
    assert "set ATTESTATION_FILE" in read((path, None))
    assert "No such file" in read((path, key_path.with_name("gone")))
    assert "No such file" in read((path.with_name("gone"), key_path))


def test_what_does_not_hold_is_a_reason(files):
    """The report is named, so that a person can look it up."""
    assert "report-0001: made for another configuration" in read(files, config_sha256="d" * 64)


@pytest.mark.parametrize(("which", "mode"), [(0, 0o642), (0, 0o660), (1, 0o444), (1, 0o460)])
def test_files_that_others_could_change_or_read_are_refused(files, which, mode):
    """Neither may be written by others, nor the key be read."""
    files[which].chmod(mode)
    assert "chmod" in read(files)


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * 9000])
def test_what_is_not_sealed_is_a_reason(files, content):
    """An empty, foreign or endless file."""
    files[0].write_bytes(content)
    assert isinstance(read(files), str)


def test_a_short_key_is_a_reason(files):
    """Whatever it would verify."""
    files[1].chmod(0o600)
    files[1].write_bytes(b"short")
    assert "at least 32 bytes" in read(files)
