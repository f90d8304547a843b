"""Are the trading keys where they belong, and nowhere else?"""

from __future__ import annotations

import stat
from pathlib import Path

from interlock_core.wire.preflight import CheckReport
from interlock_preflight.context import Context, Findings
from interlock_preflight.settings import TRADING_KEYS

FIND = Findings("secrets")
TOO_OPEN = stat.S_IRWXG | stat.S_IRWXO


def run(context: Context) -> list[CheckReport]:
    """Check that no key stands in the environment, and that key files are closed to others."""
    return [_environment(context), *_files(context)]


def _environment(context: Context) -> CheckReport:
    open_keys = [name for name in context.settings.exposed if name in TRADING_KEYS]
    if open_keys:
        return FIND.bad(
            "environment",
            f"{', '.join(open_keys)} in the environment",
            "unset them; the gatekeeper alone reads keys, from NAME_FILE",
        )
    return FIND.good("environment", "no trading key in the environment")


def _files(context: Context) -> list[CheckReport]:
    files = context.settings.key_files
    if not files:
        # The gatekeeper alone holds them; it says in /health/ready whether it has them.
        return [FIND.good("key files", "none given to this job, as it should be")]
    return [_file(name, path) for name, path in files.items()]


def _file(name: str, path: Path) -> CheckReport:
    try:
        found = path.stat()
    except OSError as error:
        return FIND.bad(name, f"{path}: {error.strerror}", f"mend {name}_FILE")
    if found.st_mode & TOO_OPEN:
        return FIND.bad(
            name, f"{path} has mode {stat.S_IMODE(found.st_mode):04o}", f"chmod 0400 {path}"
        )
    if found.st_size == 0:
        return FIND.bad(name, f"{path} is empty", "put the key into it")
    return FIND.good(name, f"{path}, mode {stat.S_IMODE(found.st_mode):04o}")
