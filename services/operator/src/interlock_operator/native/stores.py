"""The stack's two stores: the operator's own servers where given, else embedded ones."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from interlock_operator.errors import EXIT_USAGE, OperatorError
from interlock_operator.native import postgres, secret_files, valkey
from interlock_operator.native.gates import postgres_ok, redis_ok
from interlock_operator.native.supervisor import Service

# The services' database roles: each logs in as itself, with its own rights.
ROLES = ("gatekeeper", "engine", "preflight", "reader")
STORE_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """Where the stores' addresses and passwords lie, in files that only this user can read."""

    folder: Path

    @property
    def owner_dsn(self) -> Path:
        """Return the file with the database owner's connection string."""
        return self.folder / "owner_postgres_dsn"

    @property
    def redis_url(self) -> Path:
        """Return the file with the Redis URL."""
        return self.folder / "redis_url"

    def role_dsn(self, role: str) -> Path:
        """Return the file with a role's connection string."""
        return self.folder / f"{role}_postgres_dsn"

    def role_password(self, role: str) -> Path:
        """Return the file with a role's password."""
        return self.folder / f"pg_{role}"

    def migrate_environment(self) -> Mapping[str, str]:
        """Return the settings by which the migration finds every password."""
        return {
            f"MIGRATE_PASSWORD_{role.upper()}_FILE": str(self.role_password(role)) for role in ROLES
        }


def postgres_services(
    files: StoreFiles, native_dir: Path, port: int, given_dsn: str | None
) -> tuple[Service, ...]:
    """Write every connection string; return the embedded server, or nothing where one is given."""
    if given_dsn:
        _write_dsns(files, given_dsn)
        return ()
    cluster = postgres.prepare(postgres.find_server(), native_dir / "postgres")
    _write_dsns(files, cluster.dsn(port))
    return (
        Service(
            name="postgres",
            argv=tuple(cluster.command(port)),
            env=STORE_ENVIRONMENT,
            gate=postgres_ok(lambda: postgres.ensure_database(cluster, port)),
            # "Fast shutdown": end the connections and stop.
            stop_signal=signal.SIGINT,
            # Nobody trades on it: what it missed is caught up with.
            restarts=True,
        ),
    )


def redis_services(
    files: StoreFiles, native_dir: Path, port: int, given_url: str | None
) -> tuple[Service, ...]:
    """Write the URL; return the embedded server, or nothing where one is given."""
    if given_url:
        secret_files.write(files.redis_url, given_url + "\n")
        return ()
    command, url = valkey.prepare(native_dir / "redis", port)
    secret_files.write(files.redis_url, url + "\n")
    return (
        Service(
            name="redis",
            argv=tuple(command),
            env=STORE_ENVIRONMENT,
            gate=redis_ok(url),
            restarts=True,
        ),
    )


def _write_dsns(files: StoreFiles, owner_dsn: str) -> None:
    secret_files.private_folder(files.folder)
    secret_files.write(files.owner_dsn, owner_dsn + "\n")
    try:
        conninfo_to_dict(owner_dsn)
    except psycopg.ProgrammingError as error:
        raise OperatorError(f"POSTGRES_DSN: {str(error).strip()}", exit_code=EXIT_USAGE) from None
    for role in ROLES:
        password = secret_files.password(files.role_password(role))
        dsn = make_conninfo(owner_dsn, user=role, password=password)
        secret_files.write(files.role_dsn(role), dsn + "\n")
