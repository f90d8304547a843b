"""What an answer of either Binance market proves about one order, by numeric code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from interlock_core.money import ZERO
from interlock_gatekeeper.transport import Answer
from interlock_gatekeeper.venues import codes, parse
from interlock_gatekeeper.venues.codes import Meaning, Proof
from interlock_gatekeeper.venues.readings import (
    Absent,
    Accepted,
    Ambiguous,
    Ended,
    QueryReading,
    Refused,
    SubmitReading,
)

# "Duplicate" says that an order of this id exists: never a proof that nothing was taken.
DUPLICATE_TEXT = "duplicate"
NOT_FOUND = -2013
CANCEL_REJECTED = -2011
# -2011 has other causes too; only this one says that nothing was open.
UNKNOWN_ORDER_TEXT = "unknown order"
WORKING_STATES = ("NEW", "PENDING_NEW", "PARTIALLY_FILLED", "PENDING_CANCEL")
FILLED = "FILLED"
ENDED_STATES = (FILLED, "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH")


def read_order(
    answer: Answer, client_order_id: str | None, meanings: Mapping[int, Meaning]
) -> SubmitReading:
    """Return what the answer to an order request proves."""
    try:
        body = parse.mapping(parse.document(answer))
        if answer.status in parse.HTTP_OK:
            return _read_state(body, client_order_id)
    except ValueError as error:
        return Ambiguous(f"HTTP {answer.status}: {error}")
    if answer.status in codes.BINANCE_STATUSES:
        return _refusal(answer.status, body, meanings)
    return Ambiguous(f"HTTP {answer.status}")


def read_query(answer: Answer, client_order_id: str | None) -> QueryReading:
    """Return what the answer to a query proves."""
    return _read_named(answer, client_order_id, _is_not_found)


def read_cancel(answer: Answer, client_order_id: str | None) -> QueryReading:
    """Return what the answer to a cancel proves; absent where there was nothing to cancel."""
    return _read_named(answer, client_order_id, is_nothing_to_cancel)


def read_fills(ended: Ended, answer: Answer) -> Ended | Ambiguous:
    """Return the ended order with price and fee, once its fills add up to what it filled."""
    try:
        trades = parse.rows(parse.answered(answer))
        if any(parse.text(row, "orderId") != ended.venue_order_id for row in trades):
            return Ambiguous("a fill of another order")
        if sum((parse.amount(row, "qty") for row in trades), ZERO) != ended.filled_quantity:
            return Ambiguous("the fills do not add up yet")
        quote = sum((parse.amount(r, "qty") * parse.amount(r, "price") for r in trades), ZERO)
        assets = {parse.text(row, "commissionAsset") for row in trades}
        if len(assets) != 1:
            return Ambiguous(f"fees in {len(assets)} assets")
        fee = sum((parse.amount(row, "commission") for row in trades), ZERO)
        price = parse.average(quote, ended.filled_quantity)
    except ValueError as error:
        return Ambiguous(str(error))
    return Ended(ended.venue_order_id, ended.filled_quantity, price, fee, assets.pop())


def is_nothing_to_cancel(status: int, body: dict[str, Any]) -> bool:
    """Say whether a refused cancel says that nothing was open."""
    unknown = UNKNOWN_ORDER_TEXT in str(body.get("msg", "")).lower()
    rejected = status in codes.BINANCE_STATUSES and body.get("code") == CANCEL_REJECTED
    return (rejected and unknown) or _is_not_found(status, body)


def _is_not_found(status: int, body: dict[str, Any]) -> bool:
    return status in codes.BINANCE_STATUSES and body.get("code") == NOT_FOUND


def _read_named(
    answer: Answer, client_order_id: str | None, is_absent: Callable[[int, dict[str, Any]], bool]
) -> QueryReading:
    try:
        body = parse.mapping(parse.document(answer))
        if answer.status in parse.HTTP_OK:
            return _read_state(body, client_order_id)
    except ValueError as error:
        return Ambiguous(f"HTTP {answer.status}: {error}")
    if is_absent(answer.status, body):
        return Absent()
    return Ambiguous(f"HTTP {answer.status} code {str(body.get('code'))[:40]}")


def _read_state(body: dict[str, Any], client_order_id: str | None) -> Ended | Accepted:
    # The answer to a spot cancel names the order as the original and the cancel by another id.
    parse.require_own(body.get("origClientOrderId", body.get("clientOrderId")), client_order_id)
    order_id = parse.text(body, "orderId")
    filled = parse.amount(body, "executedQty")
    status = parse.text(body, "status")
    if status in WORKING_STATES:
        return Accepted(order_id)
    if status not in ENDED_STATES:
        raise ValueError(f"expected a known status, was {status[:40]}")
    if status == FILLED and filled == ZERO:
        raise ValueError("expected a filled order to have filled something")
    ordered = parse.amount(body, "origQty") if "origQty" in body else filled
    if filled > ordered or (status == FILLED and filled != ordered):
        raise ValueError("expected a filled order to have filled what was ordered")
    # Price and fee come from the fills: the venue dropped avgPrice from these answers.
    return Ended(order_id, filled, ZERO, ZERO, None)


def _refusal(
    status: int, body: dict[str, Any], meanings: Mapping[int, Meaning]
) -> Refused | Ambiguous:
    code, message = body.get("code"), str(body.get("msg", ""))
    meaning = meanings.get(code) if type(code) is int else None
    if meaning is None:
        return Ambiguous(f"HTTP {status} code {str(code)[:40]}")
    if meaning.proof is Proof.UNKNOWN or DUPLICATE_TEXT in message.lower():
        return Ambiguous(f"HTTP {status} code {code}: {meaning.reason}")
    return Refused(str(code), message[:200])
