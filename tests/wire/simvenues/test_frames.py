"""Golden bytes of the simulator's side of the wire, from the venues' documents."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from interlock_core.clock import ManualClock
from interlock_core.instrument import Side, Venue
from interlock_simvenues.binance import events
from interlock_simvenues.binance.channels import Channels
from interlock_simvenues.binance.face import Face
from interlock_simvenues.binance.limits import PERP, SPOT, Limiter
from interlock_simvenues.binance.private import SpotTrading
from interlock_simvenues.binance.private_perp import PerpTrading
from interlock_simvenues.binance.public import MarketData
from interlock_simvenues.binance.user_stream import report
from interlock_simvenues.faults.faults import Faults
from interlock_simvenues.market.assets import universe
from interlock_simvenues.market.calibration import REGIMES
from interlock_simvenues.market.instruments import build
from interlock_simvenues.market.synthetic import Synthetic
from interlock_simvenues.matching.book import Levels
from interlock_simvenues.matching.orders import OrderEvent
from interlock_simvenues.metrics import Metrics
from interlock_simvenues.upbit import encode
from interlock_simvenues.upbit.private import Trading
from interlock_simvenues.upbit.public import Quotation
from interlock_simvenues.upbit.requests import RequestError, parse
from interlock_simvenues.world import Funds, World

UNIT = 100_000_000


def _levels(*pairs: tuple[str, str]) -> Levels:
    return {int(Decimal(p) * UNIT): int(Decimal(s) * UNIT) for p, s in pairs}


@pytest.fixture
def world() -> World:
    """A world whose BTC books are the ones written here; its clock stands still."""
    assets = universe()
    instruments = build(assets, first_update_id=100)
    clock = ManualClock()
    source = Synthetic(instruments, assets, seed=1, regime=REGIMES["lively"])
    source.start(clock.wall_ns())
    funds = Funds(
        krw=Decimal(100_000_000),
        usdt_spot=Decimal(100_000),
        usdt_perp=Decimal(100_000),
        inventory_usd=Decimal(2_000),
    )
    made = World(
        instruments=instruments,
        source=source,
        funds=funds,
        clock=clock,
        metrics=Metrics(),
        faults=Faults(seed=7),
    )
    now = clock.wall_ns()
    instruments.of(Venue.UPBIT)["KRW-BTC"].book.refresh(
        _levels(("116538000", "0.5")), _levels(("116539000", "0.00929")), now
    )
    for venue in (Venue.BINANCE, Venue.BINANCE_PERP):
        instruments.of(venue)["BTCUSDT"].book.refresh(
            _levels(("79000.0", "1.5")), _levels(("79000.1", "0.25")), now
        )
    return made


def _face(world: World, venue: Venue) -> Face:
    limits = PERP if venue is Venue.BINANCE_PERP else SPOT
    return Face(venue, world, Limiter(limits, enabled=True), world.clock)


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (116_539_000 * UNIT, "1.16539E8"),
        (10_000_000 * UNIT, "1.0E7"),
        (9_999_000 * UNIT, "9999000.0"),
        (929_000, "0.00929"),
        (92_900, "9.29E-4"),
        (0, "0.0"),
    ],
)
def test_upbit_prints_doubles_as_java_does(units: int, text: str) -> None:
    """Exponents from ten million on and below a thousandth."""
    assert encode.number(units) == text
    assert float(text) == units / UNIT


def test_upbit_orderbook_frames(world: World) -> None:
    """DEFAULT and SIMPLE, byte for byte."""
    item = world.instruments.of(Venue.UPBIT)["KRW-BTC"]
    default = encode.orderbook_frame(item, stream="SNAPSHOT", units=30, simple=False)
    assert default == (
        b'{"type":"orderbook","code":"KRW-BTC","timestamp":1700000000000,'
        b'"total_ask_size":0.00929,"total_bid_size":0.5,"orderbook_units":['
        b'{"ask_price":1.16539E8,"bid_price":1.16538E8,"ask_size":0.00929,"bid_size":0.5}],'
        b'"stream_type":"SNAPSHOT","level":0}'
    )
    simple = encode.orderbook_frame(item, stream="REALTIME", units=30, simple=True)
    assert simple == (
        b'{"ty":"orderbook","cd":"KRW-BTC","tms":1700000000000,"tas":0.00929,"tbs":0.5,'
        b'"obu":[{"ap":1.16539E8,"bp":1.16538E8,"as":0.00929,"bs":0.5}],"st":"REALTIME","lv":0}'
    )


def test_upbit_rest_books_are_plain_and_padded(world: World) -> None:
    """Thin sides are filled with zeros; units in the venue's order."""
    (row,) = Quotation(world).orderbook({"markets": "KRW-BTC", "count": "2"})  # type: ignore[misc]
    assert json.dumps(row["orderbook_units"]) == (
        '[{"ask_price": 116539000, "bid_price": 116538000, "ask_size": 0.00929, "bid_size": 0.5},'
        ' {"ask_price": 0, "bid_price": 0, "ask_size": 0, "bid_size": 0}]'
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nope", "WRONG_FORMAT"),
        ('{"ticket":"x"}', "WRONG_FORMAT"),
        ('[{"type":"trade","codes":["KRW-BTC"]}]', "NO_TICKET"),
        ('[{"ticket":"x"}]', "NO_TYPE"),
        ('[{"ticket":"x"},{"type":"trade"}]', "NO_CODES"),
        ('[{"ticket":"x"},{"type":"trade","codes":"KRW-BTC"}]', "INVALID_PARAM"),
        ('[{"ticket":"x"},{"type":"trade","codes":["A"]},{"format":"XML"}]', "WRONG_FORMAT"),
    ],
)
def test_upbit_names_malformed_requests(text: str, name: str) -> None:
    """And the frame says so."""
    with pytest.raises(RequestError) as caught:
        parse(text, ("trade",))
    assert json.loads(caught.value.frame())["error"]["name"] == name


def test_upbit_order_answers_leave_null_fields_out(world: World) -> None:
    """A limit order as accepted: decimals as text, Korean time."""
    trading = Trading(world, ())
    placed = trading.place(
        {
            "market": "KRW-BTC",
            "side": "bid",
            "ord_type": "limit",
            "volume": "0.01",
            "price": "116000000",
            "identifier": "mine",
        }
    )
    uuid = placed.pop("uuid")
    assert len(uuid) == 36
    assert placed == {
        "market": "KRW-BTC",
        "side": "bid",
        "ord_type": "limit",
        "price": "116000000",
        "state": "wait",
        "created_at": "2023-11-15T07:13:20+09:00",
        "volume": "0.01",
        "remaining_volume": "0.01",
        "executed_volume": "0",
        "reserved_fee": "580",
        "remaining_fee": "580",
        "paid_fee": "0",
        "locked": "1160580",
        "trades_count": 0,
        "identifier": "mine",
        "smp_type": "cancel_maker",
        "prevented_volume": "0",
        "prevented_locked": "0",
    }


def test_binance_book_ticker_payloads(world: World) -> None:
    """Spot has no time; USD-M has two."""
    spot = world.instruments.of(Venue.BINANCE)["BTCUSDT"]
    bid, ask = spot.book.bids.best(), spot.book.asks.best()
    assert bid is not None
    assert ask is not None
    assert events.book_ticker(spot, bid, ask, 5) == (
        f'{{"u":{spot.book.update_id},"s":"BTCUSDT","b":"79000.00000000","B":"1.50000000",'
        '"a":"79000.10000000","A":"0.25000000"}'
    )
    perp = world.instruments.of(Venue.BINANCE_PERP)["BTCUSDT"]
    assert events.book_ticker(perp, bid, ask, 5) == (
        f'{{"e":"bookTicker","u":{perp.book.update_id},"s":"BTCUSDT","b":"79000.0","B":"1.500",'
        '"a":"79000.1","A":"0.250","T":1700000000000,"E":5}'
    )


@pytest.mark.parametrize("venue", [Venue.BINANCE, Venue.BINANCE_PERP])
def test_binance_depth_diffs_continue_each_other_and_the_snapshot(
    world: World, venue: Venue
) -> None:
    """U follows the last u; pu is it on USD-M; a removed level has size zero."""
    face = _face(world, venue)
    channels = Channels(face)
    channel = channels.open("btcusdt@depth@100ms")
    assert channel is not None
    book = world.instruments.of(venue)["BTCUSDT"].book
    first = MarketData(face).depth({"symbol": "BTCUSDT"})
    last = first["lastUpdateId"]  # type: ignore[index]
    for size in ("2.0", "3.0"):
        book.refresh(_levels(("79000.0", size)), _levels(("79000.2", "0.25")), 1)
        channels.begin([], [], 1_000_000)
        (text,) = channel.frames()
        frame = json.loads(text)
        assert frame["U"] == last + 1
        assert frame["u"] == book.update_id
        assert frame.get("pu") == (last if venue is Venue.BINANCE_PERP else None)
        last = frame["u"]
    channels.close(channel)
    assert not book.watchers
    places = "" if venue is Venue.BINANCE_PERP else "0000000"
    assert frame["b"] == [[f"79000.0{places}", "3.000" if not places else "3.00000000"]]


def test_binance_spot_answers(world: World) -> None:
    """FULL answer and executionReport of an IOC order that fills in part."""
    face = _face(world, Venue.BINANCE)
    seen: list[dict[str, object]] = []

    def note(event: OrderEvent) -> None:
        seen.append(report(event))

    face.exchange.observers.append(note)
    answer = SpotTrading(face).place(
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "IOC",
            "quantity": "0.3",
            "price": "79000.1",
            "newClientOrderId": "abc",
        }
    )
    wanted = {
        "symbol": "BTCUSDT",
        "orderListId": -1,
        "clientOrderId": "abc",
        "transactTime": 1_700_000_000_000,
        "price": "79000.10000000",
        "origQty": "0.30000000",
        "executedQty": "0.25000000",
        "cummulativeQuoteQty": "19750.02500000",
        "status": "EXPIRED",
        "timeInForce": "IOC",
        "type": "LIMIT",
        "side": "BUY",
    }
    assert {key: answer[key] for key in wanted} == wanted
    (fill,) = answer["fills"]
    assert (fill["commission"], fill["commissionAsset"]) == ("0.00025000", "BTC")
    assert [(row["x"], row["X"], row["z"]) for row in seen] == [
        ("NEW", "NEW", "0.00000000"),
        ("TRADE", "PARTIALLY_FILLED", "0.25000000"),
        ("EXPIRED", "EXPIRED", "0.25000000"),
    ]


def test_binance_perpetual_answers(world: World) -> None:
    """ACK shows the order as accepted, RESULT as it stands."""
    trading = PerpTrading(_face(world, Venue.BINANCE_PERP))
    order = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": "0.010",
        "price": "79000",
    }
    ack = trading.place(order)
    assert (ack["status"], ack["executedQty"], ack["origQty"]) == ("NEW", "0.000", "0.010")
    result = trading.place({**order, "newOrderRespType": "RESULT"})
    assert (result["status"], result["executedQty"]) == ("FILLED", "0.010")
    assert (result["price"], result["timeInForce"], result["side"]) == ("79000.0", "IOC", "SELL")
    (_, row) = trading.trades({"symbol": "BTCUSDT"})  # type: ignore[misc]
    assert (row["commission"], row["commissionAsset"]) == ("0.39500000", "USDT")
    position = world.perp_account.position("BTCUSDT", "BOTH")
    assert (position.amount, position.entry) == (Decimal("-0.020"), Decimal(79_000))


def test_exchange_info_has_the_filters_that_decide_sizes(world: World) -> None:
    """BTCUSDT perpetual: tick 0.10, step 0.001, minimum notional 50."""
    info = MarketData(_face(world, Venue.BINANCE_PERP)).exchange_info({})
    symbol = next(row for row in info["symbols"] if row["symbol"] == "BTCUSDT")  # type: ignore[index]
    filters = {row["filterType"]: row for row in symbol["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.10"
    assert filters["LOT_SIZE"] == {
        "filterType": "LOT_SIZE",
        "minQty": "0.001",
        "maxQty": "1000",
        "stepSize": "0.001",
    }
    assert filters["MARKET_LOT_SIZE"]["maxQty"] == "120"
    assert filters["MIN_NOTIONAL"] == {"filterType": "MIN_NOTIONAL", "notional": "50"}


def test_the_countdown_cancels_the_symbols_orders(world: World) -> None:
    """Unless it is asked again in time."""
    trading = PerpTrading(_face(world, Venue.BINANCE_PERP))
    exchange = world.exchanges[Venue.BINANCE_PERP]
    resting = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    trading.place({**resting, "quantity": "0.01", "price": "78000"})
    answer = trading.countdown({"symbol": "BTCUSDT", "countdownTime": "1000"})
    assert answer == {"symbol": "BTCUSDT", "countdownTime": "1000"}
    now = world.clock.wall_ns()
    trading.run_deadlines(now + 999_000_000)
    assert len(exchange.open_orders(None)) == 1
    trading.run_deadlines(now + 1_000_000_000)
    assert exchange.open_orders(None) == []
    assert next(iter(exchange.orders.values())).new.side is Side.BUY
