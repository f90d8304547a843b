"""Closing what a halt left: the gatekeeper's own reducing orders, on an operator's word. Pure."""

from __future__ import annotations

from decimal import Decimal

from interlock_core.instrument import Instrument, Side
from interlock_core.money import ZERO, ceil_to, floor_to
from interlock_core.wire.gate import SCHEMA, OrderIntent, Purpose
from interlock_gatekeeper import budget, limits
from interlock_gatekeeper.checks import BPS
from interlock_gatekeeper.limits import FLATTEN_TRIES, REDUCING_COLLAR_BPS
from interlock_gatekeeper.state import Boot, Now, State

# The session and the names of the gatekeeper's own orders: no engine may use either.
SESSION = "gatekeeper"
PREFIX = "flat-"


def problem(state: State) -> str | None:
    """Return why the flattener may not write an order now."""
    if state.session is not None:
        return "a session runs"
    if isinstance(state.phase, Boot):
        return "recovery is not done"
    return "the journal failed" if state.journal_failed else None


def plan(state: State, now: Now) -> list[OrderIntent] | str:
    """Return one limit IOC order for each own position, or why there can be none."""
    blocked = problem(state)
    if blocked is not None:
        return blocked
    if state.open_orders:
        return "orders are not proven ended yet"
    intents = []
    for key, held in sorted(state.positions.items()):
        intent = _closing(state, key, held, now)
        if intent is not None:
            intents.append(intent)
    return intents or "no position can be closed now: no fresh price, too small, or tried 3 times"


def _closing(state: State, key: str, held: Decimal, now: Now) -> OrderIntent | None:
    instrument, reference = state.instruments.get(key), state.references.get(key)
    if instrument is None or reference is None:
        return None
    if now.boot_ns - reference.at_ns > limits.MAX_REDUCING_REFERENCE_AGE_NS:
        return None
    side = Side.SELL if held > ZERO else Side.BUY
    intent = _intent(state, instrument, side, abs(held), now)
    if intent is None or not budget.is_reducing(state, intent):
        return None
    return None if instrument.problem(intent.quantity, intent.price) else intent


def _intent(
    state: State, instrument: Instrument, side: Side, quantity: Decimal, now: Now
) -> OrderIntent | None:
    reference = state.references[instrument.key]
    name = next_name(state, instrument.key)
    if name is None:
        return None
    touch = reference.bid if side is Side.SELL else reference.ask
    share = 1 - REDUCING_COLLAR_BPS / BPS if side is Side.SELL else 1 + REDUCING_COLLAR_BPS / BPS
    # Rounded toward the touch: never beyond the collar.
    rounded = ceil_to if side is Side.SELL else floor_to
    return OrderIntent(
        schema=SCHEMA,
        intent_id=name,
        group_id="flatten--",
        leg="a",
        purpose=Purpose.UNWIND,
        instrument=instrument.key,
        side=side,
        type="limit",
        time_in_force="ioc",
        quantity=instrument.round_quantity(quantity),
        price=rounded(touch * share, instrument.tick_at(touch * share)),
        quoted_price=touch,
        edge_bps=ZERO,
        created_boot_ns=now.boot_ns,
        epoch=state.epoch,
    )


def next_name(state: State, key: str) -> str | None:
    """Return the id of the next try for an instrument, or None after the last one."""
    tries = state.flatten_tries.get(key, 0)
    symbol = "".join(c for c in key if c.isalnum())[:18]
    return f"{PREFIX}{state.epoch}-{symbol}-{tries + 1}" if tries < FLATTEN_TRIES else None
