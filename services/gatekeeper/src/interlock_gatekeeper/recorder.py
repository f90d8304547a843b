"""The foundation of the state machine: what changes the state is recorded, nothing else does.

Pure: no I/O, no clock, no await. A method reads the state, applies the records it decided on in
the same tick, and keeps them for the shell to journal before it acts or answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from interlock_core.wire.gate import OrderIntent
from interlock_gatekeeper import halt
from interlock_gatekeeper.limits import Lowered
from interlock_gatekeeper.records import (
    Kind,
    Record,
    apply,
)
from interlock_gatekeeper.state import (
    State,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A no with its stable code and one line for a person."""

    code: str
    detail: str


class Recorder:
    """One State and the records that were decided on it since the shell last took them."""

    def __init__(
        self,
        state: State,
        *,
        config_sha256: str,
        has_secrets: bool,
        commit: str = "unknown",
        lowered: Lowered | None = None,
    ) -> None:
        self.state = state
        self._config_sha256 = config_sha256
        self._has_secrets = has_secrets
        self._commit = commit
        self._lowered = lowered
        self._records: list[Record] = []
        self._halting = halt.Progress()
        # The intent ids of the gatekeeper's own repairs: each is asked for once.
        self._tried: set[str] = set()

    def take_records(self) -> list[Record]:
        """Return the records decided since the last call, in order."""
        records, self._records = self._records, []
        return records

    def _record(self, kind: Kind, **data: object) -> None:
        self._apply(Record(kind, data))

    def _apply(self, record: Record, intent: OrderIntent | None = None) -> None:
        before = self.state.phase_name
        apply(self.state, record, intent)
        self._records.append(replace(record, before=before, after=self.state.phase_name))
