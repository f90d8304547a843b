"""Follows the real venues' public books through ccxt.pro; only orders are simulated then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from interlock_core.clock import Clock
from interlock_core.instrument import Venue
from interlock_simvenues.market.assets import Asset
from interlock_simvenues.market.instruments import Instrument, Instruments, build
from interlock_simvenues.market.source import Label
from interlock_simvenues.matching.book import Levels
from interlock_simvenues.units import NS_PER_MS, NS_PER_S, SCALE

log = logging.getLogger(__name__)

DEPTH = 30
# The smallest snapshot both Binance markets offer above DEPTH: weight 5 each.
SNAPSHOT_DEPTH = 100
RETRY_S = 1.0
SILENT_NS = 10 * NS_PER_S
_IDS = {Venue.UPBIT: "upbit", Venue.BINANCE: "binance", Venue.BINANCE_PERP: "binanceusdm"}


class MirrorError(Exception):
    """The real venues cannot be followed; `auto` falls back to the synthetic market."""


class Mirror:
    """A market source fed by real public order books."""

    def __init__(self, clients: dict[Venue, Any], instruments: Instruments, clock: Clock) -> None:
        self.label = Label("mirror", None, "real public order books; fills are simulated")
        self.instruments = instruments
        self._clients = clients
        self._clock = clock
        self._complete = asyncio.Event()
        self._waiting: dict[int, tuple[Instrument, Levels, Levels]] = {}
        self._heard_ns: dict[Venue, int] = dict.fromkeys(clients, clock.wall_ns())
        self._tasks = [asyncio.create_task(self._follow(item)) for item in instruments.all()]

    def step(self, now_ns: int) -> list[Instrument]:
        """Apply the newest book of every market that was heard since the last step."""
        waiting, self._waiting = self._waiting, {}
        moved = []
        for item, bids, asks in waiting.values():
            if item.book.refresh(bids, asks, now_ns):
                _note_price(item, now_ns)
                moved.append(item)
        return moved

    def is_live(self, now_ns: int) -> bool:
        """Say whether every venue was heard lately."""
        return all(now_ns - heard < SILENT_NS for heard in self._heard_ns.values())

    async def ready(self) -> None:
        """Return once every market has shown its first book."""
        await self._complete.wait()

    async def stop(self) -> None:
        """Stop following and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await close(self._clients)

    async def _follow(self, item: Instrument) -> None:
        import ccxt  # noqa: PLC0415  # only this source needs it: 2 s and 100 MB

        client = self._clients[item.venue]
        symbol = client.safe_symbol(item.symbol, None, "-" if item.venue is Venue.UPBIT else None)
        if item.venue is Venue.BINANCE_PERP:
            symbol = f"{item.base}/USDT:USDT"
        elif item.venue is Venue.BINANCE:
            symbol = f"{item.base}/USDT"
        while True:
            try:
                book = await client.watch_order_book(symbol, SNAPSHOT_DEPTH)
            except ccxt.BaseError as error:
                text = str(error)[:200]
                log.warning("mirror lost a book", extra={"symbol": item.symbol, "why": text})
                await asyncio.sleep(RETRY_S)
                continue
            self._heard_ns[item.venue] = self._clock.wall_ns()
            bids, asks = _levels(book["bids"], item), _levels(book["asks"], item)
            if bids and asks:
                self._waiting[id(item)] = (item, bids, asks)
                if len(self._waiting) == len(self.instruments.all()):
                    self._complete.set()


async def start(
    assets: Sequence[Asset], *, url: str | None, count: int, clock: Clock, first_update_id: int
) -> Mirror:
    """Return a mirror whose books are all there, or raise MirrorError."""
    import ccxt  # noqa: PLC0415  # only this source needs it: 2 s and 100 MB
    import ccxt.pro  # noqa: PLC0415

    clients = {venue: _client(ccxt.pro, venue, url) for venue in _IDS}
    mirror: Mirror | None = None
    try:
        await asyncio.gather(*(client.load_markets() for client in clients.values()))
        listed = _listed(assets, clients)[:count]
        instruments = build(tuple(listed), first_update_id=first_update_id)
        mirror = Mirror(clients, instruments, clock)
        await mirror.ready()
    except (ccxt.BaseError, OSError, asyncio.CancelledError, MirrorError) as error:
        await (mirror.stop() if mirror is not None else close(clients))
        if isinstance(error, asyncio.CancelledError):
            raise
        raise MirrorError(f"{type(error).__name__}: {str(error)[:120]}") from error
    mirror.step(clock.wall_ns())
    return mirror


async def close(clients: dict[Venue, Any]) -> None:
    """Close every connection."""
    for client in clients.values():
        with suppress(OSError):
            await client.close()


def _client(pro: Any, venue: Venue, url: str | None) -> Any:  # noqa: ANN401
    # ccxt would space Binance snapshots by seconds; a hundred weigh a tenth of one minute's limit.
    options: dict[str, Any] = {"enableRateLimit": venue is Venue.UPBIT}
    if venue is not Venue.UPBIT:
        kinds = ["linear"] if venue is Venue.BINANCE_PERP else ["spot"]
        options["options"] = {
            "fetchCurrencies": False,
            "fetchMargins": False,
            "fetchMarkets": {"types": kinds},
        }
    if url is not None:
        options["urls"] = {"api": _urls(venue, url)}
    return getattr(pro, _IDS[venue])(options)


def _urls(venue: Venue, url: str) -> dict[str, Any]:
    ws = "ws" + url.removeprefix("http")
    if venue is Venue.UPBIT:
        return {
            "public": f"{url}/upbit",
            "private": f"{url}/upbit",
            "ws": f"{ws}/upbit/websocket/v1",
        }
    return {
        "public": f"{url}/api/v3",
        "fapiPublic": f"{url}/fapi/v1",
        "ws": {
            "spot": f"{ws}/stream/ws",
            "linear": f"{ws}/fstream/ws",
            # What ccxt before 4.5.90 calls the same connection.
            "future": f"{ws}/fstream/ws",
        },
    }


def _listed(assets: Sequence[Asset], clients: dict[Venue, Any]) -> list[Asset]:
    """Return the assets of all three markets with the venues' own ticks, steps and minimums."""
    found = []
    for asset in assets:
        spot = clients[Venue.BINANCE].markets.get(f"{asset.name}/USDT")
        perp = clients[Venue.BINANCE_PERP].markets.get(f"{asset.name}/USDT:USDT")
        krw = clients[Venue.UPBIT].markets.get(f"{asset.name}/KRW")
        if spot is None or perp is None or krw is None or asset.perp_multiple != 1:
            continue
        minimum = perp["limits"]["cost"]["min"] or asset.perp_min_notional
        found.append(
            replace(
                asset,
                spot_tick=_units(spot["precision"]["price"]),
                spot_step=_units(spot["precision"]["amount"]),
                perp_tick=_units(perp["precision"]["price"]),
                perp_step=_units(perp["precision"]["amount"]),
                perp_min_notional=int(minimum),
            )
        )
    if not found:
        raise MirrorError("no asset is listed on both venues")
    return found


def _levels(side: Any, item: Instrument) -> Levels:  # noqa: ANN401
    lot = item.lot
    return {
        round(float(level[0]) * SCALE): int(float(level[1]) * SCALE) // lot * lot
        for level in side[:DEPTH]
        if float(level[1]) * SCALE >= lot
    }


def _note_price(item: Instrument, now_ns: int) -> None:
    mid = item.mid()
    tape = item.tape
    if not tape.opened:
        tape.open_day(opened=mid, high=mid, low=mid, volume=0.0, now=now_ns // NS_PER_MS)
    tape.last = mid
    tape.high, tape.low = max(tape.high, mid), min(tape.low, mid)


def _units(step: float) -> int:
    return max(1, round(step * SCALE))
