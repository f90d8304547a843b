"""Keep a report: as a JSON file, and as a row in PostgreSQL."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from interlock_core.wire import strict
from interlock_core.wire.preflight import PreflightReport

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 3
INSERT = (
    "INSERT INTO preflight_reports (report_id, at, ok, mode, report) VALUES (%s, %s, %s, %s, %s)"
)


def to_file(report: PreflightReport, runs_dir: Path) -> Path | None:
    """Write RUNS_DIR/preflight/<report_id>.json atomically; None where nothing can be written."""
    path = runs_dir / "preflight" / f"{report.report_id}.json"
    text = json.dumps(strict.plain(report), indent=2) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(text, "utf-8")
        fresh.replace(path)
    except OSError as error:
        # In a container with a read-only root the row in PostgreSQL is the record.
        log.warning("report file not written", extra={"path": str(path), "why": error.strerror})
        return None
    return path


def to_postgres(report: PreflightReport, dsn: str) -> bool:
    """Insert the report; say whether it is there. An outage was already reported by a check."""
    row = (report.report_id, report.at, report.ok, report.mode, Jsonb(strict.plain(report)))
    try:
        with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            connection.execute(INSERT, row)
    except psycopg.Error as error:
        log.warning("report row not written", extra={"why": type(error).__name__})
        return False
    return True
