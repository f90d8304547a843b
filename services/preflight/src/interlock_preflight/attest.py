"""Attest to the gatekeeper that all seven checks passed; a run that did not leaves no such word."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from interlock_core.wire import attestation
from interlock_core.wire.attestation import CHECKS, SCHEMA, Attestation
from interlock_core.wire.preflight import PreflightReport, Verdict
from interlock_preflight.settings import PreflightSettings

MODE = 0o640
MAX_KEY_BYTES = 4096
TOO_OPEN = stat.S_IWGRP | stat.S_IRWXO


class AttestError(Exception):
    """The attestation cannot be made or taken back; the run counts as failed."""


def withdraw(settings: PreflightSettings) -> None:
    """Remove what an earlier run attested, or raise AttestError."""
    if settings.attestation_file is None:
        return
    try:
        settings.attestation_file.unlink(missing_ok=True)
    except OSError as error:
        raise AttestError(f"ATTESTATION_FILE: cannot remove it: {error.strerror}") from error


def attest(report: PreflightReport, settings: PreflightSettings, *, began_wall_ns: int) -> bool:
    """Write the sealed attestation where every check passed; say whether it was written.

    Raises AttestError where the key is unusable or the file cannot be written.
    """
    path, key_path = settings.attestation_file, settings.attestation_key_file
    if path is None or key_path is None or passed(report) != CHECKS:
        return False
    made = Attestation(
        schema=SCHEMA,
        at_wall_ns=began_wall_ns,
        config_sha256=report.config_sha256,
        commit=settings.commit,
        passed=CHECKS,
        report_id=report.report_id,
    )
    try:
        _write(path, attestation.seal(made, _key(key_path)))
    except OSError as error:
        raise AttestError(f"ATTESTATION_FILE: {error.filename}: {error.strerror}") from error
    return True


def passed(report: PreflightReport) -> tuple[str, ...]:
    """Return the checks of which every finding is PASS, in the order of their first finding."""
    names = dict.fromkeys(finding.check for finding in report.checks)
    spoiled = {f.check for f in report.checks if f.verdict is not Verdict.PASS}
    return tuple(name for name in names if name not in spoiled)


def _key(path: Path) -> bytes:
    with path.open("rb") as handle:
        mode = stat.S_IMODE(os.fstat(handle.fileno()).st_mode)
        raw = handle.read(MAX_KEY_BYTES)
    if mode & TOO_OPEN:
        raise AttestError(f"ATTESTATION_KEY_FILE: {path} has mode {mode:04o}; chmod 0440 it")
    try:
        return attestation.key_in(raw)
    except ValueError as error:
        raise AttestError(f"ATTESTATION_KEY_FILE: {path}: {error}") from error


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    with os.fdopen(descriptor, "wb") as handle:
        os.fchmod(descriptor, MODE)
        handle.write(data)
        handle.flush()
        os.fsync(descriptor)
    fresh.replace(path)
