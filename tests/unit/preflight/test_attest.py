"""The preflight attests to seven passed checks, and to nothing less."""

import stat
import sys
from dataclasses import replace

import pytest

from interlock_core.clock import NS_PER_S
from interlock_core.wire.attestation import CHECKS, Attestation, open_sealed
from interlock_core.wire.preflight import CheckReport, PreflightReport, Verdict
from interlock_preflight import __main__ as command
from interlock_preflight.attest import AttestError, attest, passed, withdraw
from interlock_preflight.settings import read_settings

KEY = b"k" * 32
COMMIT = "a" * 40
BEGAN = 1_700_000_000 * NS_PER_S


@pytest.fixture
def settings(tmp_path):
    """Return settings with both files, an older attestation among them."""
    key_path, path = tmp_path / "key", tmp_path / "out" / "attestation"
    key_path.write_bytes(KEY + b"\n")
    key_path.chmod(0o440)
    path.parent.mkdir()
    path.write_text("older")
    return read_settings(
        {
            "ATTESTATION_FILE": str(path),
            "ATTESTATION_KEY_FILE": str(key_path),
            "INTERLOCK_COMMIT": COMMIT,
        }
    )


def report(**verdicts):
    """Return a report with every check passed, but for those named."""
    checks = tuple(
        CheckReport(name, name, verdicts.get(name, Verdict.PASS), "seen", "todo")
        for name in (*CHECKS, "environment")
    )
    return PreflightReport(
        schema_version=1,
        report_id="report-0001",
        at="now",
        mode="real",
        environment="live",
        ok=True,
        config_sha256="c" * 64,
        checks=checks,
    )


def test_seven_passes_are_attested(settings):
    """Sealed, readable by owner and group, in place of what was there."""
    assert attest(report(), settings, began_wall_ns=BEGAN)
    path = settings.attestation_file
    expected = Attestation(1, BEGAN, "c" * 64, COMMIT, CHECKS, "report-0001")
    assert open_sealed(path.read_bytes(), KEY) == expected
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("verdict", [Verdict.WARN, Verdict.FAIL])
@pytest.mark.parametrize("check", CHECKS)
def test_six_passes_are_not(settings, check, verdict):
    """WARN is not PASS; the run leaves no attestation at all."""
    withdraw(settings)
    found = report(**{check: verdict})
    assert set(passed(found)) == set(CHECKS) - {check}
    assert not attest(found, settings, began_wall_ns=BEGAN)
    assert not settings.attestation_file.exists()


def test_a_check_that_did_not_run_is_not_passed(settings):
    """Six findings are not seven, however good."""
    part = replace(report(), checks=report().checks[1:-1])
    assert not attest(part, settings, began_wall_ns=BEGAN)


def test_without_both_settings_nothing_is_written(tmp_path):
    """Attesting is chosen, not assumed."""
    settings = read_settings({"ATTESTATION_FILE": str(tmp_path / "attestation")})
    assert not attest(report(), settings, began_wall_ns=BEGAN)
    withdraw(read_settings({}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mode", "content"), [(0o444, KEY), (0o460, KEY), (0o400, b"short")])
def test_an_unusable_key_is_an_error(settings, mode, content):
    """Readable by all, writable by the group, or too short."""
    settings.attestation_key_file.chmod(0o600)
    settings.attestation_key_file.write_bytes(content)
    settings.attestation_key_file.chmod(mode)
    with pytest.raises(AttestError, match="ATTESTATION_KEY_FILE"):
        attest(report(), settings, began_wall_ns=BEGAN)


def test_a_file_that_cannot_be_written_or_removed_is_an_error(settings):
    """A run that could not take back an old attestation must not look like a good one."""
    path = settings.attestation_file
    path.unlink()
    path.mkdir()
    with pytest.raises(AttestError, match="cannot remove"):
        withdraw(settings)
    with pytest.raises(AttestError, match="ATTESTATION_FILE"):
        attest(report(), settings, began_wall_ns=BEGAN)


def test_a_run_withdraws_before_it_checks(settings, monkeypatch, tmp_path):
    """A run that breaks half way leaves nothing of the run before it."""
    monkeypatch.setattr(command.runner, "run", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        command._run(settings, real=False)
    assert not settings.attestation_file.exists()


def test_the_command_says_why_it_could_not_attest(settings, monkeypatch, capsys):
    """One line and exit code 1."""
    settings.attestation_file.unlink()
    settings.attestation_file.mkdir()
    monkeypatch.setattr(sys, "argv", ["interlock-preflight"])
    monkeypatch.setattr(command, "read_settings", lambda _: settings)
    with pytest.raises(SystemExit, match="1"):
        command.main()
    assert "cannot remove" in capsys.readouterr().err
