"""Which session a starting engine runs: one that an earlier process left unfinished, or a new one.

A session is unfinished until its ledger says that it ended with nothing left open. It is gone on
with under the settings it began with; under others its numbers would mean something else. Unless
it is asked for by name, one that has nothing open and stood still for long is left as it is.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from interlock_core import ids
from interlock_core.clock import NS_PER_S, Clock
from interlock_core.settings import ConfigError
from interlock_engine.ledger import records
from interlock_engine.ledger.file import FILE_NAME, Ledger, LedgerError, decode
from interlock_engine.ledger.records import Begun, Ended, Record
from interlock_engine.observe import checkpoint
from interlock_engine.observe.kpi import SessionFacts
from interlock_engine.settings import EngineSettings

log = logging.getLogger(__name__)

TAIL_BYTES = 65_536
STALE_NS = 900 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Run:
    """One process's part of a session: its facts, its ledger, and what the ledger held before."""

    facts: SessionFacts
    ledger: Ledger
    records: list[Record] = field(default_factory=list)


def choose(settings: EngineSettings, clock: Clock) -> Run:
    """Return the session to run, its ledger open; raise ConfigError or LedgerError."""
    if settings.session_id is not None:
        return _named(settings, settings.session_id, clock)
    for folder in _unfinished(settings.runs_dir):
        try:
            run = _resumed(settings, folder, clock)
        except LedgerError as error:
            log.error("an earlier session cannot be read", extra={"why": str(error)})  # noqa: TRY400
            continue
        if run is not None:
            return run
    return _new(settings, ids.new_session_id(clock.wall_ns(), settings.environment), clock)


def _named(settings: EngineSettings, session_id: str, clock: Clock) -> Run:
    folder = settings.runs_dir / session_id
    if not (folder / FILE_NAME).exists():
        if (folder / checkpoint.FILE_NAME).exists():
            raise _used(session_id)
        return _new(settings, session_id, clock)
    if _has_ended(folder):
        raise _used(session_id)
    run = _resumed(settings, folder, clock)
    if run is None:
        raise ConfigError(
            [f"SESSION_ID: {session_id} began under other settings: set them again to go on"]
        )
    return run


def _used(session_id: str) -> ConfigError:
    # Its intent ids would be those of the earlier run, and the gatekeeper would refuse them.
    return ConfigError([f"SESSION_ID: {session_id} was run before, expected a new one"])


def _unfinished(runs_dir: Path) -> Iterator[Path]:
    """Yield the folders of sessions that did not end, newest name first."""
    if not runs_dir.is_dir():
        return
    for folder in sorted(runs_dir.iterdir(), reverse=True):
        if (folder / FILE_NAME).is_file() and not _has_ended(folder):
            yield folder


def _has_ended(folder: Path) -> bool:
    """Say whether the last whole line says so; only the file's end is read."""
    with (folder / FILE_NAME).open("rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(size - TAIL_BYTES, 0))
        lines = handle.read().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    if not whole:
        return False
    try:
        return isinstance(next(decode(whole[-1])), Ended)
    except ValueError:
        return False


def _new(settings: EngineSettings, session_id: str, clock: Clock) -> Run:
    facts = _facts(settings, session_id, clock.wall_ns(), clock)
    ledger = Ledger(settings.runs_dir / session_id)
    begun = Begun(
        schema=records.SCHEMA,
        session_id=session_id,
        environment=facts.environment,
        stage=facts.stage,
        universe=facts.universe,
        config_sha256=facts.config_sha256,
        started_wall_ns=facts.started_wall_ns,
    )
    _keep(ledger, begun)
    return Run(facts, ledger)


def _keep(ledger: Ledger, record: Record) -> None:
    if not ledger.append(record):
        raise LedgerError(ledger.failed)


def _resumed(settings: EngineSettings, folder: Path, clock: Clock) -> Run | None:
    """Return the run that goes on with a session, or None where it is not to be gone on with."""
    still_ns = clock.wall_ns() - (folder / FILE_NAME).stat().st_mtime_ns
    ledger = Ledger(folder)
    try:
        kept = ledger.read()
        begun = next((record for record in kept if isinstance(record, Begun)), None)
        if begun is None or not _is_same(begun, settings):
            log.warning(
                "an earlier session did not end: start with its settings to go on with it",
                extra={"folder": str(folder)},
            )
        elif settings.session_id or still_ns < STALE_NS or _has_open(kept):
            resumed = records.Resumed(clock.wall_ns())
            _keep(ledger, resumed)
            facts = _facts(settings, begun.session_id, begun.started_wall_ns, clock)
            return Run(facts, ledger, [*kept, resumed])
    except LedgerError:
        ledger.close()
        raise
    ledger.close()
    return None


def _is_same(begun: Begun, settings: EngineSettings) -> bool:
    return (begun.environment, begun.stage, begun.universe, begun.config_sha256) == (
        settings.environment,
        settings.stage,
        settings.universe,
        settings.config_sha256,
    )


def _has_open(kept: list[Record]) -> bool:
    opened = sum(isinstance(record, records.Opened) for record in kept)
    over = (records.Finished, records.Undone, records.Released)
    return opened > sum(isinstance(record, over) for record in kept)


def _facts(
    settings: EngineSettings, session_id: str, started_wall_ns: int, clock: Clock
) -> SessionFacts:
    return SessionFacts(
        session_id=session_id,
        environment=settings.environment,
        stage=settings.stage,
        universe=settings.universe,
        config_sha256=settings.config_sha256,
        started_wall_ns=started_wall_ns,
        # The boot-time clock may have begun anew since: only the wall clock spans processes.
        started_boot_ns=clock.boot_ns() - max(clock.wall_ns() - started_wall_ns, 0),
    )
