"""Shown books under faults: they stand still or cross, and no update is lost or out of order."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock_core.clock import NS_PER_MS, ManualClock
from interlock_core.instrument import Venue
from interlock_simvenues.binance.channels import Channels
from interlock_simvenues.binance.face import Face
from interlock_simvenues.binance.limits import PERP, Limiter
from interlock_simvenues.binance.public import MarketData
from interlock_simvenues.faults.faults import Faults
from interlock_simvenues.faults.rule import parse
from interlock_simvenues.market.assets import universe
from interlock_simvenues.market.calibration import REGIMES
from interlock_simvenues.market.instruments import Instrument, Status, build
from interlock_simvenues.market.synthetic import Synthetic
from interlock_simvenues.metrics import Metrics
from interlock_simvenues.upbit.public import Quotation
from interlock_simvenues.world import Funds, World

STEP_NS = 100 * NS_PER_MS
BINANCE = (Venue.BINANCE, Venue.BINANCE_PERP)


class Market:
    """A small world that moves by hand, with one subscriber to the depth of one market."""

    def __init__(self, venue: Venue, *, rate: str = "100ms") -> None:
        self.clock = ManualClock()
        self.faults = Faults(seed=1)
        assets = universe()[:2]
        instruments = build(assets, first_update_id=100)
        source = Synthetic(instruments, assets, seed=1, regime=REGIMES["lively"])
        source.start(self.clock.wall_ns())
        funds = Funds(
            krw=Decimal(1), usdt_spot=Decimal(1), usdt_perp=Decimal(1), inventory_usd=Decimal(1)
        )
        self.world = World(
            instruments=instruments,
            source=source,
            funds=funds,
            clock=self.clock,
            metrics=Metrics(),
            faults=self.faults,
        )
        face = Face(venue, self.world, Limiter(PERP, enabled=False), self.clock)
        self.data = MarketData(face)
        self.item = face.instruments["BTCUSDT"]
        self.upbit = Quotation(self.world)
        self.moved: list[Instrument] = []
        self.frames: list[dict[str, Any]] = []
        channels = Channels(face)
        self.world.step()
        channel = channels.open(f"btcusdt@depth@{rate}")
        assert channel is not None

        def publish(moved: list[Instrument], printed: list[Instrument], now_ns: int) -> None:
            self.moved = moved
            channels.begin(moved, printed, now_ns)
            self.frames += [json.loads(frame) for frame in channel.frames()]

        self.world.publishers.append(publish)

    def run(self, steps: int) -> None:
        """Move the market."""
        for _ in range(steps):
            self.clock.advance(STEP_NS)
            self.world.step()

    def add(self, **rule: Any) -> str:
        """Load a rule now."""
        return self.faults.add([parse(rule)], self.clock.wall_ns())[0]

    def rest(self) -> Any:
        """Return what GET depth shows."""
        return self.data.depth({"symbol": "BTCUSDT", "limit": "5000"})


class Client:
    """A book kept as the venue's documents say: snapshot, then joined updates."""

    def __init__(self, snapshot: Any) -> None:
        self.last = snapshot["lastUpdateId"]
        self.sides = {side: dict(snapshot[side]) for side in ("bids", "asks")}
        self.joined = False

    def update(self, frame: dict[str, Any]) -> None:
        """Apply one depthUpdate; fail where it does not join."""
        if frame["u"] <= self.last:
            return
        if self.joined:
            assert frame["U"] == self.last + 1
            assert frame.get("pu", self.last) == self.last
        else:
            assert frame["U"] <= self.last + 1
        self.joined, self.last = True, frame["u"]
        for side, key in (("bids", "b"), ("asks", "a")):
            for price, size in frame[key]:
                if Decimal(size):
                    self.sides[side][price] = size
                else:
                    self.sides[side].pop(price, None)

    def best(self) -> tuple[Decimal, Decimal]:
        """Return the best bid and ask."""
        return max(map(Decimal, self.sides["bids"])), min(map(Decimal, self.sides["asks"]))


def _shown(market: Market) -> dict[str, dict[str, str]]:
    rest = market.rest()
    return {side: dict(rest[side]) for side in ("bids", "asks")}


@settings(max_examples=25, deadline=None)
@given(
    venue=st.sampled_from(BINANCE),
    rate=st.sampled_from(("100ms", "500ms")),
    acts=st.lists(
        st.tuples(
            st.sampled_from(("stale_book", "crossed_book", "clear")),
            st.sampled_from((None, 200)),
            st.integers(1, 4),
        ),
        max_size=6,
    ),
)
def test_a_client_s_book_is_the_real_one_again_after_any_faults(
    venue: Venue, rate: str, acts: list[tuple[str, int | None, int]]
) -> None:
    """Whatever stood still or crossed, updates join, and end at the book that orders meet."""
    market = Market(venue, rate=rate)
    client = Client(market.rest())
    for kind, ms, steps in acts:
        if kind == "clear":
            market.faults.clear()
        else:
            market.add(kind=kind, ms=ms)
        market.run(steps)
    market.faults.clear()
    market.run(11)
    for frame in market.frames:
        client.update(frame)
    # A slow stream may owe the last steps; what REST shows then follows from one more frame.
    for _ in range(50):
        if client.last == market.item.book.update_id:
            break
        market.run(1)
        for frame in market.frames:
            client.update(frame)
    assert client.last == market.item.book.update_id
    assert market.item.shown is market.item.book
    assert client.sides == _shown(market)


@pytest.mark.parametrize("venue", BINANCE)
def test_a_stale_book_sends_nothing_and_rest_agrees(venue: Venue) -> None:
    """Streams are silent, REST stands still with its time, orders meet a moving book."""
    market = Market(venue)
    market.add(kind="stale_book", symbol="BTCUSDT")
    market.run(1)
    market.frames.clear()
    before, real = market.rest(), dict(market.item.book.bids)
    market.run(20)
    after = market.rest()
    assert market.frames == []
    assert {**after, "E": None} == {**before, "E": None}
    assert dict(market.item.book.bids) != real
    assert all(item is not market.item for item in market.moved)


@pytest.mark.parametrize("venue", BINANCE)
def test_a_crossed_book_is_crossed_everywhere(venue: Venue) -> None:
    """REST and the followed stream have a bid over the ask; the real book has not."""
    market = Market(venue)
    client = Client(market.rest())
    market.add(kind="crossed_book", symbol="BTCUSDT")
    market.run(5)
    for frame in market.frames:
        client.update(frame)
    bid, ask = client.best()
    assert bid > ask
    rest = market.rest()
    assert Decimal(rest["bids"][0][0]) > Decimal(rest["asks"][0][0])
    best_bid, best_ask = market.item.book.bids.best(), market.item.book.asks.best()
    assert best_bid is not None
    assert best_ask is not None
    assert best_bid < best_ask


@pytest.mark.parametrize("kind", ["stale_book", "crossed_book"])
def test_a_book_fault_is_over_when_its_time_is(kind: str) -> None:
    """One hit of 300 ms, then the real book; the log has it once."""
    market = Market(Venue.BINANCE)
    market.add(kind=kind, symbol="BTCUSDT", count=1, ms=300)
    covered = []
    for _ in range(6):
        market.run(1)
        covered.append(market.item.shown is not market.item.book)
    assert covered == [True, True, True, False, False, False]
    assert len(market.faults.log) == 1


def test_upbit_books_of_other_markets_go_on() -> None:
    """A stale KRW-BTC stands still with its own time; the rest of Upbit moves."""
    market = Market(Venue.BINANCE)
    market.add(kind="stale_book", venue="upbit", symbol="KRW-BTC")
    market.run(1)
    codes = {"markets": ",".join(market.world.instruments.of(Venue.UPBIT))}
    before: Any = market.upbit.orderbook(codes)
    market.run(30)
    after: Any = market.upbit.orderbook(codes)
    moved = [row["market"] for row, was in zip(after, before, strict=True) if row != was]
    assert "KRW-BTC" not in moved
    assert moved


def test_a_status_follows_its_rule() -> None:
    """Halted and delisted for as long as the rule is loaded."""
    market = Market(Venue.BINANCE)
    rule = market.add(kind="halted", venue="binance", symbol="BTCUSDT")
    market.run(1)
    assert market.item.status is Status.HALTED
    market.faults.remove(rule)
    market.run(1)
    assert market.item.status is Status.TRADING


@pytest.mark.parametrize("kind", ["stale_book", "crossed_book"])
def test_update_ids_never_go_back(kind: str) -> None:
    """Not when a fault begins, not while it lasts, and not when the real book is shown again."""
    market = Market(Venue.BINANCE)
    ids = []
    for step in range(30):
        if step % 4 == 0:
            market.add(kind=kind, symbol="BTCUSDT", count=1, ms=200)
        market.run(1)
        ids.append(market.rest()["lastUpdateId"])
    assert ids == sorted(ids)
    assert len(set(ids)) > 10
