"""What the process does to itself before it reads a key, and when it will not run at all."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Iterable, Mapping, Sequence

PR_SET_DUMPABLE = 4
UMASK = 0o077
ROOT = 0


class HardeningError(Exception):
    """The process cannot be protected: it must not read a key."""


def harden() -> None:
    """Leave no core dump, let no other process of this user look inside, write for us alone.

    Metrics still work: a process may always read its own /proc/self, file descriptors included.
    Raises HardeningError under `python -O`, which removes asserts from the libraries too, or
    where the kernel refuses.
    """
    if sys.flags.optimize:
        raise HardeningError("python -O and PYTHONOPTIMIZE remove checks: start without them")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise HardeningError("the kernel refused PR_SET_DUMPABLE")
    os.umask(UMASK)


def refusals(
    *,
    real_venues: bool,
    secrets: Iterable[str],
    environ: Mapping[str, str],
    argv: Sequence[str],
) -> tuple[str, ...]:
    """Return every reason not to run here with these secrets; no reason shows one of them."""
    found = []
    if real_venues and ROOT in (os.getuid(), os.geteuid()):
        found.append("VENUES=real must not run as root: use a user of its own")
    known = tuple(secrets)
    for name, value in environ.items():
        if any(secret in value for secret in known):
            found.append(
                f"{name}: a trading key stands in this variable: unset it, replace the key"
            )
    if any(secret in argument for secret in known for argument in argv):
        found.append("a trading key stands on the command line: replace the key")
    return tuple(found)
