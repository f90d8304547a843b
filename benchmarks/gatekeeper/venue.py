"""Both venues on loopback, answering at once: every order fills whole.

It runs on the driver's loop, so its clock readings and the driver's are one clock. It keeps what
the benchmark asks of it: when orders and cancels arrived, and how long answers about orders took.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.utils import formatdate
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from benchmarks.gatekeeper import market
from interlock_core.clock import monotonic_ns, wall_ns
from interlock_core.money import ZERO

PLENTY = "1000000000"
# Both venues' ways of saying that nothing rested.
NOTHING_CANCELED = json.dumps(
    {
        "code": 200,
        "success": {"count": 0, "orders": []},
        "failed": {"count": 0, "orders": []},
    }
).encode()
UPBIT_POST, UPBIT_GET = "POST /upbit/v1/orders", "GET /upbit/v1/order"
PERP_POST, PERP_GET = "POST /fapi/v1/order", "GET /fapi/v1/order"
PERP_FILLS = "GET /fapi/v1/userTrades"


@dataclass(frozen=True, slots=True)
class Taken:
    """An order as the venue took it."""

    number: int
    client_order_id: str
    symbol: str
    quantity: Decimal
    price: Decimal


class InstantVenue:
    """A loopback server. While `holding`, orders are taken and left without an answer."""

    def __init__(self) -> None:
        self.url = ""
        self.holding = False
        self.order_times_ns: list[int] = []
        self.cancel_times_ns: list[int] = []
        self.canceled = asyncio.Event()
        self.answering_ns = 0
        self._numbers = count(1)
        self._orders: dict[str, Taken] = {}
        self._krw = Decimal(PLENTY)
        self._holdings: dict[str, Decimal] = defaultdict(Decimal)
        self._connections: set[asyncio.Transport] = set()
        self._public = {
            "GET /upbit/v1/market/all": market.upbit_markets(),
            "GET /upbit/v1/orderbook": market.upbit_books(),
            "GET /fapi/v1/exchangeInfo": market.perp_exchange_info(),
            "GET /fapi/v1/ticker/bookTicker": market.perp_tickers(),
        }

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close every connection."""
        self._server.close()
        for connection in self._connections:
            connection.abort()
        await self._server.wait_closed()

    def forget(self) -> None:
        """Start anew for another gatekeeper: no orders, no holdings, nothing seen."""
        self.holding = False
        self._orders.clear()
        self._holdings.clear()
        self.order_times_ns.clear()
        self.forget_cancels()

    def forget_cancels(self) -> None:
        """Start anew for another halt: a start sweeps too."""
        self.cancel_times_ns.clear()
        self.canceled.clear()

    def joined(self, connection: asyncio.Transport) -> None:
        """Keep a connection until it leaves."""
        self._connections.add(connection)

    def left(self, connection: asyncio.Transport) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def is_private(self, name: str) -> bool:
        """Say whether a request is about orders or the account, not about the market."""
        return name not in self._public

    def answer(self, name: str, query: str, body: bytes, at_ns: int) -> bytes | None:
        """Return the body that answers a request, or None where it gets no answer."""
        if name.startswith("DELETE "):
            self.cancel_times_ns.append(at_ns)
            self.canceled.set()
            return NOTHING_CANCELED
        if name in self._public:
            return self._public[name]
        if name in (UPBIT_POST, PERP_POST):
            self.order_times_ns.append(at_ns)
            taken = self._take(name, body)
            return None if self.holding else _accepted(name, taken)
        return json.dumps(self._private(name, dict(parse_qsl(query)))).encode()

    def _take(self, name: str, body: bytes) -> Taken:
        if name == UPBIT_POST:
            asked = json.loads(body)
            names = ("identifier", "market", "volume", "ask")
        else:
            asked = dict(parse_qsl(body.decode()))
            names = ("newClientOrderId", "symbol", "quantity", "SELL")
        cid, symbol, quantity = (asked[key] for key in names[:3])
        price = market.FILL_PRICES[symbol]
        taken = Taken(next(self._numbers), cid, symbol, Decimal(quantity), price)
        self._orders[cid] = self._orders[str(taken.number)] = taken
        sells = asked["side"] == names[3]
        change = -taken.quantity if sells else taken.quantity
        self._holdings[symbol] += change
        if name == UPBIT_POST:
            self._krw -= change * price
        return taken

    def _private(self, name: str, asked: Mapping[str, str]) -> object:
        if name == UPBIT_GET:
            return _upbit_done(self._orders[asked["identifier"]])
        if name == PERP_GET:
            return _perp_filled(self._orders[asked["origClientOrderId"]])
        if name == PERP_FILLS:
            return [_perp_fill(self._orders[asked["orderId"]])]
        if name == "GET /upbit/v1/accounts":
            return self._upbit_accounts()
        if name == "GET /fapi/v1/time":
            return {"serverTime": wall_ns() // 1_000_000}
        if name == "GET /fapi/v3/account":
            usdt = {"asset": "USDT", "walletBalance": PLENTY, "availableBalance": PLENTY}
            return {"assets": [usdt], "positions": self._perp_positions()}
        # Open orders: an immediate-or-cancel order never rests.
        return []

    def _upbit_accounts(self) -> list[dict[str, str]]:
        start = dict.fromkeys((asset.name for asset in market.ASSETS), Decimal(PLENTY))
        for symbol, quantity in self._holdings.items():
            if symbol.startswith("KRW-"):
                start[symbol.partition("-")[2]] += quantity
        amounts = {"KRW": str(self._krw), **{asset: str(q) for asset, q in start.items()}}
        return [
            {"currency": currency, "balance": amount, "locked": "0"}
            for currency, amount in amounts.items()
        ]

    def _perp_positions(self) -> list[dict[str, str]]:
        return [
            {"symbol": symbol, "positionSide": "BOTH", "positionAmt": str(quantity)}
            for symbol, quantity in self._holdings.items()
            if not symbol.startswith("KRW-") and quantity != ZERO
        ]


class _Connection(asyncio.Protocol):
    """One keep-alive connection: whole requests in, whole answers out."""

    _transport: asyncio.Transport

    def __init__(self, venue: InstantVenue) -> None:
        self._venue = venue
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("expected a stream transport")
        self._transport = transport
        self._venue.joined(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        self._venue.left(self._transport)

    def data_received(self, data: bytes) -> None:
        at_ns, about_orders = monotonic_ns(), False
        self._buffer += data
        while (request := self._next_request()) is not None:
            name, query, body = request
            answer = self._venue.answer(name, query, body, at_ns)
            about_orders = about_orders or self._venue.is_private(name)
            if answer is not None:
                date = formatdate(usegmt=True)
                head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {len(answer)}\r\n\r\n"
                self._transport.write(head.encode() + answer)
        if about_orders:
            self._venue.answering_ns += monotonic_ns() - at_ns

    def _next_request(self) -> tuple[str, str, bytes] | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode("ascii").split("\r\n")
        fields = (line.partition(":") for line in lines)
        length = next((int(v) for name, _, v in fields if name.lower() == "content-length"), 0)
        if len(rest) < length:
            return None
        body, self._buffer = rest[:length], rest[length:]
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        return f"{method} {path}", query, body


def _accepted(name: str, taken: Taken) -> bytes:
    answer = {"uuid": f"u-{taken.number}"} if name == UPBIT_POST else _perp_filled(taken)
    return json.dumps(answer).encode()


def _upbit_done(taken: Taken) -> dict[str, Any]:
    trade = {"volume": str(taken.quantity), "funds": str(taken.quantity * taken.price)}
    return {
        "uuid": f"u-{taken.number}",
        "state": "done",
        "executed_volume": str(taken.quantity),
        "paid_fee": "1",
        "trades": [trade],
    }


def _perp_filled(taken: Taken) -> dict[str, Any]:
    return {
        "orderId": taken.number,
        "clientOrderId": taken.client_order_id,
        "executedQty": str(taken.quantity),
        "status": "FILLED",
    }


def _perp_fill(taken: Taken) -> dict[str, str]:
    return {
        "orderId": str(taken.number),
        "qty": str(taken.quantity),
        "price": str(taken.price),
        "commission": "0.001",
        "commissionAsset": "USDT",
    }
