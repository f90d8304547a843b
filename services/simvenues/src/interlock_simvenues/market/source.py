"""What every market source offers to the rest of the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from interlock_simvenues.market.instruments import Instrument

STEP_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Label:
    """What a result made with this market must name; `detail` says what was derived from what."""

    source: str
    regime: str | None
    detail: str


class Source(Protocol):
    """Moves the books. `step` is called every STEP_NS and is the only writer of source levels."""

    label: Label

    def step(self, now_ns: int) -> list[Instrument]:
        """Advance to now and return the instruments whose book or tape changed."""
        ...

    def is_live(self, now_ns: int) -> bool:
        """Say whether the prices are still moving."""
        ...

    async def stop(self) -> None:
        """Close what the source holds open."""
        ...
