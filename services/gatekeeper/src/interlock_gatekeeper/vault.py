"""The trading keys: read from files that only this user can read, kept here, shown nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock_gatekeeper.closed_files import ClosedFileError, read_closed
from interlock_gatekeeper.settings import LIVE_SECRETS, GateSettings

MIN_CHARS = 16
PLACEHOLDERS = ("changeme", "placeholder", "your_", "xxxx", "example", "<")


class VaultError(Exception):
    """A key file is unusable; the process must not start with it."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """One venue's key and secret; the secret is never part of a representation."""

    key: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Vault:
    """The keys of this process's venues."""

    upbit: KeyPair
    binance: KeyPair

    def secrets(self) -> tuple[str, ...]:
        """Return every text that must never appear in a log."""
        return (self.upbit.key, self.upbit.secret, self.binance.key, self.binance.secret)


# Paper's accounts exist inside the simulator only; these protect nothing.
PAPER_VAULT = Vault(
    upbit=KeyPair("sim-upbit-access-key", "sim-upbit-secret-key-0123456789abcdef"),
    binance=KeyPair("sim-binance-api-key", "sim-binance-api-secret-0123456789abcdef"),
)


def open_vault(settings: GateSettings) -> Vault | None:
    """Return paper's keys, the live keys, or None where no live key file is configured.

    Raises VaultError where a configured file is missing, readable by others, or a placeholder.
    """
    if settings.environment == "paper":
        if settings.secret_files:
            raise VaultError(
                "paper must not see live keys: unset " + ", ".join(sorted(settings.secret_files))
            )
        return PAPER_VAULT
    if not settings.secret_files:
        return None
    missing = [name for name in LIVE_SECRETS if name not in settings.secret_files]
    if missing:
        raise VaultError(f"set {', '.join(f'{name}_FILE' for name in missing)} as well")
    keys = _read_all(settings.secret_files, settings.key_files_uid)
    if len(set(keys.values())) < len(keys):
        raise VaultError(f"two of {', '.join(sorted(keys))} are equal: one is in a wrong file")
    return Vault(
        upbit=KeyPair(keys["UPBIT_ACCESS_KEY"], keys["UPBIT_SECRET_KEY"]),
        binance=KeyPair(keys["BINANCE_API_KEY"], keys["BINANCE_API_SECRET"]),
    )


def _read_all(files: Mapping[str, Path], uid: int) -> dict[str, str]:
    return {name: _read(name, path, uid) for name, path in files.items()}


def _read(name: str, path: Path, uid: int) -> str:
    try:
        raw = read_closed(path, forbidden=0o077, uid=uid)
    except ClosedFileError as error:
        raise VaultError(f"{name}_FILE: {error}") from error
    text = raw.decode("ascii", errors="replace").strip()
    if len(text) < MIN_CHARS or not (raw.isascii() and text.isprintable()):
        raise VaultError(f"{name}_FILE: {path} does not hold a key")
    if any(word in text.lower() for word in PLACEHOLDERS):
        raise VaultError(f"{name}_FILE: {path} holds a placeholder")
    return text
