"""Each request of each adapter against the simulated venues: answered, and read as it was meant."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

import ccxt
import pytest
from tests.integration.simvenues.sim_server import BINANCE_KEYS, UPBIT_KEYS, start, stop
from tests.unit.gatekeeper.venues.conftest import order

from interlock_core.instrument import Side
from interlock_gatekeeper.transport import Transport
from interlock_gatekeeper.vault import KeyPair
from interlock_gatekeeper.venues import binance, upbit
from interlock_gatekeeper.venues.readings import (
    Absent,
    Accepted,
    AccountMode,
    Ambiguous,
    Ended,
    KeyScopes,
    Refused,
)

pytestmark = pytest.mark.integration

UPBIT, SPOT, PERP = "UPBIT:KRW-BTC", "BINANCE:BTCUSDT", "BINANCE_PERP:BTCUSDT"
UNIFIED = {UPBIT: "BTC/KRW", SPOT: "BTC/USDT", PERP: "BTC/USDT:USDT"}
CASH = {UPBIT: "KRW", SPOT: "USDT", PERP: "USDT"}
QUANTITY = Decimal("0.01")
EVERYWHERE = pytest.mark.parametrize("desk", [UPBIT, SPOT, PERP], indirect=True)


@pytest.fixture(scope="module")
def server() -> Iterator:
    """A simulator that most tests here share, without rate limits."""
    running = start(SIM_RATE_LIMITS="off")
    yield running
    stop(running)


@pytest.fixture
def fresh_server() -> Iterator:
    """A simulator with an untouched account and the venues' rate limits."""
    running = start()
    yield running
    stop(running)


def adapter_for(key, server, keys=None):
    if key == UPBIT:
        return upbit.Upbit(f"{server.http}/upbit", keys or KeyPair(*UPBIT_KEYS))
    market = binance.SPOT if key == SPOT else binance.PERP
    return binance.Binance(market, server.http, keys or KeyPair(*BINANCE_KEYS))


@dataclass
class Desk:
    """One adapter with its transport, and a client that can do what the gatekeeper never does."""

    key: str
    adapter: object
    transport: Transport
    client: ccxt.Exchange

    async def ask(self, request):
        return await self.transport.ask(request, 5.0)

    async def ask_all(self, requests):
        return [await self.ask(request) for request in requests]

    async def touch(self):
        symbol = self.key.partition(":")[2]
        request = self.adapter.prices_request([symbol])
        return self.adapter.read_prices(await self.ask(request))[symbol]

    async def instrument(self):
        request = self.adapter.instruments_request()
        return self.adapter.read_instruments(await self.ask(request))[self.key]

    async def limit(self, side, factor):
        """Return a price on the grid: the opposite touch times factor."""
        touch, instrument = await self.touch(), await self.instrument()
        price = (touch.ask if side is Side.BUY else touch.bid) * Decimal(factor)
        return instrument.round_price(price, side)

    async def an_order(self, *, side=Side.BUY, factor="1.005", **changes):
        """Return an order of a fresh id; by default one that fills."""
        return order(
            self.key,
            client_order_id=f"gk{uuid.uuid4().hex[:20]}",
            side=side,
            quantity=QUANTITY,
            price=await self.limit(side, factor),
            **changes,
        )

    async def rest(self):
        """Leave an order resting, which no adapter can, and return it as ours."""
        resting = await self.an_order(factor="0.97")
        self.client.create_order(
            UNIFIED[self.key],
            "limit",
            "buy",
            float(QUANTITY),
            float(resting.intent.price),
            {"clientOrderId": resting.client_order_id},
        )
        return resting

    async def open_orders(self):
        found = {}
        for request in self.adapter.open_orders_requests():
            page, following = 1, request
            while following is not None:
                answer = await self.ask(following)
                found |= {o.client_order_id: o for o in self.adapter.read_open_orders(answer)}
                following = self.adapter.next_open_orders_request(answer, page)
                page += 1
        return found

    async def holdings(self):
        return self.adapter.read_holdings(await self.ask_all(self.adapter.holdings_requests()))

    async def settled(self, placed):
        """Send an order and follow it to its end."""
        answer = await self.ask(self.adapter.order_request(placed))
        reading = self.adapter.read_order(answer, placed.client_order_id)
        if isinstance(reading, Accepted):
            answer = await self.ask(self.adapter.query_request(placed))
            reading = self.adapter.read_query(answer, placed.client_order_id)
        if isinstance(reading, Ended) and reading.filled_quantity:
            request = self.adapter.fills_request(placed, reading.venue_order_id)
            if request is not None:
                reading = self.adapter.read_fills(reading, await self.ask(request))
        return reading


@contextmanager
def client_for(key, server):
    if key == UPBIT:
        client = ccxt.upbit(server.upbit(enableRateLimit=False))
    else:
        kind = "spot" if key == SPOT else "linear"
        markets = {
            "fetchCurrencies": False,
            "fetchMargins": False,
            "fetchMarkets": {"types": [kind]},
        }
        made = ccxt.binance if key == SPOT else ccxt.binanceusdm
        client = made(server.binance(enableRateLimit=False, options=markets))
    client.load_markets()
    yield client
    client.session.close()


@asynccontextmanager
async def desk_at(key, server):
    with client_for(key, server) as client:
        transport = Transport(server.http)
        yield Desk(key, adapter_for(key, server), transport, client)
        transport.close()
        await asyncio.sleep(0)  # the closed sockets leave with the loop's next turn


@pytest.fixture
async def desk(server, request):
    async with desk_at(request.param, server) as made:
        yield made


@pytest.fixture
async def fresh_desk(fresh_server, request):
    async with desk_at(request.param, fresh_server) as made:
        yield made


@EVERYWHERE
async def test_a_resting_order_is_listed_and_canceled_once(desk):
    """Listed with our id, canceled by it, gone; a second cancel finds nothing."""
    resting = await desk.rest()
    own = resting.client_order_id
    listed = (await desk.open_orders())[own]
    assert (listed.instrument, listed.side) == (desk.key, Side.BUY)
    assert (listed.quantity, listed.filled) == (QUANTITY, 0)
    query = desk.adapter.query_request(resting)
    assert desk.adapter.read_query(await desk.ask(query), own) == Accepted(listed.venue_order_id)

    canceled = desk.adapter.read_cancel(await desk.ask(desk.adapter.cancel_request(resting)), own)
    assert isinstance(canceled, Accepted if desk.key == UPBIT else Ended)
    assert canceled.venue_order_id == listed.venue_order_id
    proven = desk.adapter.read_query(await desk.ask(desk.adapter.query_request(resting)), own)
    assert isinstance(proven, Ended)
    assert proven.filled_quantity == 0
    assert own not in await desk.open_orders()
    again = await desk.ask(desk.adapter.cancel_request(resting))
    assert desk.adapter.read_cancel(again, own) == Absent()


@EVERYWHERE
async def test_cancel_all_leaves_nothing_open(desk):
    """Two orders go with it; with nothing left to cancel it is done as well."""
    for resting in (2, 0):
        for _ in range(resting):
            await desk.rest()
        for request in desk.adapter.cancel_all_requests([desk.key]):
            answer = await desk.ask(request)
            assert desk.adapter.read_cancel_all(answer)
            assert desk.adapter.back_off_s(answer) is None
        assert await desk.open_orders() == {}


@pytest.mark.parametrize("fresh_desk", [UPBIT], indirect=True)
async def test_a_venue_that_wants_quiet_says_for_how_long(fresh_desk):
    """Upbit takes one cancel-all in two seconds."""
    adapter = fresh_desk.adapter
    [first] = await fresh_desk.ask_all(adapter.cancel_all_requests([]))
    [second] = await fresh_desk.ask_all(adapter.cancel_all_requests([]))
    assert adapter.read_cancel_all(first)
    assert not adapter.read_cancel_all(second)
    assert second.status == 429
    assert 0 < adapter.back_off_s(second) <= 2


@pytest.mark.parametrize("fresh_desk", [UPBIT, SPOT, PERP], indirect=True)
async def test_holdings_count_what_a_resting_order_holds(fresh_desk):
    """The order's cash is owned and not free."""
    cash = CASH[fresh_desk.key]
    before = await fresh_desk.holdings()
    resting = await fresh_desk.rest()
    during = await fresh_desk.holdings()
    assert before.free[cash] > during.free[cash]
    assert before.total[cash] == during.total[cash]
    await fresh_desk.ask(fresh_desk.adapter.cancel_request(resting))
    assert (await fresh_desk.holdings()).free[cash] == before.free[cash]


@EVERYWHERE
async def test_an_order_that_cannot_rest_ends_with_its_price_and_fee(desk):
    """Filled at once, or ended with nothing; our id comes back in the answer."""
    filled = await desk.settled(await desk.an_order())
    assert isinstance(filled, Ended)
    assert filled.filled_quantity == QUANTITY
    assert filled.average_price > 0
    assert filled.fee > 0
    away = await desk.settled(await desk.an_order(factor="0.97"))
    assert isinstance(away, Ended)
    assert away.filled_quantity == 0


@EVERYWHERE
async def test_fill_or_kill_is_known_everywhere(desk):
    """It fills whole, or the venue refuses it or ends it empty."""
    filled = await desk.settled(await desk.an_order(time_in_force="fok"))
    assert isinstance(filled, Ended)
    assert filled.filled_quantity == QUANTITY
    away = await desk.settled(await desk.an_order(factor="0.97", time_in_force="fok"))
    if desk.key == PERP:
        assert isinstance(away, Refused)
        assert away.code == "-5021"
    else:
        assert away.filled_quantity == 0


@EVERYWHERE
async def test_a_used_id_is_in_doubt_and_a_bad_price_refused(desk):
    """The venue's word for a duplicate proves nothing; a filter's word does."""
    resting = await desk.rest()
    duplicate = await desk.ask(desk.adapter.order_request(resting))
    assert isinstance(desk.adapter.read_order(duplicate), Ambiguous)
    await desk.ask(desk.adapter.cancel_request(resting))
    wanted = await desk.an_order()
    off_tick = replace(wanted.intent, price=wanted.intent.price + Decimal("0.00001"))
    refused = await desk.ask(desk.adapter.order_request(replace(wanted, intent=off_tick)))
    assert isinstance(desk.adapter.read_order(refused), Refused)


@EVERYWHERE
async def test_a_wrong_secret_is_refused(desk, server):
    """The venue checks the signature of every kind of request."""
    right = UPBIT_KEYS if desk.key == UPBIT else BINANCE_KEYS
    forger = adapter_for(desk.key, server, KeyPair(right[0], "not-the-secret-at-all"))
    answer = await desk.ask(forger.order_request(await desk.an_order()))
    assert isinstance(forger.read_order(answer), Refused)
    for request in (*forger.holdings_requests(), *forger.open_orders_requests()):
        answer = await desk.ask(request)
        assert answer.status in (400, 401)
        with pytest.raises(ValueError, match="expected"):
            forger.read_open_orders(answer)


@EVERYWHERE
async def test_the_venues_clock_is_ours(desk):
    """To its resolution."""
    told_ms = desk.adapter.read_time_ms(await desk.ask(desk.adapter.time_request()))
    assert told_ms % desk.adapter.clock_resolution_ms == 0
    assert abs(time.time() * 1000 - told_ms) < 5_000


@EVERYWHERE
async def test_the_futures_mode_is_told(desk):
    """One-way on the perpetual market, nothing elsewhere."""
    mode = desk.adapter.read_account_mode(await desk.ask_all(desk.adapter.account_mode_requests()))
    if desk.key != PERP:
        assert mode is None
        return
    assert isinstance(mode, AccountMode)
    assert mode.one_way
    assert mode.leverage[PERP] >= 1
    assert mode.isolated[PERP] is False


@EVERYWHERE
async def test_the_keys_scopes_are_told(desk):
    """Binance says them; Upbit says them only to a key that it should not be."""
    answers = await desk.ask_all(desk.adapter.key_scopes_requests())
    expected = KeyScopes(can_trade=True, can_withdraw=False, ip_restricted=True)
    unknown = KeyScopes(can_trade=None, can_withdraw=None, ip_restricted=None)
    assert desk.adapter.read_key_scopes(answers) == (unknown if desk.key == UPBIT else expected)


@pytest.mark.parametrize("fresh_desk", [PERP], indirect=True)
async def test_a_short_is_a_negative_position_until_it_is_bought_back(fresh_desk):
    """Signed by instrument; what closes it is reduce-only on the wire and cannot do more."""
    assert (await fresh_desk.holdings()).positions == {}
    await fresh_desk.settled(await fresh_desk.an_order(side=Side.SELL, factor="0.995"))
    assert (await fresh_desk.holdings()).positions == {PERP: -QUANTITY}
    await fresh_desk.settled(await fresh_desk.an_order(reducing=True))
    assert (await fresh_desk.holdings()).positions == {}
    beyond = await fresh_desk.settled(await fresh_desk.an_order(reducing=True))
    assert isinstance(beyond, Refused)
    assert beyond.code == "-2022"


@pytest.mark.parametrize("desk", [SPOT, PERP], indirect=True)
async def test_a_wrong_clock_is_refused_until_the_offset_is_set(desk):
    """Signed times follow the offset; outside the window the order was not taken."""
    wanted = await desk.an_order(factor="0.97")
    for offset_ms in (-5_000, 5_000):
        desk.adapter.set_clock_offset_ms(offset_ms)
        answer = await desk.ask(desk.adapter.order_request(wanted))
        reading = desk.adapter.read_order(answer)
        assert isinstance(reading, Refused)
        assert reading.code == "-1021"
    desk.adapter.set_clock_offset_ms(0)
    assert isinstance(await desk.settled(wanted), Ended)
