"""JSON lines on standard output, with secrets redacted by value."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from typing import Any

from interlock_core.clock import rfc3339, wall_ns

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MIN_SECRET_CHARS = 6


class JsonFormatter(logging.Formatter):
    """Render a record as one JSON object; replace every known secret by `[redacted]`."""

    def __init__(self, service: str, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._service = service
        self._secrets = tuple(s for s in secrets if len(s) >= _MIN_SECRET_CHARS)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for one record, extra fields included."""
        fields: dict[str, Any] = {
            "ts": rfc3339(wall_ns()),
            "level": record.levelname.lower(),
            "service": self._service,
            "event": record.getMessage(),
        }
        fields.update({k: v for k, v in vars(record).items() if k not in _STANDARD})
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        line = json.dumps(fields, default=str, ensure_ascii=False)
        for secret in self._secrets:
            line = line.replace(secret, "[redacted]")
        return line


def configure(service: str, level: str = "INFO", secrets: Iterable[str] = ()) -> logging.Logger:
    """Send every log line of this process to standard output as JSON; return the root logger."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service, secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    return root
