"""Which commit the native stack's code is."""

from __future__ import annotations

import subprocess
from pathlib import Path

from interlock_core.common_settings import UNKNOWN_COMMIT

TIMEOUT_S = 5


def checked_out_commit(folder: Path) -> str:
    """Return the commit that is checked out in a folder; `unknown` where there is no git."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed argument list, no shell
            ["git", "-C", str(folder), "rev-parse", "HEAD"],  # noqa: S607 - found on PATH
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return UNKNOWN_COMMIT
    return done.stdout.strip() if done.returncode == 0 else UNKNOWN_COMMIT
