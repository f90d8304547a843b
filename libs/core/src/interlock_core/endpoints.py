"""Where the venues are: real hosts, or the simulator's prefixes. Only addresses differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VenuesKind = Literal["real", "simulated"]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base addresses; REST bases lack the version path (`/v1`, `/api/v3`, `/fapi/v1`).

    The Binance WebSocket bases take `/stream?streams=a/b`.
    """

    upbit_rest: str
    upbit_ws: str
    binance_rest: str
    binance_ws: str
    binance_perp_rest: str
    binance_perp_ws: str


REAL = Endpoints(
    upbit_rest="https://api.upbit.com",
    upbit_ws="wss://api.upbit.com/websocket/v1",
    binance_rest="https://api.binance.com",
    binance_ws="wss://stream.binance.com:9443",
    binance_perp_rest="https://fapi.binance.com",
    binance_perp_ws="wss://fstream.binance.com/public",
)


def simulated(base_url: str) -> Endpoints:
    """Return the simulator's addresses under an http(s) base such as `http://127.0.0.1:8090`."""
    ws = "ws" + base_url.removeprefix("http")
    return Endpoints(
        upbit_rest=f"{base_url}/upbit",
        upbit_ws=f"{ws}/upbit/websocket/v1",
        binance_rest=base_url,
        binance_ws=f"{ws}/stream",
        binance_perp_rest=base_url,
        binance_perp_ws=f"{ws}/fstream/public",
    )


def endpoints(kind: VenuesKind, simvenues_url: str) -> Endpoints:
    """Return the addresses for a kind of venue."""
    return REAL if kind == "real" else simulated(simvenues_url)
