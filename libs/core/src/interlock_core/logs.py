"""JSON lines on standard output, with secrets redacted by value."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from typing import Any

from interlock_core.clock import rfc3339, wall_ns
from interlock_core.redaction import Redactor

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Render a record as one JSON object; replace every known secret by `[redacted]`."""

    def __init__(self, service: str, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._service = service
        self._redactor = Redactor(secrets)

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
        return self._redactor.text(json.dumps(fields, default=str, ensure_ascii=False))


def configure(service: str, level: str = "INFO", secrets: Iterable[str] = ()) -> logging.Logger:
    """Send every log line of this process to standard output as JSON; return the root logger."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service, secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    return root
