"""The error that every venue's readings raise."""

from __future__ import annotations


class VenueAnswerError(Exception):
    """The venue refused or answered something else than was asked for: ask again later."""

    def __init__(self, venue: str, status: int, detail: str) -> None:
        self.status = status
        super().__init__(f"{venue} answered HTTP {status}: {detail[:200]}")
