"""Read files that others must not be able to read, change or swap."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_BYTES = 4096


class ClosedFileError(Exception):
    """The file is missing, or open to others; nothing in it may be used."""


def read_closed(
    path: Path, *, forbidden: int, uid: int | None, max_bytes: int = MAX_BYTES
) -> bytes:
    """Return what a regular file holds, or raise ClosedFileError where others could get at it.

    `forbidden` are the mode bits that it must not have; `uid` who must own it, None for anyone. A
    link may lead to another name in the same folder or below it, as mounted secrets do.
    """
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(path.parent.resolve()):
            raise ClosedFileError(f"{path} is a link out of its folder")
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(real, flags), "rb") as handle:
            found = os.fstat(handle.fileno())
            raw = handle.read(max_bytes + 1) if stat.S_ISREG(found.st_mode) else b""
    except OSError as error:
        raise ClosedFileError(f"cannot read {path}: {error.strerror}") from error
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        raise ClosedFileError(f"{path} is not a regular file")
    if mode & forbidden:
        raise ClosedFileError(
            f"{path} has mode {mode:04o}; run chmod {mode & ~forbidden:04o} on it"
        )
    if uid is not None and found.st_uid != uid:
        raise ClosedFileError(f"{path} belongs to uid {found.st_uid}, expected {uid}")
    if len(raw) > max_bytes:
        raise ClosedFileError(f"{path} is larger than {max_bytes} bytes")
    return raw
