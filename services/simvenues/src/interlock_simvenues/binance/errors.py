"""Binance's numeric errors, spot and USD-M."""

from __future__ import annotations

from interlock_simvenues.matching.orders import Reason


class BinanceError(Exception):
    """A refusal with the venue's HTTP status, code and message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"{status} {code}: {message}")


def missing(name: str) -> BinanceError:
    """Return the error for a mandatory parameter that is not there."""
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return BinanceError(400, -1102, text)


def illegal(name: str) -> BinanceError:
    """Return the error for a parameter with characters that do not belong there."""
    return BinanceError(400, -1100, f"Illegal characters found in parameter '{name}'.")


def bad_symbol() -> BinanceError:
    """Return the error for a symbol that does not exist."""
    return BinanceError(400, -1121, "Invalid symbol.")


def not_permitted() -> BinanceError:
    """Return the error for an unknown key or a missing permission."""
    return BinanceError(401, -2015, "Invalid API-key, IP, or permissions for action.")


def unknown_order() -> BinanceError:
    """Return the error for a query that finds nothing."""
    return BinanceError(400, -2013, "Order does not exist.")


def unknown_cancel() -> BinanceError:
    """Return the error for a cancel that finds nothing."""
    return BinanceError(400, -2011, "Unknown order sent.")


_SPOT = {
    Reason.UNKNOWN_MARKET: (-1121, "Invalid symbol."),
    Reason.PRICE_STEP: (-1013, "Filter failure: PRICE_FILTER"),
    Reason.PRICE_RANGE_HIGH: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    Reason.PRICE_RANGE_LOW: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    Reason.QUANTITY_STEP: (-1013, "Filter failure: LOT_SIZE"),
    Reason.QUANTITY_LOW: (-1013, "Filter failure: LOT_SIZE"),
    Reason.QUANTITY_HIGH: (-1013, "Filter failure: LOT_SIZE"),
    Reason.NOTIONAL_LOW: (-1013, "Filter failure: NOTIONAL"),
    Reason.NOTIONAL_HIGH: (-1013, "Filter failure: NOTIONAL"),
    Reason.FUNDS: (-2010, "Account has insufficient balance for requested action."),
    Reason.DUPLICATE: (-2010, "Duplicate order sent."),
    Reason.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Reason.THIN_BOOK: (-2010, "Market is closed."),
    Reason.HALTED: (-2010, "Market is closed."),
}
_PERP = {
    Reason.UNKNOWN_MARKET: (-1121, "Invalid symbol."),
    Reason.PRICE_STEP: (-4014, "Price not increased by tick size."),
    Reason.PRICE_RANGE_HIGH: (-4016, "Limit price can't be higher than {detail}."),
    Reason.PRICE_RANGE_LOW: (-4024, "Limit price can't be lower than {detail}."),
    Reason.QUANTITY_STEP: (-1111, "Precision is over the maximum defined for this asset."),
    Reason.QUANTITY_LOW: (-4003, "Quantity less than or equal to zero."),
    Reason.QUANTITY_HIGH: (-4005, "Quantity greater than max quantity."),
    Reason.NOTIONAL_LOW: (
        -4164,
        "Order's notional must be no smaller than {detail} (unless you choose reduce only).",
    ),
    Reason.FUNDS: (-2019, "Margin is insufficient."),
    Reason.DUPLICATE: (-4116, "ClientOrderId is duplicated."),
    Reason.WOULD_TAKE: (
        -5022,
        (
            "Due to the order could not be executed as maker, the Post Only order will be "
            "rejected. The order will not be recorded in the order history."
        ),
    ),
    Reason.FILL_OR_KILL: (
        -5021,
        (
            "Due to the order could not be filled immediately, the FOK order has been "
            "rejected. The order will not be recorded in the order history."
        ),
    ),
    Reason.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    Reason.HALTED: (-4140, "Invalid symbol status for opening position."),
    Reason.POSITION_SIDE: (-4061, "Order's position side does not match user's setting."),
    Reason.THIN_BOOK: (
        -4131,
        "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    ),
}


def spot_order_error(reason: Reason) -> BinanceError:
    """Return the spot market's error for a refused order."""
    code, message = _SPOT.get(reason, (-2010, "This action is disabled on this account."))
    return BinanceError(400, code, message)


def perp_order_error(reason: Reason, detail: str) -> BinanceError:
    """Return the USD-M market's error for a refused order."""
    code, message = _PERP.get(reason, (-2010, "NEW_ORDER_REJECTED"))
    return BinanceError(400, code, message.format(detail=detail))
