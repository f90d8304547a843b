"""Instruments of the simulated venues: rules, book and public tape of each, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from interlock_core.instrument import Venue
from interlock_simvenues.market.assets import Asset
from interlock_simvenues.market.tape import Tape
from interlock_simvenues.market.ticks import krw_tick
from interlock_simvenues.matching.book import Book
from interlock_simvenues.matching.rules import MarketRules
from interlock_simvenues.units import SCALE, to_decimal

UPBIT_LOT = 1
USDT_MARKET = "KRW-USDT"
MOST_LOTS = Decimal(900_000_000)
SPOT_MAX_NOTIONAL = Decimal(9_000_000)
SPOT_BAND = (Decimal("0.2"), Decimal(5))
PERP_BAND = (Decimal("0.95"), Decimal("1.05"))


class Status(StrEnum):
    """Whether a market takes orders, in no venue's words."""

    TRADING = "trading"
    HALTED = "halted"
    DELISTED = "delisted"


@dataclass(slots=True)
class Instrument:
    """One market of one venue. `tick` is in units of 1e-8; 0 means Upbit's price-dependent step.

    Orders meet `book`; REST and streams show `shown`, which is the same one unless a fault says
    otherwise.
    """

    venue: Venue
    symbol: str
    base: str
    quote: str
    asset: Asset | None
    tick: int
    lot: int
    rules: MarketRules
    book: Book
    tape: Tape = field(default_factory=Tape)
    status: Status = Status.TRADING
    shown: Book = field(init=False)

    def __post_init__(self) -> None:
        """Show the real book."""
        self.shown = self.book

    @property
    def price_digits(self) -> int:
        """Return how many fractional digits a price of this market shows."""
        return _digits(self.tick)

    @property
    def lot_digits(self) -> int:
        """Return how many fractional digits a quantity of this market shows."""
        return _digits(self.lot)

    def mid(self) -> float:
        """Return the middle of the displayed book in quote currency; 0 where a side is empty."""
        bid, ask = self.book.bids.best(), self.book.asks.best()
        return 0.0 if bid is None or ask is None else (bid[0] + ask[0]) / 2 / SCALE


@dataclass(slots=True)
class Instruments:
    """All markets, by venue and symbol."""

    by_venue: dict[Venue, dict[str, Instrument]]

    def of(self, venue: Venue) -> dict[str, Instrument]:
        """Return the markets of one venue by symbol."""
        return self.by_venue[venue]

    def all(self) -> list[Instrument]:
        """Return every market."""
        return [item for group in self.by_venue.values() for item in group.values()]


def build(assets: tuple[Asset, ...], *, first_update_id: int) -> Instruments:
    """Return empty books and the rules of every market of the given assets."""
    upbit: dict[str, Instrument] = {USDT_MARKET: _upbit(None, first_update_id)}
    spot: dict[str, Instrument] = {}
    perp: dict[str, Instrument] = {}
    for asset in assets:
        upbit[f"KRW-{asset.name}"] = _upbit(asset, first_update_id)
        spot[f"{asset.name}USDT"] = _spot(asset, first_update_id)
        perp[asset.perp_symbol] = _perp(asset, first_update_id)
    return Instruments({Venue.UPBIT: upbit, Venue.BINANCE: spot, Venue.BINANCE_PERP: perp})


def _upbit(asset: Asset | None, first_id: int) -> Instrument:
    base = asset.name if asset else "USDT"
    rules = MarketRules(
        symbol=f"KRW-{base}",
        base=base,
        quote="KRW",
        tick_at=krw_tick,
        lot=to_decimal(UPBIT_LOT),
        min_quantity=to_decimal(1),
        max_quantity=Decimal(10) ** 12,
        max_market_quantity=Decimal(10) ** 12,
        min_notional=Decimal(5_000),
        max_notional=Decimal(1_000_000_000),
    )
    return Instrument(
        Venue.UPBIT, rules.symbol, base, "KRW", asset, 0, UPBIT_LOT, rules, Book(first_id)
    )


def _spot(asset: Asset, first_id: int) -> Instrument:
    tick, lot = to_decimal(asset.spot_tick), to_decimal(asset.spot_step)
    rules = MarketRules(
        symbol=f"{asset.name}USDT",
        base=asset.name,
        quote="USDT",
        tick_at=lambda _price: tick,
        lot=lot,
        min_quantity=lot,
        max_quantity=lot * MOST_LOTS,
        max_market_quantity=lot * MOST_LOTS,
        min_notional=Decimal(5),
        max_notional=SPOT_MAX_NOTIONAL,
        price_down=SPOT_BAND[0],
        price_up=SPOT_BAND[1],
    )
    return Instrument(
        Venue.BINANCE,
        rules.symbol,
        asset.name,
        "USDT",
        asset,
        asset.spot_tick,
        asset.spot_step,
        rules,
        Book(first_id),
    )


def _perp(asset: Asset, first_id: int) -> Instrument:
    tick, lot = to_decimal(asset.perp_tick), to_decimal(asset.perp_step)
    base = asset.perp_symbol.removesuffix("USDT")
    is_btc = asset.name == "BTC"
    rules = MarketRules(
        symbol=asset.perp_symbol,
        base=base,
        quote="USDT",
        tick_at=lambda _price: tick,
        lot=lot,
        min_quantity=lot,
        max_quantity=Decimal(1000) if is_btc else lot * MOST_LOTS,
        max_market_quantity=Decimal(120) if is_btc else lot * MOST_LOTS / 10,
        min_notional=Decimal(asset.perp_min_notional),
        max_notional=None,
        price_down=PERP_BAND[0],
        price_up=PERP_BAND[1],
        reduce_only_free_of_minimum=True,
    )
    return Instrument(
        Venue.BINANCE_PERP,
        rules.symbol,
        base,
        "USDT",
        asset,
        asset.perp_tick,
        asset.perp_step,
        rules,
        Book(first_id),
    )


def _digits(step: int) -> int:
    digits = 8
    while digits and step and step % 10 == 0:
        step //= 10
        digits -= 1
    return digits
