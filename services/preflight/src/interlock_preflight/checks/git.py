"""Which code is this, is it as it was committed, and is no secret in it?"""

from __future__ import annotations

import subprocess

from interlock_core.common_settings import UNKNOWN_COMMIT
from interlock_core.wire.preflight import CheckReport
from interlock_preflight.context import Context, Findings

TIMEOUT_S = 10
FIND = Findings("git")
# Simulated accounts' values may be public: nothing can be bought with them.
HARMLESS = ("secrets/paper/", ".env.example")


def run(context: Context) -> list[CheckReport]:
    """Check commit and cleanliness of the checkout, and that no secret file is tracked."""
    commit, built = _git(context, "rev-parse", "HEAD"), context.settings.commit
    if commit is None:
        return [_built(built)]
    if built != UNKNOWN_COMMIT and not commit.startswith(built):
        seen = f"running {built[:12]}, checked out is {commit[:12]}"
        return [FIND.doubt("commit", seen, "start the stack of this checkout")]
    changed = (_git(context, "status", "--porcelain") or "").splitlines()
    tracked = (_git(context, "ls-files", "secrets", ".env", ".env.*") or "").splitlines()
    return [_clean(commit[:12], len(changed)), _tracked(tracked)]


def _built(commit: str) -> CheckReport:
    """An image holds committed code and no file of secrets: there is nothing more to look at."""
    if commit == UNKNOWN_COMMIT:
        return FIND.doubt("commit", "no git checkout, commit unknown", "set INTERLOCK_COMMIT")
    return FIND.good("commit", f"{commit[:12]}, as it was built")


def _clean(commit: str, changed: int) -> CheckReport:
    if changed:
        return FIND.doubt(
            "commit", f"{commit}, {changed} files changed since", "commit or undo the changes"
        )
    return FIND.good("commit", f"{commit}, nothing changed since")


def _tracked(tracked: list[str]) -> CheckReport:
    secret = [name for name in tracked if not name.startswith(HARMLESS)]
    if secret:
        return FIND.bad(
            "tracked secrets", f"{secret[0]} is in git", "remove it, and replace what it held"
        )
    return FIND.good("tracked secrets", "none in git")


def _git(context: Context, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed argument list, no shell
            ["git", "-C", str(context.folder), *arguments],  # noqa: S607 - found on PATH
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
