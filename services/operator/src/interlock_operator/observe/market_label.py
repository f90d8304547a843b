"""Where the prices come from, in words that keep a simulated profit from looking real."""

from __future__ import annotations

LIVELY_WARNING = "lively: its profit says nothing about real markets"
MEANING = {
    "mirror": "real prices, simulated fills",
    "recording": "recorded prices, simulated fills",
    "synthetic": "simulated prices, simulated fills",
    "real": "real venues",
}


def market_label(source: str | None, regime: str | None) -> str:
    """Return the market's name and what it means."""
    if source is None:
        return "market not known yet"
    name = f"{source} / {regime}" if regime else source
    if regime == "lively":
        return f"{name} ({LIVELY_WARNING})"
    return f"{name} ({MEANING.get(source, 'simulated fills')})"
