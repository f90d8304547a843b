"""What the console shows, as plain values: one picture of the gatekeeper at one instant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import overload

from interlock_core.clock import NS_PER_MS
from interlock_core.money import CENT, ZERO
from interlock_gatekeeper import budget
from interlock_gatekeeper.health import Health
from interlock_gatekeeper.state import Armed, Disarmed, Expired, Killed, State


@dataclass(frozen=True, slots=True)
class InDoubt:
    """An order of which nobody knows yet whether the venue took it."""

    client_order_id: str
    instrument: str
    side: str
    quantity: str
    age_ms: int


@dataclass(frozen=True, slots=True)
class Residual:
    """What a halt could not end; whoever resets over it repeats the hash."""

    hash: str
    orders: tuple[str, ...]
    positions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one intent: APPROVED, or the reason of the veto."""

    at_ms: int
    intent_id: str
    instrument: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class VenueView:
    """How well the gatekeeper knows a venue."""

    venue: str
    up: bool
    ref_age_ms: int | None
    private_age_ms: int | None
    clock_offset_ms: int | None
    note: str


@dataclass(frozen=True, slots=True)
class View:
    """Everything on the page. None means that it is not known, or does not apply.

    `arm_failures` pairs a code with how to mend it; `verdicts` begins with the newest.
    """

    at_ms: int
    environment: str
    state: str
    cause: str | None
    hold: str | None
    stage: str
    armed: bool
    reasons: tuple[str, ...]
    arm_failures: tuple[tuple[str, str], ...]
    arm_left_ms: int | None
    lease_left_ms: int | None
    hard_left_ms: int | None
    heartbeat_age_ms: int | None
    epoch: int
    n_usd: str
    reserved_usd: str | None
    exposure_usd: str | None
    unhedged_usd: str | None
    unhedged_cap_usd: str | None
    pnl_usd: str | None
    loss_limit_usd: str | None
    drawdown_usd: str | None
    drawdown_limit_usd: str | None
    turnover_usd: str | None
    open_orders: int
    in_doubt: tuple[InDoubt, ...]
    positions: tuple[tuple[str, str], ...]
    residual: Residual | None
    halt_phase: str | None
    verdicts: tuple[Verdict, ...]
    venues: tuple[VenueView, ...]
    audit_seq: int
    anchor_age_ms: int | None
    selftest_age_ms: int | None
    boot_id: str


def view_of(health: Health, *, audit_seq: int) -> View:
    """Return the picture that health and the journal's length can give."""
    state, now = health.state, health.now
    _, status = health.armed_answer("")
    phase, session, own = state.phase, state.session, state.seen.self
    pnl = budget.pnl_usd(state) if session else None
    caps = session.caps if session else None
    return View(
        at_ms=now.wall_ns // NS_PER_MS,
        environment=state.environment,
        state=status.state,
        cause=phase.cause if isinstance(phase, Killed) else None,
        hold=state.holding,
        stage=status.stage,
        armed=status.armed,
        reasons=tuple(status.reasons),
        arm_failures=health.arm_failures() if isinstance(phase, Disarmed) else (),
        arm_left_ms=_until_ms(phase.until_ns if isinstance(phase, Armed) else None, health),
        lease_left_ms=_until_ms(session.lease_until_ns if session else None, health),
        hard_left_ms=status.hard_ms,
        heartbeat_age_ms=_age_ms(state.seen.engine.heartbeat_ns, health) if session else None,
        epoch=state.epoch,
        n_usd=status.n_usd,
        reserved_usd=_text(budget.reserved_usd(state)),
        exposure_usd=_text(budget.exposure_usd(state)),
        unhedged_usd=_text(budget.unhedged_usd(state)) if session else None,
        unhedged_cap_usd=_text(caps.unhedged_usd) if caps else None,
        pnl_usd=_cents(pnl),
        loss_limit_usd=_text(caps.loss_usd) if caps else None,
        drawdown_usd=_cents(None if pnl is None else max(state.seen.pnl_peak_usd - pnl, ZERO)),
        drawdown_limit_usd=_text(caps.drawdown_usd) if caps else None,
        turnover_usd=_cents(state.ledger.turnover_usd) if session else None,
        open_orders=len(state.open_orders),
        in_doubt=tuple(_in_doubt(health)),
        positions=tuple((key, str(value)) for key, value in state.positions.items()),
        residual=_residual(state),
        halt_phase=_halt_phase(state),
        verdicts=tuple(
            Verdict(v.at_wall_ns // NS_PER_MS, v.intent_id, v.instrument, v.code, v.detail)
            for v in reversed(state.seen.verdicts)
        ),
        venues=tuple(_venues(health)),
        audit_seq=audit_seq,
        anchor_age_ms=_age_ms(own.anchor_ns, health),
        selftest_age_ms=_age_ms(own.selftest_ns, health),
        boot_id=health.boot_id,
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _cents(value: Decimal | None) -> str | None:
    return None if value is None else str(value.quantize(CENT))


def _residual(state: State) -> Residual | None:
    left = state.residual
    if left is None:
        return None
    positions = tuple((key, str(value)) for key, value in left.positions.items())
    return Residual(left.sha256, left.orders, positions)


def _halt_phase(state: State) -> str | None:
    """Return how far the halt of an ended or killed session has come."""
    if not isinstance(state.phase, Killed | Expired):
        return None
    if state.flat:
        return "FLAT"
    if state.residual is not None:
        return "RESIDUAL"
    return "RESOLVE" if state.open_orders else "SWEEP"


def _in_doubt(health: Health) -> Iterator[InDoubt]:
    for order in health.state.unknown_orders:
        intent = order.intent
        age_ms = _age_ms(intent.created_boot_ns, health)
        yield InDoubt(
            order.client_order_id, intent.instrument, intent.side, str(intent.quantity), age_ms
        )


def _venues(health: Health) -> Iterator[VenueView]:
    for venue, seen in health.state.seen.venues.items():
        problems = [text for text in health.venue_problems if f" {venue} " in text]
        offset = seen.clock_offset_ms
        yield VenueView(
            venue=venue,
            up=not problems,
            ref_age_ms=_age_ms(seen.answered_ns, health),
            private_age_ms=_age_ms(seen.private_ok_ns, health),
            clock_offset_ms=None if offset is None else round(offset),
            note="; ".join(problems),
        )


def _until_ms(until_ns: int | None, health: Health) -> int | None:
    return None if until_ns is None else max(until_ns - health.now.boot_ns, 0) // NS_PER_MS


@overload
def _age_ms(since_ns: int, health: Health) -> int: ...


@overload
def _age_ms(since_ns: int | None, health: Health) -> int | None: ...


def _age_ms(since_ns: int | None, health: Health) -> int | None:
    return None if since_ns is None else max(health.now.boot_ns - since_ns, 0) // NS_PER_MS
