"""Bars of any length: recorded minutes, continued backwards by a smooth invented past.

The invented past joins the first real price, so a chart has no jump; it carries no information.
"""

from __future__ import annotations

import math
import zlib

from interlock_simvenues.market.instruments import Instrument
from interlock_simvenues.market.tape import Bar

_WAVES = ((3_600_000, 0.002), (21_600_000, 0.005), (86_400_000, 0.012), (604_800_000, 0.03))


def bars(instrument: Instrument, *, length_ms: int, end_ms: int, count: int) -> list[Bar]:
    """Return up to count bars that start before end_ms, oldest first, the current one included."""
    known = _aggregate(list(instrument.tape.bars), length_ms)
    by_start = {bar.start_ms: bar for bar in known}
    anchor = known[0] if known else None
    price = anchor.open if anchor else instrument.mid()
    joint = anchor.start_ms if anchor else end_ms - end_ms % length_ms
    last = (end_ms - 1) // length_ms * length_ms
    found: list[Bar] = []
    for back in range(count - 1, -1, -1):
        start = last - back * length_ms
        bar = by_start.get(start)
        if bar is None and start < joint:
            bar = _invented(instrument, start=start, length=length_ms, joint=joint, price=price)
        elif bar is None:
            flat = found[-1].close if found else price
            bar = Bar(start, flat, flat, flat, flat, 0.0, 0)
        found.append(bar)
    return found


def _aggregate(minutes: list[Bar], length_ms: int) -> list[Bar]:
    merged: list[Bar] = []
    for minute in minutes:
        start = minute.start_ms - minute.start_ms % length_ms
        if merged and merged[-1].start_ms == start:
            bar = merged[-1]
            bar.high = max(bar.high, minute.high)
            bar.low = min(bar.low, minute.low)
            bar.close = minute.close
            bar.volume += minute.volume
            bar.trades += minute.trades
        else:
            merged.append(
                Bar(start, minute.open, minute.high, minute.low, minute.close, minute.volume,
                    minute.trades)
            )  # fmt: skip
    return merged


def _invented(instrument: Instrument, *, start: int, length: int, joint: int, price: float) -> Bar:
    phase = zlib.crc32(instrument.symbol.encode()) % 6_283 / 1000
    opened = _past(price, start, joint, phase)
    closed = _past(price, min(start + length, joint), joint, phase)
    volume = instrument.tape.volume * length / 86_400_000
    return Bar(start, opened, max(opened, closed), min(opened, closed), closed, volume, 10)


def _past(price: float, at_ms: int, joint_ms: int, phase: float) -> float:
    shift = sum(
        size * (math.sin(at_ms / period * math.tau + phase)
                - math.sin(joint_ms / period * math.tau + phase))
        for period, size in _WAVES
    )  # fmt: skip
    return price * (1 + shift)
