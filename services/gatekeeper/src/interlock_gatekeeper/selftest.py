"""Must-deny vectors: what the running checks have to refuse, asked at arm and every 60 s.

Each vector breaks one thing in a world in which the order would be approved. A vector that is
approved, or refused for another reason, is a miss; so is a world in which nothing is approved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Instrument, Side, Venue
from interlock_core.reasons import DenyReason
from interlock_core.wire.gate import SCHEMA, OrderIntent, Purpose
from interlock_gatekeeper import limits, policy
from interlock_gatekeeper.limits import SMOKE
from interlock_gatekeeper.seen import Balances, Reference, VenueSeen
from interlock_gatekeeper.state import (
    Bucket,
    Expired,
    Group,
    Hold,
    Killed,
    Live,
    Now,
    OpenOrder,
    Session,
    State,
    shape_of,
)

NOW = Now(wall_ns=1_800_000_000 * NS_PER_S, boot_ns=1_000_000 * NS_PER_S)
PERP, SPOT = "BINANCE_PERP:BTCUSDT", "UPBIT:KRW-BTC"
EPOCH = 7


@dataclass(slots=True)
class World:
    """A state and an order in it."""

    state: State
    intent: OrderIntent

    def order(self, **changes: Any) -> None:
        """Change the order."""
        self.intent = replace(self.intent, **changes)

    @property
    def running(self) -> Session:
        """Return the session, or raise LookupError."""
        session = self.state.session
        if session is None:
            raise LookupError("no session")
        return session

    def session(self, **changes: Any) -> None:
        """Change the session."""
        self.state.phase = Live(replace(self.running, **changes))

    def caps(self, **changes: Any) -> None:
        """Change the session's caps."""
        self.session(caps=replace(self.running.caps, **changes))

    @property
    def perp(self) -> VenueSeen:
        """Return what is seen of the order's venue."""
        return self.state.seen.venues[Venue.BINANCE_PERP]

    def reference(self, bid: str, ask: str, age_s: int = 0, key: str = PERP) -> None:
        """Set a reference price."""
        at_ns = NOW.boot_ns - age_s * NS_PER_S
        self.state.references[key] = Reference(Decimal(bid), Decimal(ask), at_ns)

    def fx(self, bid: str, ask: str, age_s: int = 0) -> None:
        """Set KRW per USDT."""
        at_ns = NOW.boot_ns - age_s * NS_PER_S
        self.state.krw_per_usdt = Reference(Decimal(bid), Decimal(ask), at_ns)


def good_world() -> World:
    """Return a live smoke session in which an order of 10 USD is approved."""
    state = State(environment="live", epoch=EPOCH)
    session = Session(
        session_id="selftest",
        epoch=EPOCH,
        stage="smoke",
        instruments=frozenset({PERP, SPOT}),
        pairs={PERP: (PERP, SPOT), SPOT: (PERP, SPOT)},
        allocation={},
        caps=SMOKE,
        opened_ns=NOW.boot_ns - 60 * NS_PER_S,
        lease_until_ns=NOW.boot_ns + limits.LEASE_NS,
        hard_deadline_ns=NOW.boot_ns + 240 * NS_PER_S,
    )
    state.phase = Live(session)
    state.instruments = {PERP: _PERP, SPOT: _SPOT}
    at_ns = NOW.boot_ns
    seen = VenueSeen(
        filters_ns=at_ns,
        private_ok_ns=at_ns,
        answered_ns=at_ns,
        clock_error_ms=10.0,
        clock_ns=at_ns,
    )
    funds = {"USDT": Decimal(100), "KRW": Decimal(100_000)}
    for venue in (Venue.BINANCE_PERP, Venue.UPBIT):
        balances = Balances(funds, funds, {}, NOW.boot_ns)
        state.seen.venues[venue] = replace(seen, balances=balances)
    state.seen.fx_median = Decimal(1400)
    state.seen.self.free_bytes = 2 * limits.MIN_FREE_BYTES
    state.seen.self.anchor_ns = NOW.boot_ns
    world = World(state, _INTENT)
    world.reference("9999", "10000")
    world.reference("13990000", "14000000", key=SPOT)
    world.fx("1399", "1400")
    return world


_PERP = Instrument(
    venue=Venue.BINANCE_PERP,
    symbol="BTCUSDT",
    asset="BTC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    max_quantity=Decimal(1000),
    min_notional=Decimal(5),
    max_notional=None,
)
_SPOT = replace(
    _PERP,
    venue=Venue.UPBIT,
    symbol="KRW-BTC",
    quote="KRW",
    tick=None,
    lot=Decimal("0.00000001"),
    min_quantity=Decimal(0),
    min_notional=Decimal(5000),
)
_INTENT = OrderIntent(
    schema=SCHEMA,
    intent_id="selftest-intent",
    group_id="selftest-group",
    leg="a",
    purpose=Purpose.ENTRY,
    instrument=PERP,
    side=Side.BUY,
    type="limit",
    time_in_force="ioc",
    quantity=Decimal("0.001"),
    price=Decimal(10_000),
    quoted_price=Decimal(10_000),
    edge_bps=Decimal(20),
    created_boot_ns=NOW.boot_ns,
    epoch=EPOCH,
)


def _open(world: World, name: str = "other", *, unknown: bool = False, usd: str = "10") -> None:
    other = replace(_INTENT, intent_id=f"{name}-intent", group_id=f"{name}-group")
    world.state.open_orders[other.intent_id] = OpenOrder(
        client_order_id=name,
        session_id="selftest",
        intent=other,
        intent_sha256="",
        notional_usd=Decimal(usd),
        reducing=False,
        unknown=unknown,
    )


def _age(world: World, **ages_s: int) -> None:
    for name, age_s in ages_s.items():
        setattr(world.perp, name, NOW.boot_ns - age_s * NS_PER_S)


def _groups(world: World, *names: str, **changes: Any) -> None:
    ledger = world.state.ledger
    for name in names:
        ledger.groups[name] = ledger.open_groups[name] = Group("BTC", NOW.boot_ns, **changes)


def _spend(world: World, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(world.state.ledger, name, value)


def _bucket(world: World, name: str) -> None:
    world.state.ledger.buckets[name] = Bucket(Decimal(0), NOW.boot_ns)


def _own(world: World, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(world.state.seen.self, name, value)


def _phase(world: World, phase: Killed | Expired) -> None:
    world.state.phase = phase


def _fail_journal(world: World) -> None:
    world.state.journal_failed = True


def _sell_spot(world: World) -> None:
    world.order(instrument=SPOT, side=Side.SELL, price=Decimal(13_990_000))
    world.order(quoted_price=Decimal(13_990_000))
    balances = Balances({"BTC": Decimal(1)}, {"BTC": Decimal(1)}, {}, NOW.boot_ns)
    world.state.seen.venues[Venue.UPBIT].balances = balances


def _no_money(world: World) -> None:
    world.perp.balances = Balances({"USDT": Decimal(1)}, {}, {}, NOW.boot_ns)


def _old_money(world: World) -> None:
    at_ns = NOW.boot_ns - limits.MAX_BALANCE_AGE_NS - 1
    world.perp.balances = Balances({"USDT": Decimal(100)}, {}, {}, at_ns)


def _repeat(world: World) -> None:
    world.state.ledger.opens_ns[PERP] = [NOW.boot_ns] * 6


def _lose(world: World, usd: str, peak: str = "0") -> None:
    world.state.ledger.cash_usd = Decimal(usd)
    world.state.seen.pnl_peak_usd = Decimal(peak)


def _strange_position(world: World) -> None:
    world.state.positions["UPBIT:KRW-ETH"] = Decimal(1)
    world.reference("1", "1", key="UPBIT:KRW-ETH")
    del world.state.references["UPBIT:KRW-ETH"]


def _doubt(world: World) -> None:
    world.caps(unhedged_usd=Decimal(50))
    _open(world, unknown=True)


S = NS_PER_S
VECTORS: tuple[tuple[DenyReason, Callable[[World], Any]], ...] = (
    (DenyReason.KILLED, lambda w: _phase(w, Killed("TEST", 0))),
    (DenyReason.NOT_LIVE, lambda w: _phase(w, Expired())),
    (DenyReason.HOLD, lambda w: setattr(w.state, "hold", Hold("TEST", NOW.boot_ns))),
    (DenyReason.STALE_EPOCH, lambda w: w.order(epoch=EPOCH - 1)),
    (DenyReason.STALE_EPOCH, lambda w: w.order(epoch=EPOCH + 1)),
    (DenyReason.LEASE, lambda w: w.session(lease_until_ns=NOW.boot_ns)),
    (DenyReason.DEADLINE, lambda w: w.session(hard_deadline_ns=NOW.boot_ns + 2 * S)),
    (DenyReason.STALE_INTENT, lambda w: w.order(created_boot_ns=NOW.boot_ns - S // 2 - 1)),
    (DenyReason.STALE_INTENT, lambda w: w.order(created_boot_ns=NOW.boot_ns + 1)),
    (
        DenyReason.DUP_SHAPE,
        lambda w: w.state.ledger.shapes_ns.update({shape_of(w.intent): NOW.boot_ns - 2 * S + 1}),
    ),
    (DenyReason.SYMBOL, lambda w: w.session(instruments=frozenset({SPOT}))),
    (DenyReason.TYPE_TIF, lambda w: w.order(type="market")),
    (DenyReason.TYPE_TIF, lambda w: w.order(time_in_force="gtc")),
    (DenyReason.VENUE_FILTER, lambda w: w.order(price=Decimal("9999.95"))),
    (DenyReason.VENUE_FILTER, lambda w: w.order(quantity=Decimal("0.0015"))),
    (DenyReason.VENUE_FILTER, lambda w: _age(w, filters_ns=3601)),
    (DenyReason.VENUE_DOWN, lambda w: _age(w, private_ok_ns=11)),
    (DenyReason.VENUE_DOWN, lambda w: _age(w, back_off_until_ns=-1)),
    (DenyReason.REF_STALE, lambda w: w.reference("9999", "10000", age_s=3)),
    (DenyReason.REF_STALE, lambda w: w.reference("13990000", "14000000", 3, SPOT)),
    (DenyReason.REF_STALE, _strange_position),
    (DenyReason.REF_DIVERGE, lambda w: w.order(quoted_price=Decimal(10_101))),
    (DenyReason.PRICE_COLLAR, lambda w: w.order(price=Decimal("10050.1"))),
    (DenyReason.FX_BAD, lambda w: w.fx("899", "1400")),
    (DenyReason.FX_BAD, lambda w: w.fx("1399", "1400", age_s=61)),
    (DenyReason.FX_BAD, lambda w: setattr(w.state.seen, "fx_median", Decimal(1300))),
    (DenyReason.EDGE_IMPLAUSIBLE, lambda w: w.order(edge_bps=Decimal(301))),
    (DenyReason.EDGE_IMPLAUSIBLE, lambda w: w.order(edge_bps=Decimal(0))),
    (DenyReason.ORDER_MAX, lambda w: w.order(quantity=Decimal("0.002"))),
    (DenyReason.GROSS_MAX, lambda w: _open(w, usd="40")),
    (DenyReason.UNHEDGED_MAX, _open),
    (DenyReason.GROUP_MAX, lambda w: _groups(w, "group-1", "group-2")),
    (DenyReason.LEG, lambda w: _groups(w, "selftest-group", entered={"a"})),
    (DenyReason.LEG, lambda w: w.order(purpose=Purpose.REPAIR)),
    (DenyReason.OPEN_ORDERS, lambda w: w.caps(open_orders=0)),
    (DenyReason.TURNOVER, lambda w: _spend(w, turnover_usd=Decimal(495))),
    (DenyReason.ORDER_COUNT, lambda w: _spend(w, orders=100)),
    (DenyReason.RATE, lambda w: _bucket(w, "BINANCE_PERP")),
    (DenyReason.SYMBOL_RATE, lambda w: _bucket(w, PERP)),
    (DenyReason.REPEAT, _repeat),
    (DenyReason.LOSS, lambda w: _lose(w, "-5")),
    (DenyReason.DRAWDOWN, lambda w: _lose(w, "1", peak="5")),
    (DenyReason.BALANCE, _no_money),
    (DenyReason.BALANCE, _old_money),
    (DenyReason.BALANCE, _sell_spot),
    (DenyReason.UNKNOWN_LIMIT, _doubt),
    (DenyReason.AUDIT, _fail_journal),
    (DenyReason.AUDIT, lambda w: _own(w, free_bytes=limits.MIN_FREE_BYTES - 1)),
    (DenyReason.AUDIT, lambda w: _own(w, anchor_ns=NOW.boot_ns - 301 * S)),
)


def run() -> tuple[str, ...]:
    """Return what the checks let through or refused for a wrong reason; empty when all is well."""
    world = good_world()
    misses = []
    verdict = policy.evaluate(world.intent, world.state, NOW)
    if isinstance(verdict, policy.Denied):
        misses.append(f"the good order was refused: {verdict.reason}")
    for number, (expected, spoil) in enumerate(VECTORS, start=1):
        world = good_world()
        spoil(world)
        verdict = policy.evaluate(world.intent, world.state, NOW)
        got = verdict.reason if isinstance(verdict, policy.Denied) else "approved"
        if got != expected:
            misses.append(f"vector {number}: expected {expected}, was {got}")
    return tuple(misses)
