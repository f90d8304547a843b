"""Declared settings: every problem is reported by variable name before anything starts.

A service lists its settings once, as a tuple of `Setting`. `load` reads them from the environment
(or from the file that `NAME_FILE` names), parses them, and raises one `ConfigError` that holds
every problem. `.env.example` is generated from the same declarations.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

MAX_SECRET_BYTES = 8192


class ConfigError(Exception):
    """The configuration is unusable: fix the named variables and start again."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its parser, its default as text, and its meaning.

    A default of None means the variable is required. A secret may come from `NAME_FILE` only or
    from `NAME`, is never shown, and is stripped of surrounding white space.
    """

    name: str
    parse: Callable[[str], Any]
    default: str | None
    help: str
    secret: bool = False


def load(spec: Sequence[Setting], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the parsed values by lower-case name, or raise ConfigError with every problem."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in spec:
        try:
            raw = _raw_value(setting, environ)
            values[setting.name.lower()] = setting.parse(raw)
        except ValueError as error:
            problems.append(f"{setting.name}: {error}")
    if problems:
        raise ConfigError(problems)
    return values


def _raw_value(setting: Setting, environ: Mapping[str, str]) -> str:
    direct = environ.get(setting.name)
    file_name = environ.get(f"{setting.name}_FILE")
    if direct and file_name:
        raise ValueError(f"set {setting.name} or {setting.name}_FILE, not both")
    if file_name:
        return _read_file(Path(file_name))
    if direct is not None and direct != "":
        return direct
    if setting.default is None:
        raise ValueError(f"expected a value, was missing ({setting.help})")
    return setting.default


def _read_file(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            raw = handle.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    if len(raw) > MAX_SECRET_BYTES:
        raise ValueError(f"{path} is larger than {MAX_SECRET_BYTES} bytes")
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text") from error
    if not text:
        raise ValueError(f"{path} is empty")
    return text


def text(raw: str) -> str:
    """Accept any text."""
    return raw


def optional_text(raw: str) -> str | None:
    """Accept any text; empty means None."""
    return raw or None


def choice(*allowed: str) -> Callable[[str], str]:
    """Accept exactly one of the allowed words."""

    def parse(raw: str) -> str:
        if raw not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}, was {raw!r}")
        return raw

    return parse


def integer(low: int, high: int) -> Callable[[str], int]:
    """Accept a whole number in [low, high], in ASCII digits."""

    def parse(raw: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", raw):
            raise ValueError(f"expected a whole number, was {raw!r}")
        value = int(raw)
        if not low <= value <= high:
            raise ValueError(f"expected {low}..{high}, was {value}")
        return value

    return parse


def decimal(low: str, high: str) -> Callable[[str], Decimal]:
    """Accept a finite decimal in [low, high]."""

    def parse(raw: str) -> Decimal:
        try:
            value = Decimal(raw)
        except InvalidOperation as error:
            raise ValueError(f"expected a decimal number, was {raw!r}") from error
        if not value.is_finite() or not Decimal(low) <= value <= Decimal(high):
            raise ValueError(f"expected {low}..{high}, was {raw!r}")
        return value

    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    """Accept a finite float in [low, high]."""
    exact = decimal(repr(low), repr(high))

    def parse(raw: str) -> float:
        return float(exact(raw))

    return parse


def path(raw: str) -> Path:
    """Accept a file-system path."""
    return Path(raw)


def optional_path(raw: str) -> Path | None:
    """Accept a file-system path; empty means None."""
    return Path(raw) if raw else None


def http_url(raw: str) -> str:
    """Accept an http or https URL without a trailing slash, credentials, query or fragment."""
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?(/[A-Za-z0-9._\-/]*)?", raw):
        raise ValueError(f"expected http(s)://host[:port][/path], was {raw!r}")
    return raw.rstrip("/")


def describe(spec: Sequence[Setting]) -> str:
    """Return the settings as help text, one block a setting."""
    blocks = []
    for setting in spec:
        default = "required" if setting.default is None else f"default: {setting.default or 'none'}"
        suffix = ", or NAME_FILE" if setting.secret else ""
        blocks.append(f"  {setting.name}\n      {setting.help} ({default}{suffix})")
    return "\n".join(blocks)


def environment() -> Mapping[str, str]:
    """Return the process environment: the one place that reads it."""
    return os.environ
