"""The migrations this program brings: numbered SQL files, read from the package."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources

_NAME = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")


class MigrationError(Exception):
    """The database and this program do not fit together; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name, its SQL and the digest of its SQL."""

    number: int
    name: str
    sql: str = field(repr=False)

    @property
    def sha256(self) -> str:
        """Return the digest that shows whether the file was edited."""
        return hashlib.sha256(self.sql.encode("utf-8")).hexdigest()


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of schema_migrations."""

    number: int
    name: str
    sha256: str


def packaged() -> tuple[Migration, ...]:
    """Return the packaged migrations in order."""
    folder = resources.files("interlock_migrate").joinpath("sql")
    return in_order((file.name, file.read_text("utf-8")) for file in folder.iterdir())


def in_order(files: Iterable[tuple[str, str]]) -> tuple[Migration, ...]:
    """Return migrations by number, or raise MigrationError where the names are not 1, 2, 3, ..."""
    found = []
    for name, sql in files:
        match = _NAME.fullmatch(name)
        if match is None:
            raise MigrationError(f"{name}: expected a name like 0001_tables.sql")
        found.append(Migration(int(match.group(1)), name, sql))
    found.sort(key=lambda migration: migration.name)
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise MigrationError(f"{migration.name}: expected number {expected:04}")
    return tuple(found)


def pending(known: Sequence[Migration], applied: Sequence[Applied]) -> tuple[Migration, ...]:
    """Return what is still to apply, or raise MigrationError where history does not match."""
    for row in applied:
        if row.number > len(known):
            raise MigrationError(
                f"{row.name} was applied by a newer program: upgrade this one, nothing was changed"
            )
        migration = known[row.number - 1]
        if (row.name, row.sha256) != (migration.name, migration.sha256):
            raise MigrationError(
                f"{migration.name} was edited after it was applied as {row.name}: "
                "restore the file and put the change into a new one"
            )
    done = {row.number for row in applied}
    if done != set(range(1, len(done) + 1)):
        raise MigrationError(f"schema_migrations has gaps: {sorted(done)}")
    return tuple(known[len(done) :])
