"""Run the seven checks and judge them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from interlock_core.clock import NS_PER_S, rfc3339
from interlock_core.wire.preflight import CheckReport, PreflightReport, Verdict
from interlock_preflight.checks import (
    environment,
    exposure,
    git,
    live_safety,
    stores,
    venues,
)
from interlock_preflight.checks import secrets as secrets_check
from interlock_preflight.context import Context

SCHEMA_VERSION = 1
CHECKS = (environment, secrets_check, live_safety, stores, venues, exposure, git)


def run(context: Context) -> PreflightReport:
    """Return the report of one run of every check."""
    checks = tuple(finding for check in CHECKS for finding in check.run(context))
    now_ns = context.clock.wall_ns()
    moment = datetime.fromtimestamp(now_ns // NS_PER_S, tz=UTC)
    return PreflightReport(
        schema_version=SCHEMA_VERSION,
        report_id=f"{moment:%Y%m%dT%H%M%SZ}-preflight-{secrets.token_hex(2)}",
        at=rfc3339(now_ns),
        mode="real" if context.real else "dry-run",
        environment=context.settings.environment,
        ok=is_ok(checks, live=context.live),
        config_sha256=context.settings.config_sha256,
        checks=checks,
    )


def is_ok(checks: tuple[CheckReport, ...], *, live: bool) -> bool:
    """Say whether the engine may start: nothing failed, and for live nothing is in doubt."""
    accepted = {Verdict.PASS} if live else {Verdict.PASS, Verdict.WARN}
    return bool(checks) and all(finding.verdict in accepted for finding in checks)


def worst(findings: list[CheckReport]) -> Verdict:
    """Return the worst verdict of some findings."""
    order = (Verdict.PASS, Verdict.WARN, Verdict.FAIL)
    return max((finding.verdict for finding in findings), key=order.index)
