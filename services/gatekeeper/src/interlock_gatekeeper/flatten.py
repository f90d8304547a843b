"""The gatekeeper's own reducing orders: closing what a halt left, and a leg left unhedged. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from decimal import Decimal

from interlock_core.instrument import Instrument, Side
from interlock_core.money import ZERO, ceil_to, floor_to
from interlock_core.wire.gate import SCHEMA, OrderIntent, Purpose
from interlock_gatekeeper import budget, limits
from interlock_gatekeeper.checks import BPS
from interlock_gatekeeper.limits import FLATTEN_TRIES, LEG_REPAIR_NS, REDUCING_COLLAR_BPS
from interlock_gatekeeper.state import Boot, Group, Live, Now, State

# The session and the names of the gatekeeper's own orders: no engine may use either.
SESSION = "gatekeeper"
PREFIX, GROUP = "flat-", "flatten--"


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
    name = next_name(state, key)
    if name is None:
        return None
    intent = _intent(state, instrument, held, now, name=name, group_id=GROUP)
    if not budget.is_reducing(state, intent):
        return None
    return None if instrument.problem(intent.quantity, intent.price) else intent


def repair(state: State, now: Now, tried: Collection[str]) -> OrderIntent | None:
    """Return the one order that closes a leg which the engine leaves unhedged, in live; or None.

    `tried` holds the intent ids of those that were asked for already.
    """
    if not isinstance(state.phase, Live):
        return None
    busy = {order.intent.group_id for order in state.open_orders.values()}
    for group_id, group in sorted(state.ledger.open_groups.items()):
        since_ns = group.unhedged_since_ns
        late = since_ns is not None and now.boot_ns - since_ns >= LEG_REPAIR_NS
        intent = _repairing(state, group_id, group, now) if late and group_id not in busy else None
        if intent is not None and intent.intent_id not in tried:
            return intent
    return None


def _repairing(state: State, group_id: str, group: Group, now: Now) -> OrderIntent | None:
    for key, held in sorted(group.held.items()):
        instrument, position = state.instruments.get(key), state.positions.get(key, ZERO)
        same_way = (held > ZERO) is (group.gap > ZERO) is (position > ZERO)
        if not same_way or instrument is None or key not in state.references:
            continue
        most = min(abs(group.gap), abs(held), abs(position)).copy_sign(held)
        digest = hashlib.sha256(group_id.encode()).hexdigest()[:16]
        name = f"{PREFIX}{state.epoch}-{digest}"
        return _intent(state, instrument, most, now, name=name, group_id=group_id)
    return None


def _intent(
    state: State, instrument: Instrument, held: Decimal, now: Now, *, name: str, group_id: str
) -> OrderIntent:
    """Return the limit IOC order against a signed quantity held, at the edge of the collar."""
    reference, side = state.references[instrument.key], Side.SELL if held > ZERO else Side.BUY
    touch = reference.bid if side is Side.SELL else reference.ask
    share = 1 - REDUCING_COLLAR_BPS / BPS if side is Side.SELL else 1 + REDUCING_COLLAR_BPS / BPS
    # Rounded toward the touch: never beyond the collar.
    rounded = ceil_to if side is Side.SELL else floor_to
    return OrderIntent(
        schema=SCHEMA,
        intent_id=name,
        group_id=group_id,
        leg="a",
        purpose=Purpose.UNWIND,
        instrument=instrument.key,
        side=side,
        type="limit",
        time_in_force="ioc",
        quantity=instrument.round_quantity(abs(held)),
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
