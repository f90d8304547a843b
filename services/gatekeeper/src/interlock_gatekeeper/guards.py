"""The triggers that stop trading by themselves: what holds new risk, and what kills.

Pure: each rule reads the state and says NONE, HOLD or KILL. In paper a rule about the machine or
a venue's manners only ever holds (ADR 0004); one about money or integrity kills there too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from interlock_core.clock import NS_PER_S
from interlock_core.money import ZERO
from interlock_core.wire.gate import Telemetry
from interlock_gatekeeper import budget
from interlock_gatekeeper.limits import ARM_MAX_CLOCK_AGE_NS, MAX_ANCHOR_AGE_NS
from interlock_gatekeeper.seen import EngineSeen, SelfSeen, VenueSeen
from interlock_gatekeeper.state import Now, Session, State

HOLD_CLEAN_NS = 10 * NS_PER_S
HOLD_MAX_NS = 60 * NS_PER_S
HOLDS_MAX = 3

SLOW_MS, STUCK_MS = 100.0, 1_000.0
# Three windows of the 5 s over which a p99 is taken: the third begins 10 s after the first.
SLOW_NS = 10 * NS_PER_S
BUSY_PERCENT, BUSY_NS = 80.0, 15 * NS_PER_S
# The engine's memory limit in compose.yaml; its own word is not asked.
ENGINE_MEMORY_MB = 384.0
MEMORY_HOLD, MEMORY_KILL = 0.85, 0.95
DATA_HOLD_NS, DATA_KILL_NS = 2 * NS_PER_S, 30 * NS_PER_S
BEAT_HOLD_NS = 2 * NS_PER_S
MISSING_KILL = 3
PNL_APART_USD, PNL_APART_SHARE = Decimal("0.5"), Decimal("0.1")
PNL_APART_MARKS = Decimal("0.0005")
PNL_APART_KILL_NS = 60 * NS_PER_S
LEG_HOLD_NS, LEG_KILL_NS = 3 * NS_PER_S, 10 * NS_PER_S
ERRORS_HOLD, ERRORS_HOLD_NS = 5, 10 * NS_PER_S
ERRORS_KILL, ERRORS_KILL_NS = 20, 60 * NS_PER_S
DOUBTS_KILL, DOUBT_KILL_NS = 2, 60 * NS_PER_S
DENIALS_HOLD, DENIALS_HOLD_NS = 10, 10 * NS_PER_S
DENIALS_KILL, DENIALS_KILL_NS = 50, 60 * NS_PER_S
STEP_HOLD_MS, STEP_KILL_MS = 250.0, 2_000.0
OFFSET_HOLD_MS, OFFSET_KILL_MS = 500.0, 900.0


class Level(IntEnum):
    """What a trigger asks for."""

    NONE = 0
    HOLD = 1
    KILL = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the trigger table."""

    cause: str
    hold: str
    kill: str
    level: Callable[[State, Session, Now], Level]
    kills_paper: bool = False


def assess(state: State, session: Session, now: Now) -> tuple[Level, str]:
    """Return the strongest level that any rule asks for, and that rule's cause."""
    worst, cause = Level.NONE, ""
    for rule in RULES:
        level = _capped(rule, state, session, now)
        if level > worst:
            worst, cause = level, rule.cause
    return worst, cause


def _capped(rule: Rule, state: State, session: Session, now: Now) -> Level:
    level = rule.level(state, session, now)
    only_holds = state.environment == "paper" and not rule.kills_paper
    return min(level, Level.HOLD) if only_holds else level


def _by(value: float, hold: float, kill: float) -> Level:
    if not math.isfinite(value):
        return Level.KILL
    return Level.KILL if value > kill else Level.HOLD if value > hold else Level.NONE


def _lasting(since_ns: int | None, now: Now, hold_ns: int, kill_ns: int | None = None) -> Level:
    if since_ns is None:
        return Level.NONE
    age = now.boot_ns - since_ns
    if kill_ns is not None and age > kill_ns:
        return Level.KILL
    return Level.HOLD if age >= hold_ns else Level.NONE


def _latency(state: State, _session: Session, now: Now) -> Level:
    engine, own = state.seen.engine, state.seen.self
    engine_ms = engine.telemetry.loop_p99_ms if engine.telemetry else 0.0
    stuck = max(_by(engine_ms, math.inf, STUCK_MS), _by(own.lag_ms, math.inf, STUCK_MS))
    slow = (_lasting(since, now, SLOW_NS) for since in (engine.slow_since_ns, own.slow_since_ns))
    return max(stuck, *slow)


def _cpu(state: State, _session: Session, now: Now) -> Level:
    since = (state.seen.engine.busy_since_ns, state.seen.self.busy_since_ns)
    return max(_lasting(at_ns, now, BUSY_NS) for at_ns in since)


def _memory(state: State, _session: Session, _now: Now) -> Level:
    telemetry = state.seen.engine.telemetry
    used_mb = telemetry.memory_mb if telemetry else 0.0
    return _by(used_mb, MEMORY_HOLD * ENGINE_MEMORY_MB, MEMORY_KILL * ENGINE_MEMORY_MB)


def _data_age(state: State, session: Session, now: Now) -> Level:
    times = [seen.answered_ns or session.opened_ns for seen in state.seen.venues.values()]
    held = (state.references.get(key) for key in state.positions)
    times += [session.opened_ns if reference is None else reference.at_ns for reference in held]
    if state.krw_per_usdt is not None:
        times.append(state.krw_per_usdt.at_ns)
    return _by(now.boot_ns - min(times), DATA_HOLD_NS, DATA_KILL_NS)


def _heartbeat(state: State, session: Session, now: Now) -> Level:
    beat_ns = state.seen.engine.heartbeat_ns or session.opened_ns
    return Level.HOLD if now.boot_ns - beat_ns > BEAT_HOLD_NS else Level.NONE


def _telemetry(state: State, _session: Session, _now: Now) -> Level:
    missing = state.seen.engine.missing
    return Level.KILL if missing >= MISSING_KILL else Level.HOLD if missing else Level.NONE


def _loss(state: State, session: Session, _now: Now) -> Level:
    pnl = budget.pnl_usd(state)
    if pnl is None:
        return Level.HOLD
    return Level.KILL if -pnl >= session.caps.loss_usd else Level.NONE


def _drawdown(state: State, session: Session, _now: Now) -> Level:
    pnl = budget.pnl_usd(state)
    fell = pnl is not None and state.seen.pnl_peak_usd - pnl >= session.caps.drawdown_usd
    return Level.KILL if fell else Level.NONE


def _gain(state: State, session: Session, _now: Now) -> Level:
    pnl, cap = budget.pnl_usd(state), session.caps.gain_usd
    return Level.KILL if cap is not None and pnl is not None and pnl > cap else Level.NONE


def exact(measured: float) -> Decimal:
    """Return a measured number as the decimal it is written as; zero where it is none."""
    return Decimal(str(measured)) if math.isfinite(measured) else ZERO


def pnl_is_apart(state: State) -> bool:
    """Say whether the engine's result and the gatekeeper's differ by more than they may."""
    own, telemetry = budget.pnl_usd(state), state.seen.engine.telemetry
    if not state.seen.engine.began_flat:
        return False
    if own is None or telemetry is None or not math.isfinite(telemetry.pnl_usd):
        return own is None
    before = state.seen.engine.pnl_before_usd or ZERO
    apart = abs(exact(telemetry.pnl_usd) - before - own)
    # Up to a gross cap of 1000 USD, the marks' share is never more than the half dollar.
    marks = (budget.exposure_usd(state) or ZERO) * PNL_APART_MARKS
    return apart > max(PNL_APART_USD, abs(own) * PNL_APART_SHARE, marks)


def _pnl_apart(state: State, _session: Session, now: Now) -> Level:
    return _lasting(state.seen.engine.pnl_differs_since_ns, now, 2 * NS_PER_S, PNL_APART_KILL_NS)


def _unhedged(state: State, _session: Session, now: Now) -> Level:
    since = [group.unhedged_since_ns for group in state.ledger.open_groups.values()]
    return max((_lasting(at, now, LEG_HOLD_NS, LEG_KILL_NS) for at in since), default=Level.NONE)


def _recon(state: State, _session: Session, _now: Now) -> Level:
    recon = state.seen.recon
    if recon.mismatches and (recon.confirmed or any(m.forced for m in recon.mismatches)):
        return Level.KILL
    return Level.HOLD if recon.mismatches else Level.NONE


def _venue_errors(state: State, session: Session, now: Now) -> Level:
    venues = state.seen.venues.values()
    return max((_errors(seen, session, now) for seen in venues), default=Level.NONE)


def _errors(seen: VenueSeen, session: Session, now: Now) -> Level:
    if seen.shut_out_ns is not None and seen.shut_out_ns >= session.opened_ns:
        return Level.KILL
    if _recent(seen.errors_ns, now, ERRORS_KILL_NS) >= ERRORS_KILL:
        return Level.KILL
    limited = seen.limited_ns is not None and now.boot_ns - seen.limited_ns <= ERRORS_HOLD_NS
    if limited or _recent(seen.errors_ns, now, ERRORS_HOLD_NS) >= ERRORS_HOLD:
        return Level.HOLD
    return Level.NONE


def _recent(times_ns: Iterable[int], now: Now, window_ns: int) -> int:
    return sum(1 for at_ns in times_ns if now.boot_ns - at_ns <= window_ns)


def _doubts(state: State, _session: Session, now: Now) -> Level:
    doubts = state.unknown_orders
    old = any(now.boot_ns - (order.doubt_since_ns or 0) > DOUBT_KILL_NS for order in doubts)
    if len(doubts) >= DOUBTS_KILL or old:
        return Level.KILL
    return Level.HOLD if doubts else Level.NONE


def _denials(state: State, _session: Session, now: Now) -> Level:
    times = state.seen.denials_ns
    if _recent(times, now, DENIALS_KILL_NS) >= DENIALS_KILL:
        return Level.KILL
    many = _recent(times, now, DENIALS_HOLD_NS) >= DENIALS_HOLD
    return Level.HOLD if many else Level.NONE


def _clock(state: State, _session: Session, now: Now) -> Level:
    own = state.seen.self
    stepped = own.wall_step_ns is not None and now.boot_ns - own.wall_step_ns <= HOLD_CLEAN_NS
    step = _by(abs(own.wall_step_ms), STEP_HOLD_MS, STEP_KILL_MS) if stepped else Level.NONE
    return max([step, *(_offset(seen, now) for seen in state.seen.venues.values())])


def _offset(seen: VenueSeen, now: Now) -> Level:
    """Say what a venue's clock asks for; one that was not read lately proves nothing."""
    if seen.clock_error_ms is None or seen.clock_ns is None:
        return Level.HOLD
    if now.boot_ns - seen.clock_ns > ARM_MAX_CLOCK_AGE_NS:
        return Level.HOLD
    return _by(abs(seen.clock_error_ms), OFFSET_HOLD_MS, OFFSET_KILL_MS)


def _self_test(state: State, _session: Session, _now: Now) -> Level:
    return Level.KILL if state.seen.self.selftest_misses else Level.NONE


def _late_arrival(state: State, _session: Session, _now: Now) -> Level:
    return Level.KILL if state.seen.late_arrival else Level.NONE


RULES: tuple[Rule, ...] = (
    Rule("LOOP_LATENCY", "p99 > 100 ms for 3 windows of 5 s", "> 1,000 ms once", _latency),
    Rule("CPU", "> 80 % for 15 s, engine or gatekeeper", "-", _cpu),
    Rule("MEMORY", "engine > 85 % of its limit", "> 95 %", _memory),
    Rule("DATA_AGE", "own prices older than 2 s", "older than 30 s", _data_age),
    Rule("HEARTBEAT", "2 s without one", "the lease of 3 s lapses", _heartbeat),
    Rule("TELEMETRY", "missing or not a number", "3 in a row", _telemetry),
    Rule("LOSS", "result unknown", "loss limit reached", _loss, kills_paper=True),
    Rule("DRAWDOWN", "-", "drawdown limit reached", _drawdown, kills_paper=True),
    Rule("GAIN_IMPLAUSIBLE", "-", "gain > 5 x the loss limit", _gain),
    Rule("PNL_DIFFERS", "engine and gatekeeper > max(0.5 USD, 10 %) apart", "for 60 s", _pnl_apart),
    Rule("UNHEDGED_LEG", "older than 3 s", "older than 10 s; live: closed at 6 s, then", _unhedged),
    Rule("RECONCILE", "books and venue differ", "confirmed 1 s later; forced order", _recon),
    Rule("VENUE_ERRORS", "5 in 10 s, any 429", "20 in 60 s, 418, 401, 403", _venue_errors),
    Rule("UNKNOWN_ORDERS", "1 in doubt", "2 at once, or one older than 60 s", _doubts),
    Rule("DENIALS", "10 in 10 s", "50 in 60 s; any ID_CONFLICT, STALE_EPOCH", _denials),
    Rule("CLOCK", "step > 250 ms, offset > 500 ms", "step > 2 s, offset > 900 ms", _clock),
    Rule("SELFTEST", "-", "a must-deny vector was not denied", _self_test, kills_paper=True),
    Rule("LATE_ARRIVAL", "-", "an order proven absent showed up", _late_arrival, kills_paper=True),
)


def ends_session(state: State, session: Session, now: Now) -> str | None:
    """Return why the session must end in order (not killed); a human arms the next one."""
    cap, streak = session.caps.losing_streak, state.ledger.losing_streak
    if cap is not None and streak >= cap:
        return f"{streak} losing round trips in a row"
    anchor_ns = state.seen.self.anchor_ns
    if state.environment == "live":
        since_ns = session.opened_ns if anchor_ns is None else anchor_ns
        if now.boot_ns - since_ns > MAX_ANCHOR_AGE_NS:
            return "the journal was not anchored for 300 s"
    return None


def note_telemetry(engine: EngineSeen, telemetry: Telemetry | None, now: Now) -> None:
    """Take one heartbeat's telemetry, or the lack of it."""
    if telemetry is None:
        engine.missing += 1
        return
    engine.heartbeat_ns, engine.telemetry, engine.missing = now.boot_ns, telemetry, 0
    engine.slow_since_ns = _since(engine.slow_since_ns, telemetry.loop_p99_ms > SLOW_MS, now)
    engine.busy_since_ns = _since(engine.busy_since_ns, telemetry.cpu_percent > BUSY_PERCENT, now)


def note_load(own: SelfSeen, *, lag_ms: float, cpu_percent: float, now: Now) -> None:
    """Take one window of this process's own loop lag and CPU."""
    own.lag_ms, own.lag_ns = lag_ms, now.boot_ns
    own.slow_since_ns = _since(own.slow_since_ns, lag_ms > SLOW_MS, now)
    own.busy_since_ns = _since(own.busy_since_ns, cpu_percent > BUSY_PERCENT, now)


def note_pnl(state: State, now: Now) -> None:
    """Note since when the engine's result and ours are apart."""
    engine = state.seen.engine
    engine.pnl_differs_since_ns = _since(engine.pnl_differs_since_ns, pnl_is_apart(state), now)


def _since(since_ns: int | None, holds: bool, now: Now) -> int | None:  # noqa: FBT001 - a measured condition
    if not holds:
        return None
    return now.boot_ns if since_ns is None else since_ns
