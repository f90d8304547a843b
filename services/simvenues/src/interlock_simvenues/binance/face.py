"""One Binance market as its APIs see it: spot or USD-M."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from interlock_core.clock import Clock
from interlock_core.instrument import Venue
from interlock_simvenues.binance.errors import bad_symbol, illegal, missing
from interlock_simvenues.binance.limits import Limiter
from interlock_simvenues.market.instruments import Instrument
from interlock_simvenues.matching.exchange import Exchange
from interlock_simvenues.units import NS_PER_MS
from interlock_simvenues.world import World

Params = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Face:
    """What the APIs of one market share."""

    venue: Venue
    world: World
    limiter: Limiter
    server: Clock

    @property
    def perp(self) -> bool:
        """Say whether this is the USD-M market."""
        return self.venue is Venue.BINANCE_PERP

    @property
    def exchange(self) -> Exchange:
        """Return the market's exchange."""
        return self.world.exchanges[self.venue]

    @property
    def instruments(self) -> dict[str, Instrument]:
        """Return the market's instruments by symbol."""
        return self.world.instruments.of(self.venue)

    def now_ns(self) -> int:
        """Return the wall time in nanoseconds."""
        return self.world.clock.wall_ns()

    def now_ms(self) -> int:
        """Return the wall time in milliseconds."""
        return self.now_ns() // NS_PER_MS

    def server_ms(self) -> int:
        """Return the milliseconds that the venue's clock shows; a fault may set it off."""
        return self.server.wall_ns() // NS_PER_MS

    def instrument(self, params: Params) -> Instrument:
        """Return the instrument a request names, or raise."""
        symbol = params.get("symbol")
        if not symbol:
            raise missing("symbol")
        found = self.instruments.get(symbol)
        if found is None:
            raise bad_symbol()
        return found


def integer(params: Params, name: str, default: int, *, most: int) -> int:
    """Return a non-negative whole-number parameter, capped, or raise."""
    raw = params.get(name)
    if raw is None or raw == "":
        return default
    if not raw.isdigit():
        raise illegal(name)
    return min(int(raw), most)


def decimal(params: Params, name: str) -> Decimal | None:
    """Return a decimal parameter, None where it is absent, or raise."""
    raw = params.get(name)
    if raw is None or raw == "":
        return None
    try:
        value = Decimal(raw)
    except InvalidOperation as error:
        raise illegal(name) from error
    if not value.is_finite():
        raise illegal(name)
    return value


def flag(params: Params, name: str) -> bool:
    """Return a true/false parameter; absent is false."""
    return params.get(name, "false").lower() == "true"
