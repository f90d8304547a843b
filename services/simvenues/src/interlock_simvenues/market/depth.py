"""Levels behind the best price: a grid that stays where it is while the best price moves."""

from __future__ import annotations

from dataclasses import dataclass

from interlock_simvenues.market.ticks import krw_tick_units

# The outermost level stands this far from the best price.
REACH_BPS = 60.0
# How fast the levels spread: near the best price they are as dense as ticks allow.
SPREAD_POWER = 2.2
RESHAPE_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Shape:
    """Offsets and grid steps of the levels behind the best, for prices near `reference`."""

    reference: int
    tick: int
    rungs: tuple[tuple[int, int], ...]

    def fits(self, best: int, tick: int) -> bool:
        """Say whether the shape still serves a best price."""
        return tick == self.tick and abs(best - self.reference) <= self.reference * RESHAPE_SHARE


def shape(best: int, tick: int, levels: int) -> Shape:
    """Return a shape for a best price: each grid step is a power of two of ticks."""
    reach = best * REACH_BPS / 10_000
    offsets = [
        max(k, int(reach * (k / (levels - 1)) ** SPREAD_POWER / tick)) for k in range(levels + 1)
    ]
    rungs = []
    for k in range(levels):
        gap = max(1, offsets[k + 1] - offsets[k])
        rungs.append((offsets[k] * tick, tick * (1 << (gap.bit_length() - 1)) if k else tick))
    return Shape(best, tick, tuple(rungs))


def bid_prices(best: int, form: Shape, *, krw: bool) -> list[int]:
    """Return falling level prices from the best bid."""
    prices = [best - offset - (best - offset) % grid for offset, grid in form.rungs]
    if prices[-1] <= 0:
        prices = [price for price in prices if price > 0]
    if krw and krw_tick_units(prices[-1]) > form.tick:
        prices = _snapped(prices, up=False)
    return prices


def ask_prices(best: int, form: Shape, *, krw: bool) -> list[int]:
    """Return rising level prices from the best ask."""
    prices = [best + offset + -(best + offset) % grid for offset, grid in form.rungs]
    if krw and krw_tick_units(prices[-1]) != form.tick:
        prices = _snapped(prices, up=True)
    return prices


def _snapped(prices: list[int], *, up: bool) -> list[int]:
    snapped: dict[int, None] = {}
    for price in prices:
        rest = price % krw_tick_units(price)
        step = krw_tick_units(price)
        snapped[price - rest + (step if up and rest else 0)] = None
    return list(snapped)
