"""Generated passwords and addresses of the embedded stores: files that only this user can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def private_folder(folder: Path) -> Path:
    """Make a folder that only this user can open; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    return folder


def write(path: Path, text: str) -> None:
    """Write a file, atomically, that only this user can read."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    fresh.replace(path)


def password(path: Path) -> str:
    """Return the password kept in a file; make one where there is none yet."""
    if not path.exists():
        write(path, secrets.token_hex(24) + "\n")
    return path.read_text("utf-8").strip()
