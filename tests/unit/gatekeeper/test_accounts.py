"""What a reading of the accounts shows the metrics: foreign orders, and the oldest comparison."""

from collections.abc import Mapping
from decimal import Decimal
from types import SimpleNamespace

import pytest
from tests.unit.gatekeeper.conftest import PERP_BTC, UPBIT_BTC, VENUES

from interlock_core.instrument import Side, Venue
from interlock_gatekeeper import accounts as module
from interlock_gatekeeper import records
from interlock_gatekeeper.accounts import Accounts
from interlock_gatekeeper.calls import CallError
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.venues.readings import Holdings, Resting

FUNDS: Mapping[str, Decimal] = {"USDT": Decimal(10**6), "KRW": Decimal(10**9), "BTC": Decimal(10)}


class Desk:
    """Two accounts that answer with what lies in `resting`, or not at all."""

    def __init__(self, bench):
        self.bench, self.metrics = bench, Metrics("paper", "paper")
        self.resting = {venue: [] for venue in VENUES}
        self.silent = set()
        self.calls = {venue: self._calls(venue) for venue in VENUES}
        self.accounts = Accounts(
            calls=list(self.calls.values()),
            machine=bench.machine,
            clock=bench.clock,
            metrics=self.metrics,
            declared=None,
        )

    def _calls(self, venue):
        async def ask(request):
            if venue in self.silent:
                raise CallError("silent")
            return request

        adapter = SimpleNamespace(
            venue=venue,
            holdings_requests=lambda: ["holdings"],
            read_holdings=lambda _: Holdings(FUNDS, FUNDS, {}),
            open_orders_requests=lambda: ["orders"],
            read_open_orders=lambda _: list(self.resting[venue]),
            next_open_orders_request=lambda *_: None,
        )
        return SimpleNamespace(adapter=adapter, ask=ask, seen=self.bench.state.seen.venues[venue])

    def rest(self, venue, *names):
        key = UPBIT_BTC if venue is Venue.UPBIT else PERP_BTC
        self.resting[venue] = [
            Resting(name, f"v-{name}", key, Side.BUY, Decimal(1), Decimal(0)) for name in names
        ]

    async def read(self):
        for calls in self.calls.values():
            await self.accounts._reconcile(calls)

    def value(self, name, **labels):
        self.metrics.show(self.bench.state, self.bench.now)
        return self.metrics.registry.get_sample_value(f"interlock_gatekeeper_{name}", labels)

    def foreign(self, venue):
        return self.value("foreign_orders", venue=venue)


@pytest.fixture
def desk(paper, monkeypatch):
    monkeypatch.setattr(module, "CONFIRM_S", 0.0)
    return Desk(paper)


async def test_an_order_without_a_sent_record_is_counted_without_a_session(desk):
    """By venue, by name or without one, until a reading finds it gone; silence proves nothing."""
    await desk.read()
    assert [desk.foreign(venue) for venue in VENUES] == [0, 0]
    desk.rest(Venue.UPBIT, "web_abc", None)
    await desk.read()
    assert [desk.foreign(venue) for venue in VENUES] == [2, 0]
    desk.rest(Venue.UPBIT)
    desk.silent.add(Venue.UPBIT)
    await desk.read()
    assert desk.foreign(Venue.UPBIT) == 2
    desk.silent.clear()
    await desk.read()
    assert desk.foreign(Venue.UPBIT) == 0


async def test_what_was_sent_is_never_foreign(desk, monkeypatch):
    """Not while it travels, not ended, not forgotten, not after a restart."""
    monkeypatch.setattr(records, "SETTLED_KEPT", 0)
    bench, perp = desk.bench, Venue.BINANCE_PERP
    bench.open()
    order = bench.order(bench.intent()).order
    desk.rest(perp, order.client_order_id)
    await desk.read()
    assert desk.foreign(perp) == 0
    bench.settle(bench.result(order, "0.001"))
    assert order.client_order_id not in bench.state.intent_of
    desk.rest(perp, order.client_order_id, None)
    await desk.read()
    assert desk.foreign(perp) == 1
    bench.restart()
    again = Desk(bench)
    again.rest(perp, order.client_order_id)
    await again.read()
    assert again.foreign(perp) == 0


async def test_the_comparison_is_as_old_as_that_of_the_venue_that_waits_longest(desk):
    """One venue's answers do not hide another's silence; a session begins with what was read."""
    bench = desk.bench
    await desk.read()
    bench.advance(100)
    await desk.accounts.read_all()
    bench.advance(1)
    desk.accounts.begin(bench.open())
    assert desk.value("recon_age_seconds") <= 1
    desk.silent.add(Venue.UPBIT)
    for _ in range(3):
        bench.advance(5)
        await desk.read()
    assert desk.value("recon_age_seconds") == 16
    desk.silent.clear()
    await desk.read()
    assert desk.value("recon_age_seconds") == 0


async def test_a_venue_that_was_never_read_is_infinitely_old(desk):
    """A session over it has nothing to be compared with."""
    for calls in desk.calls.values():
        calls.seen.balances = None
    desk.silent.add(Venue.UPBIT)
    await desk.accounts.read_all()
    desk.accounts.begin(desk.bench.open())
    await desk.read()
    assert desk.value("recon_age_seconds") == float("inf")
