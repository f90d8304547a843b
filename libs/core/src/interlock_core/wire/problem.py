"""RFC 9457 problem documents: every refusal over HTTP says a stable code and one line."""

from __future__ import annotations

from dataclasses import dataclass

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal. `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def problem(status: int, code: str, detail: str) -> Problem:
    """Return the problem document for a code."""
    return Problem(f"urn:interlock:problem:{code.lower()}", code, status, detail, code)
