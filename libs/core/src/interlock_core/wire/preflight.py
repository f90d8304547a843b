"""The preflight report: seven checks, each with a verdict and one line of what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The verdict of one check; WARN does not count as ready for live."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One finding of a check: what was looked at, what was seen, what to do."""

    check: str
    name: str
    verdict: Verdict
    seen: str
    todo: str


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """Everything one preflight run found."""

    schema_version: int
    report_id: str
    at: str
    mode: str
    environment: str
    ok: bool
    config_sha256: str
    checks: tuple[CheckReport, ...]
