"""The state table: which event may lead from which phase to which.

The machine decides; this table says what it may decide. A test drives the machine through every
pair, another holds the table against the design's model (model/interlock.pml).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from interlock_gatekeeper.state import PHASE_NAMES

PHASES = tuple(PHASE_NAMES.values())
EVENTS = (
    "recovered",  # a new process replayed the journal up to this phase
    "arm",
    "disarm",
    "window_lapses",
    "open",
    "heartbeat",
    "close",
    "hard_deadline",
    "lease_lapses",
    "kill",
    "reset",
    "flat",  # every order is proven ended
    "restart",
)

_IDLE = frozenset({"DISARMED", "PAPER"})
# A phase that stands in its own row may also refuse the event.
_CHANGES = {
    ("BOOT", "recovered"): _IDLE,
    ("BOOT", "restart"): _IDLE,
    ("DISARMED", "arm"): frozenset({"ARMED", "DISARMED"}),
    ("ARMED", "recovered"): frozenset({"DISARMED"}),
    ("ARMED", "restart"): frozenset({"DISARMED"}),
    ("ARMED", "disarm"): frozenset({"DISARMED"}),
    ("ARMED", "window_lapses"): frozenset({"DISARMED"}),
    ("ARMED", "open"): frozenset({"LIVE", "ARMED"}),
    ("LIVE", "disarm"): frozenset({"EXPIRED"}),
    ("LIVE", "close"): frozenset({"EXPIRED"}),
    ("LIVE", "hard_deadline"): frozenset({"EXPIRED"}),
    ("LIVE", "lease_lapses"): frozenset({"KILLED"}),
    ("LIVE", "recovered"): frozenset({"KILLED"}),
    ("LIVE", "restart"): frozenset({"KILLED"}),
    ("EXPIRED", "flat"): frozenset({"DISARMED"}),
    ("EXPIRED", "recovered"): frozenset({"DISARMED"}),
    ("EXPIRED", "restart"): frozenset({"DISARMED"}),
    ("KILLED", "reset"): _IDLE | {"KILLED"},
    **{(phase, "kill"): frozenset({"KILLED"}) for phase in PHASES},
}

# Total: where nothing is said, the phase stays.
TRANSITIONS: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType(
    {
        (phase, event): _CHANGES.get((phase, event), frozenset({phase}))
        for phase in PHASES
        for event in EVENTS
    }
)
