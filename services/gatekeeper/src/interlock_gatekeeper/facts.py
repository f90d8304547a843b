"""What a decision looked at: every number that the journal alone would not rebuild.

A decision's record carries them, so the audit can make the decision again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from interlock_core.instrument import Side, Venue, parse_key
from interlock_core.money import ZERO
from interlock_core.wire.gate import OrderIntent
from interlock_gatekeeper import budget, limits
from interlock_gatekeeper.seen import VenueSeen
from interlock_gatekeeper.state import Now, Session, State


@dataclass(frozen=True, slots=True)
class Facts:
    """Numbers at one instant: USD unless named, ages in nanoseconds, None where unknown."""

    now_boot_ns: int
    lease_until_ns: int | None
    reducing: bool
    journal_works: bool
    is_known: bool = False
    filter_problem: str | None = None
    filters_age_ns: int | None = None
    backing_off: bool = True
    private_age_ns: int | None = None
    bid: Decimal = ZERO
    ask: Decimal = ZERO
    reference_age_ns: int | None = None
    pair_age_ns: int | None = None
    fx_bid: Decimal | None = None
    fx_ask: Decimal | None = None
    fx_age_ns: int | None = None
    fx_median: Decimal | None = None
    notional_usd: Decimal | None = None
    reserved_usd: Decimal = ZERO
    exposure_usd: Decimal | None = None
    unhedged_usd: Decimal | None = None
    pnl_usd: Decimal | None = None
    pnl_peak_usd: Decimal = ZERO
    needed_asset: str = ""
    needed: Decimal = ZERO
    available: Decimal | None = None
    allocation_left: Decimal | None = None
    free_bytes: int | None = None
    anchor_age_ns: int | None = None


def gather(intent: OrderIntent, state: State, now: Now) -> Facts:
    """Return what is seen of the order's world now."""
    key, session, fx = intent.instrument, state.session, state.krw_per_usdt
    venue, _ = parse_key(key)
    seen = state.seen.venues.get(venue, VenueSeen())
    instrument, reference = state.instruments.get(key), state.references.get(key)
    taken = budget.outflow(intent)
    ns = now.boot_ns
    return Facts(
        now_boot_ns=ns,
        lease_until_ns=None if session is None else session.lease_until_ns,
        reducing=budget.is_reducing(state, intent),
        journal_works=not state.journal_failed,
        is_known=instrument is not None,
        filter_problem=None
        if instrument is None
        else instrument.problem(intent.quantity, intent.price),
        filters_age_ns=_age(seen.filters_ns, ns),
        backing_off=ns < seen.back_off_until_ns,
        private_age_ns=_age(seen.private_ok_ns, ns),
        bid=ZERO if reference is None else reference.bid,
        ask=ZERO if reference is None else reference.ask,
        reference_age_ns=None if reference is None else ns - reference.at_ns,
        pair_age_ns=_oldest(state, session, key, ns),
        fx_bid=None if fx is None else fx.bid,
        fx_ask=None if fx is None else fx.ask,
        fx_age_ns=None if fx is None else ns - fx.at_ns,
        fx_median=state.seen.fx_median,
        notional_usd=budget.order_notional_usd(state, intent),
        reserved_usd=budget.reserved_usd(state),
        exposure_usd=budget.exposure_usd(state),
        unhedged_usd=budget.unhedged_usd(state, intent),
        pnl_usd=budget.pnl_usd(state),
        pnl_peak_usd=state.seen.pnl_peak_usd,
        needed_asset=taken.asset,
        needed=taken.amount,
        available=budget.available(state, taken, ns, limits.MAX_BALANCE_AGE_NS),
        allocation_left=_allocation_left(state, session, intent),
        free_bytes=state.seen.self.free_bytes,
        anchor_age_ns=_age(state.seen.self.anchor_ns, ns),
    )


def _age(at_ns: int | None, now_ns: int) -> int | None:
    return None if at_ns is None else now_ns - at_ns


def _oldest(state: State, session: Session | None, key: str, now_ns: int) -> int | None:
    """Return the age of the oldest reference among this asset's instruments and the positions.

    The caps value every position, so an old price of any of them counts too.
    """
    pair = (key,) if session is None else session.pairs.get(key, (key,))
    ages = []
    for name in {*pair, *state.positions}:
        reference = state.references.get(name)
        if reference is None:
            return None
        ages.append(now_ns - reference.at_ns)
    return max(ages)


def _allocation_left(state: State, session: Session | None, intent: OrderIntent) -> Decimal | None:
    """Return how much of a spot asset this session may still sell; None where nothing limits it."""
    venue, _ = parse_key(intent.instrument)
    if session is None or intent.side is Side.BUY or venue is Venue.BINANCE_PERP:
        return None
    given = session.allocation.get(intent.instrument, ZERO)
    held = state.ledger.held.get(intent.instrument, ZERO)
    pending = sum(
        (
            order.intent.quantity
            for order in state.open_orders.values()
            if order.intent.instrument == intent.instrument and order.intent.side is Side.SELL
        ),
        ZERO,
    )
    return given + held - pending


def facts_record(facts: Facts) -> dict[str, Any]:
    """Return facts as a journal record holds them: decimals as texts."""
    values = {name: getattr(facts, name) for name in NAMES}
    return {name: str(v) if type(v) is Decimal else v for name, v in values.items()}


def facts_from(record: Mapping[str, Any]) -> Facts:
    """Return the facts in a journal record."""
    values = dict(record)
    for name in DECIMALS & set(values):
        values[name] = None if values[name] is None else Decimal(values[name])
    return Facts(**values)


NAMES = tuple(f.name for f in fields(Facts))
DECIMALS = frozenset(f.name for f in fields(Facts) if "Decimal" in str(f.type))
