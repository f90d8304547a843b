"""The migration's settings, read once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from interlock_core.common_settings import LOG_LEVEL
from interlock_core.settings import Setting, load, text

ROLES = ("gatekeeper", "engine", "preflight", "reader")

SPEC = (
    LOG_LEVEL,
    Setting("POSTGRES_DSN", text, None, "connection string of the database's owner", secret=True),
    *(
        Setting(
            f"MIGRATE_PASSWORD_{role.upper()}",
            text,
            None,
            f"password that the database role {role} is given",
            secret=True,
        )
        for role in ROLES
    ),
)


@dataclass(frozen=True, slots=True)
class MigrateSettings:
    """Validated settings; `passwords` by role."""

    dsn: str = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)
    log_level: str

    def secrets(self) -> tuple[str, ...]:
        """Return every text that must never appear in a log."""
        return (self.dsn, *self.passwords.values())


def read_settings(environ: Mapping[str, str]) -> MigrateSettings:
    """Return the settings in environ, or raise ConfigError naming every problem."""
    values = load(SPEC, environ)
    passwords = {role: values[f"migrate_password_{role}"] for role in ROLES}
    return MigrateSettings(values["postgres_dsn"], passwords, values["log_level"])
