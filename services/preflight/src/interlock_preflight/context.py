"""What every check is given: the settings, the mode, and one way to ask over HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from interlock_core.clock import Clock
from interlock_core.wire.preflight import CheckReport, Verdict
from interlock_preflight.settings import PreflightSettings

TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of one run. `real` allows connections to real venues."""

    settings: PreflightSettings
    real: bool
    http: httpx.Client
    clock: Clock
    folder: Path

    @property
    def live(self) -> bool:
        """Say whether this stack is set up for real money."""
        return self.settings.environment == "live"

    @property
    def may_ask_venues(self) -> bool:
        """Say whether this run may connect to the venues: simulated ones always."""
        return self.real or self.settings.venues == "simulated"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: its status, its JSON object (empty where it is none), its Date header."""

    status: int
    body: dict[str, Any]
    date: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Makes the reports of one check."""

    check: str

    def good(self, name: str, seen: str) -> CheckReport:
        """Return a finding that is as it should be."""
        return CheckReport(self.check, name, Verdict.PASS, seen, "nothing to do")

    def doubt(self, name: str, seen: str, todo: str) -> CheckReport:
        """Return a finding that does not count as ready for live."""
        return CheckReport(self.check, name, Verdict.WARN, seen, todo)

    def bad(self, name: str, seen: str, todo: str) -> CheckReport:
        """Return a finding that stops the start."""
        return CheckReport(self.check, name, Verdict.FAIL, seen, todo)


def ask(context: Context, url: str, params: dict[str, str] | None = None) -> Answer | str:
    """GET url; return the answer, or in one line why there is none."""
    try:
        answer = context.http.get(url, params=params, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        return f"{url} does not answer ({type(error).__name__})"
    try:
        body = json.loads(answer.content)
    except ValueError:
        body = {}
    return Answer(
        answer.status_code, body if isinstance(body, dict) else {}, answer.headers.get("date", "")
    )
