"""Fuzz each target with atheris: `python -m tests.fuzz.run SECONDS`, split among the targets."""

import subprocess
import sys
import tempfile
from pathlib import Path

SPLIT_ARGUMENTS, ONE_ARGUMENT = 2, 1


def one(name, seconds):
    """Fuzz one target in this process, which ends with it."""
    import atheris  # noqa: PLC0415 - instruments only what is imported after it

    with atheris.instrument_imports(include=["interlock_core", "interlock_gatekeeper"]):
        from tests.fuzz.seeds import SEEDS  # noqa: PLC0415
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=9000", "-rss_limit_mb=1024", corpus]
        atheris.Setup([sys.argv[0], *options], TARGETS[name])
        atheris.Fuzz()


def every(seconds):
    """Fuzz all targets, one after the other; return how many found something."""
    from tests.fuzz.seeds import SEEDS  # noqa: PLC0415

    failed = [name for name in SEEDS if not _passes(name, max(seconds // len(SEEDS), 1))]
    print(f"failed: {', '.join(failed) or 'none'}")  # noqa: T201
    return len(failed)


def _passes(name, seconds):
    command = [sys.executable, "-m", "tests.fuzz.run", name, str(seconds)]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if len(arguments) == SPLIT_ARGUMENTS:
        one(arguments[0], int(arguments[1]))
    sys.exit(every(int(arguments[0])))
