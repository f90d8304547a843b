"""A seeded model of both venues: correlated prices, a common premium, and one per asset.

Upbit price = spot price x KRW per USDT x (1 + common premium + the asset's own deviation).
Both premiums and the perpetual's basis are Ornstein-Uhlenbeck processes; constants and their
origin are in `calibration`. The path depends on the seed and the number of steps, never on orders.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interlock_core.instrument import Venue
from interlock_simvenues.market import calibration
from interlock_simvenues.market.assets import Asset
from interlock_simvenues.market.calibration import Regime
from interlock_simvenues.market.instruments import USDT_MARKET, Instrument, Instruments
from interlock_simvenues.market.painter import Painter, Sizes
from interlock_simvenues.market.source import STEP_NS, Label
from interlock_simvenues.market.ticks import krw_tick_units
from interlock_simvenues.units import NS_PER_MS, NS_PER_S, SCALE

Floats = NDArray[np.float64]

STEP_S = STEP_NS / NS_PER_S
MARKET_BETA = 0.7
ALT_VOLATILITY = 1.6
# Assumed: the largest asset's book changes in 7 of 10 steps, the smallest in 1 of 6.
ACTIVITY_FIRST, ACTIVITY_LAST = 0.7, 0.16
FX_STEP_SD_BPS = 0.08
FX_HALF_LIFE_S = 3_600.0
# Assumed: where a book moves, somebody traded in one step of three.
TRADE_SHARE = 0.35
DAY_SWING = 0.03


@dataclass(slots=True)
class _Line:
    """One instrument's way from the model to its book."""

    instrument: Instrument
    painter: Painter
    index: int
    multiple: float
    one_tick_share: float


class Synthetic:
    """The default market source."""

    def __init__(
        self, instruments: Instruments, assets: tuple[Asset, ...], *, seed: int, regime: Regime
    ) -> None:
        self.label = Label("synthetic", regime.name, f"seeded model, seed {seed}")
        self._random = np.random.default_rng(seed)
        count = len(assets)
        self._log_usd = np.log([asset.usd for asset in assets])
        self._volatility = (
            calibration.BTC_STEP_SD_BPS
            / 1e4
            * np.where([asset.name == "BTC" for asset in assets], 1.0, ALT_VOLATILITY)
        )
        self._deviation = self._random.normal(0, regime.deviation_sd_bps / 1e4, count)
        self._keep, self._kick = _ou(regime.deviation_sd_bps, regime.deviation_half_life_s)
        self._basis_mean = (
            np.array(
                [calibration.BASIS_BPS.get(a.name, calibration.BASIS_DEFAULT_BPS) for a in assets]
            )
            / 1e4
        )
        self._basis = np.zeros(count)
        self._common = 0.0
        self._log_fx = 0.0
        self._lines = self._make_lines(instruments, assets)
        self._activity = np.array([self._line_activity(line, count) for line in self._lines])

    def step(self, now_ns: int) -> list[Instrument]:
        """Advance the model by one step and redraw the books that move in it."""
        self._advance()
        fx = self._fx()
        usd = np.exp(self._log_usd)
        perp = usd * (1 + self._basis_mean + self._basis)
        premium = calibration.PREMIUM_MEDIAN_BPS / 1e4 + self._common + self._deviation
        upbit = usd * fx * (1 + premium)
        by_venue = {
            Venue.UPBIT: upbit.tolist(),
            Venue.BINANCE: usd.tolist(),
            Venue.BINANCE_PERP: perp.tolist(),
        }
        draws = self._random.random((3, len(self._lines)))
        widths = self._random.lognormal(0.0, 0.6, len(self._lines)).tolist()
        moved = []
        for at in np.flatnonzero(draws[0] < self._activity).tolist():
            line = self._lines[at]
            mid = fx if line.index < 0 else by_venue[line.instrument.venue][line.index]
            narrow = draws[1][at] < line.one_tick_share
            if self._redraw(line, mid * line.multiple, widths[at], now_ns, narrow=bool(narrow)):
                moved.append(line.instrument)
            self._trade(line, float(draws[2][at]), now_ns)
        return moved

    def start(self, now_ns: int) -> None:
        """Draw every book once, so that no market is ever empty."""
        fx, usd = self._fx(), np.exp(self._log_usd)
        for line in self._lines:
            mid = fx if line.index < 0 else float(usd[line.index]) * line.multiple
            if line.instrument.venue is Venue.UPBIT and line.index >= 0:
                mid *= fx * (1 + calibration.PREMIUM_MEDIAN_BPS / 1e4)
            self._redraw(line, mid, 1.0, now_ns, narrow=True)
            swing = float(self._random.normal(0, DAY_SWING))
            turnover = line.instrument.asset.turnover_usd if line.instrument.asset else 1.0e9
            line.instrument.tape.open_day(
                opened=mid * (1 - swing),
                high=mid * (1 + abs(swing)),
                low=mid * (1 - abs(swing)),
                volume=turnover / (mid / fx if line.instrument.quote == "KRW" else mid) / 3,
                now=now_ns // NS_PER_MS,
            )
            self._trade(line, 0.0, now_ns)

    def is_live(self, now_ns: int) -> bool:
        """Say that a model never stands still."""
        _ = now_ns
        return True

    async def stop(self) -> None:
        """Hold nothing open."""

    def _advance(self) -> None:
        count = len(self._log_usd)
        market = self._random.normal()
        own = self._random.normal(size=(3, count))
        shock = MARKET_BETA * market + math.sqrt(1 - MARKET_BETA**2) * own[0]
        self._log_usd += self._volatility * shock
        self._deviation = self._deviation * self._keep + self._kick * own[1]
        keep, kick = _ou(calibration.BASIS_SD_BPS, calibration.BASIS_HALF_LIFE_S)
        self._basis = self._basis * keep + kick * own[2]
        keep, kick = _ou(calibration.PREMIUM_SD_BPS, calibration.PREMIUM_HALF_LIFE_S)
        self._common = self._common * keep + kick * self._random.normal()
        keep = 0.5 ** (STEP_S / FX_HALF_LIFE_S)
        self._log_fx = self._log_fx * keep + FX_STEP_SD_BPS / 1e4 * self._random.normal()

    def _fx(self) -> float:
        return calibration.FX_KRW_PER_USDT * math.exp(self._log_fx)

    def _redraw(self, line: _Line, mid: float, width: float, now_ns: int, *, narrow: bool) -> bool:
        units = int(mid * SCALE)
        tick = line.instrument.tick or krw_tick_units(units)
        ticks = 1
        if line.instrument.tick == 0:
            fine = calibration.UPBIT_FINE_SPREAD_BPS / 1e4 * units / tick
            ticks = max(1, round(fine * width))
        elif not narrow:
            ticks = 1 + max(1, round(calibration.WIDER_MEDIAN_BPS / 1e4 * units * width / tick))
        bid = (units - (ticks - 1) * tick // 2) // tick * tick
        return line.painter.paint(bid=bid, ask=bid + ticks * tick, tick=tick, now_ns=now_ns)

    def _trade(self, line: _Line, draw: float, now_ns: int) -> None:
        if draw > TRADE_SHARE:
            return
        sells = draw < TRADE_SHARE / 2
        book = line.instrument.book
        best = (book.bids if sells else book.asks).best()
        if best is None:
            return
        price, size = best
        lot = line.instrument.lot
        part = max(int(size * (0.05 + draw)) // lot, 1) * lot
        line.instrument.tape.add(price=price, size=part, buyer_is_maker=sells, now_ns=now_ns)

    def _make_lines(self, instruments: Instruments, assets: tuple[Asset, ...]) -> list[_Line]:
        sizes = Sizes(self._random)
        usdt = instruments.of(Venue.UPBIT)[USDT_MARKET]
        lines = [_Line(usdt, Painter(usdt, sizes, usd_price=1.0), -1, 1.0, 1.0)]
        for index, asset in enumerate(assets):
            spot = instruments.of(Venue.BINANCE)[f"{asset.name}USDT"]
            perp = instruments.of(Venue.BINANCE_PERP)[asset.perp_symbol]
            upbit = instruments.of(Venue.UPBIT)[f"KRW-{asset.name}"]
            multiple = asset.perp_multiple
            for item, times, share in (
                (upbit, 1, 1.0),
                (spot, 1, calibration.ONE_TICK_SHARE_SPOT),
                (perp, multiple, calibration.ONE_TICK_SHARE_PERP),
            ):
                painter = Painter(item, sizes, usd_price=asset.usd * times)
                lines.append(_Line(item, painter, index, float(times), share))
        return lines

    @staticmethod
    def _line_activity(line: _Line, count: int) -> float:
        share = max(line.index, 0) / count
        return ACTIVITY_FIRST + (ACTIVITY_LAST - ACTIVITY_FIRST) * math.sqrt(share)


def _ou(sd_bps: float, half_life_s: float) -> tuple[float, float]:
    """Return (keep, kick) of one step of an Ornstein-Uhlenbeck process, as a share of price."""
    keep = 0.5 ** (STEP_S / half_life_s)
    return keep, sd_bps / 1e4 * math.sqrt(1 - keep**2)
