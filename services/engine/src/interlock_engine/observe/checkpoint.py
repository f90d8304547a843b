"""Writes the KPI JSON: whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FILE_NAME = "kpi.json"


def write(folder: Path, document: dict[str, Any]) -> Path:
    """Replace `kpi.json` in folder by the document, durably; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    target, temporary = folder / FILE_NAME, folder / f".{FILE_NAME}.tmp"
    data = json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"
    with temporary.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(target)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return target
