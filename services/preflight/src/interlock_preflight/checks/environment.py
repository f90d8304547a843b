"""Are the settings consistent, and the same as the gatekeeper's?"""

from __future__ import annotations

import secrets
import shutil
import sys

from interlock_core.wire.health import PATH_ARMED
from interlock_core.wire.preflight import CheckReport
from interlock_preflight.context import Context, Findings, ask

MIN_FREE_BYTES = 200 * 1024 * 1024
FIND = Findings("environment")


def run(context: Context) -> list[CheckReport]:
    """Check the settings, the disk, and that the gatekeeper was configured alike."""
    return [_settings(context), _interpreter(), _disk(context), _configured_alike(context)]


def _settings(context: Context) -> CheckReport:
    settings = context.settings
    if settings.contradictions:
        return FIND.bad("settings", "; ".join(settings.contradictions), "set them as it says")
    seen = (
        f"{settings.environment}, stage {settings.stage}, venues {settings.venues}, "
        f"{settings.universe}, {settings.binance_market}"
    )
    return FIND.good("settings", seen)


def _interpreter() -> CheckReport:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.flags.optimize:
        return FIND.bad("interpreter", f"Python {version} with -O", "run without -O")
    return FIND.good("interpreter", f"Python {version}")


def _disk(context: Context) -> CheckReport:
    folder = next(
        path
        for path in (
            context.settings.runs_dir.absolute(),
            *context.settings.runs_dir.absolute().parents,
        )
        if path.exists()
    )
    free_bytes = shutil.disk_usage(folder).free
    seen = f"{free_bytes // 1024**2} MB free at {folder}"
    if free_bytes < MIN_FREE_BYTES:
        return FIND.bad("disk", seen, f"free {MIN_FREE_BYTES // 1024**2} MB, or set RUNS_DIR")
    return FIND.good("disk", seen)


def _configured_alike(context: Context) -> CheckReport:
    answer = ask(
        context,
        context.settings.gatekeeper_url + PATH_ARMED,
        {"nonce": secrets.token_hex(8)},
    )
    if isinstance(answer, str):
        return FIND.bad("configured alike", answer, "start the gatekeeper, or set GATEKEEPER_URL")
    theirs = str(answer.body.get("config_sha256", ""))
    if theirs != context.settings.config_sha256:
        return FIND.bad(
            "configured alike",
            f"the gatekeeper's digest is {theirs[:12] or 'missing'}, "
            f"ours is {context.settings.config_sha256[:12]}",
            "give both the same ARBITRAGE_ENV, VENUES, STAGE, UNIVERSE and BINANCE_MARKET",
        )
    return FIND.good("configured alike", f"digest {theirs[:12]} on both sides")
