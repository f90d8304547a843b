"""A real simulator process on an ephemeral loopback port, and how to point clients at it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

UPBIT_KEYS = ("sim-upbit-access-key", "sim-upbit-secret-key-0123456789abcdef")
BINANCE_KEYS = ("sim-binance-api-key", "sim-binance-api-secret-0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Server:
    """Where a simulator listens; config methods return ccxt constructor arguments."""

    port: int
    process: subprocess.Popen[str]

    @property
    def http(self) -> str:
        """Return the REST base."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """Return the WebSocket base."""
        return f"ws://127.0.0.1:{self.port}"

    def upbit(self, **overrides: Any) -> dict[str, Any]:
        """Return the arguments of an Upbit client."""
        base = f"{self.http}/upbit"
        api = {"public": base, "private": base, "ws": f"{self.ws}/upbit/websocket/v1"}
        return {
            "apiKey": UPBIT_KEYS[0],
            "secret": UPBIT_KEYS[1],
            "urls": {"api": api},
            **overrides,
        }

    def binance(self, **overrides: Any) -> dict[str, Any]:
        """Return the arguments of a Binance client, spot or USD-M."""
        b, w = self.http, self.ws
        api: dict[str, Any] = {
            "public": f"{b}/api/v3",
            "private": f"{b}/api/v3",
            "v1": f"{b}/api/v1",
            "sapi": f"{b}/sapi/v1",
            "sapiV2": f"{b}/sapi/v2",
            "sapiV3": f"{b}/sapi/v3",
            "sapiV4": f"{b}/sapi/v4",
            "dapiPublic": f"{b}/dapi/v1",
            "dapiPrivate": f"{b}/dapi/v1",
            "dapiPrivateV2": f"{b}/dapi/v2",
            "ws": {
                "spot": f"{w}/stream/ws",
                "margin": f"{w}/stream/ws",
                "linear": f"{w}/fstream/ws",
                # What ccxt before 4.5.90 calls the same connections.
                "future": f"{w}/fstream/ws",
                "ws-api": {
                    "spot": f"{w}/ws-api/v3",
                    "linear": f"{w}/ws-api/v1",
                    "future": f"{w}/ws-api/v1",
                },
            },
        }
        for access in ("Public", "Private"):
            api[f"fapi{access}"] = f"{b}/fapi/v1"
            api[f"fapi{access}V2"] = f"{b}/fapi/v2"
            api[f"fapi{access}V3"] = f"{b}/fapi/v3"
        return {
            "apiKey": BINANCE_KEYS[0],
            "secret": BINANCE_KEYS[1],
            "urls": {"api": api},
            **overrides,
        }


def start(**environ: str) -> Server:
    """Start a simulator and return once it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "interlock_simvenues"],
        env={**os.environ, "SIM_PORT": "0", "MARKET_SOURCE": "synthetic", **environ},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        record = json.loads(line)
        if record["event"] == "listening":
            return Server(record["port"], process)
    raise AssertionError(f"the simulator ended with {process.wait()}")


def stop(server: Server) -> int:
    """End a simulator and return its exit code."""
    server.process.terminate()
    code = server.process.wait(timeout=10)
    assert server.process.stdout is not None
    server.process.stdout.close()
    return code
