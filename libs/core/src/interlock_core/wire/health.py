"""What the gatekeeper's read-only health port answers, and when an engine may believe it."""

from __future__ import annotations

from dataclasses import dataclass

from interlock_core.wire.strict import SchemaError, decode

PATH_LIVE = "/health/live"
PATH_READY = "/health/ready"
PATH_ARMED = "/health/armed"
PATH_HEALTH = "/health"

HTTP_OK = 200
TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class ArmedStatus:
    """The body of `/health/armed`."""

    armed: bool
    state: str
    hold: bool
    reasons: tuple[str, ...]
    stage: str
    n_usd: str
    epoch: int
    lease_ms: int
    hard_ms: int | None
    boot_id: str
    config_sha256: str
    nonce: str


@dataclass(frozen=True, slots=True)
class NotArmed:
    """Why an answer does not count as armed; `state` is what the gatekeeper said, if it did."""

    reason: str
    state: str | None = None


def read_armed(
    status: int, body: bytes, *, nonce: str, config_sha256: str
) -> ArmedStatus | NotArmed:
    """Return the status only if it proves "armed" for this question and this configuration."""
    try:
        answer = decode(ArmedStatus, body)
    except SchemaError as error:
        return NotArmed(f"HTTP {status}, not the expected message ({error})")
    if status != HTTP_OK or answer.armed is not True:
        reasons = f": {', '.join(answer.reasons)}" if answer.reasons else ""
        return NotArmed(f"gatekeeper is {answer.state}{reasons}", answer.state)
    if answer.nonce != nonce:
        return NotArmed("stale answer: the nonce is not the one that was sent", answer.state)
    if answer.config_sha256 != config_sha256:
        return NotArmed(
            "gatekeeper was configured differently (ARBITRAGE_ENV, VENUES, STAGE, UNIVERSE, "
            "BINANCE_MARKET must be equal)",
            answer.state,
        )
    return answer
