"""The report as a table for people and as log lines for machines."""

from __future__ import annotations

import logging
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlock_core.wire.preflight import PreflightReport, Verdict
from interlock_preflight.runner import worst

log = logging.getLogger(__name__)

STYLES = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
# A log is not a terminal: its lines may be as long as they need.
LOG_WIDTH = 160


def table(report: PreflightReport) -> Table:
    """Return the report as a table, one line a finding."""
    made = Table(title=f"preflight {report.mode}, {report.environment}: {verdict(report)}")
    for heading in ("check", "verdict", "seen", "what to do"):
        made.add_column(heading, overflow="fold")
    for check, group in groupby(report.checks, key=lambda finding: finding.check):
        for place, finding in enumerate(group):
            made.add_row(
                check if place == 0 else "",
                Text(finding.verdict.value, style=STYLES[finding.verdict]),
                Text(f"{finding.name}: {finding.seen}"),
                "" if finding.verdict is Verdict.PASS else Text(finding.todo),
            )
        made.add_section()
    return made


def verdict(report: PreflightReport) -> str:
    """Return the whole report in one line."""
    by_check = {
        check: worst(list(group))
        for check, group in groupby(report.checks, key=lambda finding: finding.check)
    }
    passed = sum(1 for found in by_check.values() if found is Verdict.PASS)
    others = [f"{check} {found}" for check, found in by_check.items() if found is not Verdict.PASS]
    end = f" ({', '.join(others)})" if others else ""
    return f"{'READY' if report.ok else 'NOT READY'}, {passed}/{len(by_check)} checks pass{end}"


def show(report: PreflightReport, console: Console) -> None:
    """Log every finding and the verdict, unless a person is looking; then print the table."""
    if not console.is_terminal:
        for finding in report.checks:
            log.info(
                "finding",
                extra={
                    "check": finding.check,
                    "finding": finding.name,
                    "verdict": finding.verdict.value,
                    "seen": finding.seen,
                    "todo": finding.todo,
                },
            )
        log.info(verdict(report), extra={"ok": report.ok, "report_id": report.report_id})
    console.print(table(report))
