"""Signed calls written from the venues' documents, so that faults are seen byte for byte."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.integration.simvenues.sim_server import BINANCE_KEYS, UPBIT_KEYS, Server

TIMEOUT_S = 5
VENUES = ("upbit", "binance", "binance_perp")
SYMBOLS = {"upbit": "KRW-XRP", "binance": "XRPUSDT", "binance_perp": "XRPUSDT"}
_PREFIX = {"binance": "/api/v3", "binance_perp": "/fapi/v1"}
_BOOKS = {
    "upbit": "/upbit/v1/orderbook?markets=KRW-XRP&count=10",
    "binance": "/api/v3/depth?symbol=XRPUSDT&limit=10",
    "binance_perp": "/fapi/v1/depth?symbol=XRPUSDT&limit=10",
}
QUANTITY = 20


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came; status 0 is a connection that ended without one."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.text)


class FaultClient:
    """One simulator: its admin door, and the same few calls at each venue."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def add(self, **rule: Any) -> str:
        """Load one rule and return its id."""
        reply = self.request("POST", "/admin/faults", body=json.dumps(rule))
        assert reply.status == 201, reply.text
        (rule_id,) = reply.json["ids"]
        return str(rule_id)

    def faults(self) -> Any:
        """Return the rules, their hits and the log."""
        return self.request("GET", "/admin/faults").json

    def clear(self) -> None:
        """Remove every rule, and wait for a whole step: shown books and statuses follow by step."""
        assert self.request("DELETE", "/admin/faults").status == 200
        begun, deadline = self._steps(), time.monotonic() + TIMEOUT_S
        while self._steps() < begun + 2:
            assert time.monotonic() < deadline, "the market does not step"

    def _steps(self) -> float:
        text = self.request("GET", "/metrics").text
        (line,) = [x for x in text.splitlines() if x.startswith("interlock_sim_market_steps_total")]
        return float(line.rpartition(" ")[2])

    def audited(self, client_id: str) -> dict[str, Any] | None:
        """Return what the exchange itself has of an order, None where it never took one."""
        orders = self.request("GET", "/admin/orders").json["orders"]
        found = [order for order in orders if order["client_id"] == client_id]
        assert len(found) <= 1
        return found[0] if found else None

    def book(self, venue: str) -> Reply:
        """Return the order book answer."""
        return self.request("GET", _BOOKS[venue])

    def price(self, venue: str) -> str:
        """Return a price that an IOC buy of QUANTITY fills at."""
        body = self.book(venue).json
        if venue == "upbit":
            return str(body[0]["orderbook_units"][5]["ask_price"])
        return str(body["asks"][5][0])

    def buy(self, venue: str, client_id: str, *, price: str = "", terms: str = "IOC") -> Reply:
        """Send a limit buy of QUANTITY XRP."""
        at = price or self.price(venue)
        if venue == "upbit":
            body = {
                "market": SYMBOLS[venue],
                "side": "bid",
                "ord_type": "limit",
                "volume": str(QUANTITY),
                "price": at,
                "identifier": client_id,
            }
            return self.upbit(
                "POST", "/orders", {**body, "time_in_force": "ioc"} if terms else body
            )
        params = {
            "symbol": SYMBOLS[venue],
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": terms or "GTC",
            "quantity": str(QUANTITY),
            "price": at,
            "newClientOrderId": client_id,
            "newOrderRespType": "RESULT",
        }
        return self.binance(venue, "POST", "/order", params)

    def order(self, venue: str, client_id: str) -> Reply:
        """Ask for an order by its client id."""
        if venue == "upbit":
            return self.upbit("GET", "/order", {"identifier": client_id})
        params = {"symbol": SYMBOLS[venue], "origClientOrderId": client_id}
        return self.binance(venue, "GET", "/order", params)

    def cancel(self, venue: str, client_id: str) -> Reply:
        """Cancel an order by its client id."""
        if venue == "upbit":
            return self.upbit("DELETE", "/order", {"identifier": client_id})
        params = {"symbol": SYMBOLS[venue], "origClientOrderId": client_id}
        return self.binance(venue, "DELETE", "/order", params)

    def open_orders(self, venue: str) -> list[str]:
        """Return the client ids of the open orders."""
        if venue == "upbit":
            rows = self.upbit("GET", "/orders/open", {}).json
            return [row["identifier"] for row in rows]
        rows = self.binance(venue, "GET", "/openOrders", {"symbol": SYMBOLS[venue]}).json
        return [row["clientOrderId"] for row in rows]

    def holding(self, venue: str) -> str:
        """Return the XRP that the account shows: balance or position."""
        if venue == "upbit":
            rows = self.upbit("GET", "/accounts", {}).json
            return next(row["balance"] for row in rows if row["currency"] == "XRP")
        if venue == "binance":
            rows = self.binance(venue, "GET", "/account", {}).json["balances"]
            return next(row["free"] for row in rows if row["asset"] == "XRP")
        rows = self.binance(venue, "GET", "/positionRisk", {"symbol": "XRPUSDT"}).json
        return str(rows[0]["positionAmt"])

    def upbit(self, method: str, path: str, params: dict[str, str]) -> Reply:
        """Send a signed Upbit call."""
        query = "&".join(f"{key}={value}" for key, value in params.items())
        claims = {"access_key": UPBIT_KEYS[0], "nonce": str(uuid.uuid4())}
        if query:
            claims |= {"query_hash": hashlib.sha512(query.encode()).hexdigest()}
        signed = f"{_b64({'alg': 'HS256', 'typ': 'JWT'})}.{_b64(claims)}"
        mac = hmac.new(UPBIT_KEYS[1].encode(), signed.encode(), hashlib.sha256).digest()
        token = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        headers = {"Authorization": f"Bearer {token}"}
        if method == "POST":
            return self.request(method, f"/upbit/v1{path}", json.dumps(params), headers)
        return self.request(method, f"/upbit/v1{path}?{query}", None, headers)

    def binance(
        self, venue: str, method: str, path: str, params: dict[str, str], *, ahead_ms: int = 0
    ) -> Reply:
        """Send a signed Binance call, stamped with our time and a shift."""
        query = urlencode({**params, "timestamp": str(now_ms() + ahead_ms)})
        mac = hmac.new(BINANCE_KEYS[1].encode(), query.encode(), hashlib.sha256).hexdigest()
        headers = {"X-MBX-APIKEY": BINANCE_KEYS[0]}
        return self.request(
            method, f"{_PREFIX[venue]}{path}?{query}&signature={mac}", None, headers
        )

    def request(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.headers), answer.read().decode())
        except (ConnectionResetError, http.client.RemoteDisconnected):
            return Reply(0, {}, "")
        finally:
            connection.close()


def now_ms() -> int:
    """Return our clock."""
    return time.time_ns() // 1_000_000


def _b64(value: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
