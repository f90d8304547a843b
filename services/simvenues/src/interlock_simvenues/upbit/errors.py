"""Upbit's named errors. The Exchange API names are words, the quotation API's are numbers."""

from __future__ import annotations

from interlock_core.instrument import Side
from interlock_simvenues.matching.orders import Reason

SIDE_WORD = {Side.BUY: "bid", Side.SELL: "ask"}


class UpbitError(Exception):
    """A refusal with the venue's HTTP status, name and message."""

    def __init__(self, status: int, name: str | int, message: str) -> None:
        self.status = status
        self.name = name
        self.message = message
        super().__init__(f"{status} {name}: {message}")


_ORDER = {
    Reason.UNKNOWN_MARKET: ("notfoundmarket", "No market found."),
    Reason.PRICE_STEP: ("invalid_price_{side}", "The order price does not fit the price unit."),
    Reason.NOTIONAL_LOW: ("under_min_total_{side}", "Order at least {detail} KRW."),
    Reason.NOTIONAL_HIGH: ("over_krw_funds_{side}", "Order at most {detail} KRW."),
    Reason.FUNDS: ("insufficient_funds_{side}", "Available funds ({detail}) are not enough."),
    Reason.DUPLICATE: ("duplicated_identifier", "The identifier was used before."),
}


def order_error(reason: Reason, detail: str, side: Side) -> UpbitError:
    """Return the venue's error for a refused order."""
    word = SIDE_WORD[side]
    if reason is Reason.HALTED:
        return UpbitError(403, "market_offline", "The market is offline.")
    name, message = _ORDER.get(reason, ("create_{side}_error", "The order was not accepted."))
    return UpbitError(400, name.format(side=word), message.format(detail=detail))


def validation(message: str) -> UpbitError:
    """Return the error for a missing or malformed parameter."""
    return UpbitError(400, "validation_error", message)


def not_found() -> UpbitError:
    """Return the error for an order nobody knows."""
    return UpbitError(404, "order_not_found", "The order was not found.")


def unknown_code() -> UpbitError:
    """Return the quotation API's error for a market that does not exist."""
    return UpbitError(404, 404, "Code not found")


def bad_quotation(message: str) -> UpbitError:
    """Return the quotation API's error for a bad parameter."""
    return UpbitError(400, 400, message)
