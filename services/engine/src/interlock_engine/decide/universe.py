"""Which assets are traded: the largest that both venues list and whose lots fit the order size."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal

from interlock_core.instrument import Route
from interlock_engine.decide.sizing import quantity


@dataclass(frozen=True, slots=True)
class Candidate:
    """An asset that both venues list, with what ranks and sizes it."""

    route: Route
    volume_usd: float
    upbit_krw: Decimal
    binance_usdt: Decimal


@dataclass(frozen=True, slots=True)
class Universe:
    """The routes of a session, largest first, and what was left out with the reason."""

    routes: tuple[Route, ...]
    left_out: tuple[tuple[str, str], ...]


def volume_usd(upbit_krw: float, binance_usdt: float, krw_per_usdt: float) -> float:
    """Return the volume that ranks an asset: the smaller venue's, since both legs must fill."""
    return min(upbit_krw / krw_per_usdt, binance_usdt)


def select(
    candidates: Iterable[Candidate],
    count: int,
    notional_usd: Decimal,
    keep: AbstractSet[str] = frozenset(),
) -> Universe:
    """Return the `count` largest candidates that an order of notional_usd fits.

    Assets to keep hold a position: they come first, whatever their rank and lots.
    """
    ranked = sorted(candidates, key=lambda c: (-c.volume_usd, c.route.asset))
    routes: list[Route] = [item.route for item in ranked if item.route.asset in keep]
    left_out: list[tuple[str, str]] = []
    for item in ranked:
        if len(routes) >= count:
            break
        if item.route.asset in keep:
            continue
        sized = quantity(
            notional_usd,
            item.route.upbit,
            item.route.binance,
            upbit_krw=item.upbit_krw,
            binance_usdt=item.binance_usdt,
        )
        if sized is None:
            left_out.append((item.route.asset, f"lots or minimums do not fit {notional_usd} USD"))
        else:
            routes.append(item.route)
    return Universe(tuple(routes), tuple(left_out))
