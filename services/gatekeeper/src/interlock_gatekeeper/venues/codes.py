"""What each documented error proves about the order it answers.

DEFINITIVE: the venue did not take the order. UNKNOWN: it may have. What is not listed is UNKNOWN.
Sources: binance-spot-api-docs `errors.md`, the USD-M error-code page, Upbit's REST guide and order
reference (v1.6.4). A code that no order can earn is UNKNOWN: an answer that makes no sense proves
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Proof(Enum):
    """Whether an error proves that the order was not taken."""

    DEFINITIVE = "definitive"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error proves, and why."""

    proof: Proof
    reason: str


def _no(reason: str) -> Meaning:
    return Meaning(Proof.DEFINITIVE, reason)


def _maybe(reason: str) -> Meaning:
    return Meaning(Proof.UNKNOWN, reason)


_FOREIGN = _maybe("no answer to an order: another endpoint's error")
_SESSION = _maybe("no answer to an order: a FIX or WebSocket session's error")
_SETTING = _maybe("no answer to an order: leverage, margin or position mode")
_OPTIONS = _maybe("no answer to an order: options")
_LISTING = _maybe("no answer to an order: the venue's own symbol settings")

# Statuses that a venue's own refusal has. 403 from Binance is its firewall, 408 a time-out, 409 a
# half-done cancel-replace, and every 5xx is in doubt whatever its body says.
BINANCE_STATUSES = frozenset({400, 401, 418, 429})
UPBIT_STATUSES = frozenset({400, 401, 403, 404, 418, 429})

_BINANCE: Mapping[int, Meaning] = {
    -1000: _maybe("an error that the venue cannot name"),
    -1001: _maybe("an internal error: how far the order came is not said"),
    -1002: _no("not authorized"),
    -1003: _no("over the request limit or banned: refused at the door"),
    -1006: _maybe("the venue says: execution status unknown"),
    -1007: _maybe("the venue says: send and execution status unknown"),
    -1008: _maybe("overloaded: whether the order was dropped is not said for every path"),
    -1010: _maybe("an error of the matching engine that is not named"),
    -1013: _no("failed a filter before the matching engine"),
    -1014: _no("unsupported combination of order parameters"),
    -1015: _no("over the order limit"),
    -1016: _maybe("shutting down: whether the order was passed on is not said"),
    -1020: _no("unsupported operation"),
    -1021: _no("time stamp outside the receive window"),
    -1022: _no("bad signature"),
    -1100: _no("illegal characters in a parameter"),
    -1101: _no("too many parameters"),
    -1102: _no("a mandatory parameter is missing or malformed"),
    -1103: _no("unknown parameter"),
    -1104: _no("a parameter was not read"),
    -1105: _no("an empty parameter"),
    -1106: _no("a parameter that is not required"),
    -1111: _no("too many decimals"),
    -1112: _no("no orders on the book"),
    -1114: _no("time in force not required"),
    -1115: _no("invalid time in force"),
    -1116: _no("invalid order type"),
    -1117: _no("invalid side"),
    -1118: _no("empty client order id"),
    -1119: _FOREIGN,
    -1120: _FOREIGN,
    -1121: _no("invalid symbol"),
    -1122: _FOREIGN,
    -1125: _FOREIGN,
    -1127: _FOREIGN,
    -1128: _no("invalid combination of optional parameters"),
    -1130: _no("invalid data in a parameter"),
    -2010: _no("rejected; a duplicate is told by its message"),
    -2011: _maybe("answers a cancel, not an order"),
    -2013: _maybe("answers a query, not an order"),
    -2014: _no("malformed API key"),
    -2015: _no("key, address or permission refused"),
    -2016: _FOREIGN,
}

BINANCE_SPOT: Mapping[int, Meaning] = {
    **_BINANCE,
    -1004: _maybe("busy (older documents): how far the order came is not said"),
    -1033: _SESSION,
    -1034: _SESSION,
    -1035: _SESSION,
    -1108: _no("a parameter overflowed"),
    -1131: _no("receive window too long"),
    -1134: _no("invalid strategy type"),
    -1135: _no("invalid JSON"),
    -1139: _FOREIGN,
    -1145: _FOREIGN,
    -1151: _FOREIGN,
    -1152: _no("invalid SBE header"),
    -1153: _no("unsupported SBE schema"),
    -1155: _no("SBE is not enabled"),
    -1158: _FOREIGN,
    -1160: _FOREIGN,
    -1161: _maybe("only the answer could not be encoded: the order may have been taken"),
    -1165: _FOREIGN,
    -1166: _FOREIGN,
    -1168: _FOREIGN,
    **dict.fromkeys(range(-1191, -1168), _SESSION),
    -1182: _no("conflicting parameters"),
    -1194: _no("invalid time unit"),
    -1196: _FOREIGN,
    -1197: _FOREIGN,
    -1198: _FOREIGN,
    -1199: _FOREIGN,
    -1210: _no("invalid peg price type"),
    -1211: _no("invalid peg offset type"),
    -1220: _FOREIGN,
    -1221: _no("invalid SBE message"),
    **dict.fromkeys(range(-1225, -1221), _FOREIGN),
    -2021: _maybe("answers a cancel-replace, which half failed"),
    -2022: _maybe("answers a cancel-replace"),
    -2026: _maybe("answers a query: the order is archived"),
    -2035: _SESSION,
    -2036: _SESSION,
    -2038: _maybe("answers a change of an order, not a new one"),
    -2039: _maybe("answers a query: two ids that do not agree"),
    -2042: _SESSION,
}

BINANCE_PERP: Mapping[int, Meaning] = {
    **_BINANCE,
    -1004: _FOREIGN,
    -1005: _FOREIGN,
    -1011: _no("this address may not use the route"),
    -1023: _FOREIGN,
    -1099: _no("not found, unauthenticated or unauthorized"),
    -1108: _no("invalid asset"),
    -1109: _no("invalid account"),
    -1110: _no("invalid symbol type"),
    -1113: _FOREIGN,
    -1126: _no("asset not supported"),
    -1136: _no("invalid response type"),
    -2012: _FOREIGN,
    -2017: _no("API keys are locked"),
    -2018: _no("balance insufficient"),
    -2019: _no("margin insufficient"),
    -2020: _maybe("unable to fill: whether the order ended or was never taken is not said"),
    -2021: _no("would trigger at once"),
    -2022: _no("reduce-only rejected"),
    -2023: _no("the account is in liquidation"),
    -2024: _no("position insufficient"),
    -2025: _no("too many open orders"),
    -2026: _no("order type not supported with reduce-only"),
    -2027: _no("over the largest position at this leverage"),
    -2028: _no("leverage too small for the margin balance"),
    -4000: _maybe("invalid order status: of which order is not said"),
    -4001: _no("price below zero"),
    -4002: _no("price above the maximum"),
    -4003: _no("quantity not above zero"),
    -4004: _no("quantity below the minimum"),
    -4005: _no("quantity above the maximum"),
    -4006: _no("stop price below zero"),
    -4007: _no("stop price above the maximum"),
    **dict.fromkeys(range(-4012, -4007), _LISTING),
    -4013: _no("price below the minimum"),
    -4014: _no("price off the tick"),
    -4015: _no("invalid client order id"),
    -4016: _no("price above the mark price's cap"),
    -4017: _LISTING,
    -4018: _LISTING,
    -4019: _LISTING,
    -4020: _no("invalid strategy for the order type"),
    -4021: _FOREIGN,
    -4022: _LISTING,
    -4023: _no("quantity off the step"),
    -4024: _no("price below the mark price's floor"),
    -4025: _LISTING,
    -4026: _LISTING,
    -4027: _no("invalid account type"),
    -4028: _SETTING,
    -4029: _LISTING,
    -4030: _LISTING,
    -4031: _no("invalid working type"),
    -4032: _FOREIGN,
    -4033: _FOREIGN,
    -4044: _FOREIGN,
    -4045: _no("too many stop orders"),
    -4046: _SETTING,
    -4047: _SETTING,
    -4048: _SETTING,
    -4049: _SETTING,
    -4050: _no("cross balance insufficient"),
    -4051: _no("isolated balance insufficient"),
    -4052: _SETTING,
    -4053: _SETTING,
    -4054: _SETTING,
    -4055: _FOREIGN,
    -4056: _no("invalid API key type"),
    -4057: _FOREIGN,
    -4058: _LISTING,
    -4059: _SETTING,
    -4060: _no("invalid position side"),
    -4061: _no("position side does not match the account's mode"),
    -4062: _no("improper reduce-only value"),
    **dict.fromkeys(range(-4066, -4062), _OPTIONS),
    -4067: _SETTING,
    -4068: _SETTING,
    **dict.fromkeys(range(-4081, -4068), _OPTIONS),
    -4082: _FOREIGN,
    -4083: _maybe("a batch failed: how much of it is not said"),
    -4084: _no("method not allowed yet"),
    -4085: _LISTING,
    -4086: _LISTING,
    -4087: _no("only reduce-only orders are permitted"),
    -4088: _no("the account may not place orders now"),
    -4104: _no("invalid contract type"),
    -4114: _FOREIGN,
    -4115: _FOREIGN,
    -4116: _maybe("duplicate client order id: an order of this id exists"),
    -4117: _maybe("a stop order is triggering: of which order is not said"),
    -4118: _no("reduce-only failed against position and open orders"),
    -4120: _no("conditional orders go to another endpoint"),
    -4131: _no("the best opposite price is outside PERCENT_PRICE"),
    -4135: _no("invalid activation price"),
    -4137: _no("quantity with closePosition"),
    -4138: _no("closePosition without reduce-only"),
    -4139: _no("order type cannot be market"),
    -4140: _no("the symbol does not take opening orders"),
    -4141: _no("the symbol is closed"),
    -4142: _no("would trigger at once"),
    -4144: _no("invalid pair"),
    -4161: _SETTING,
    -4164: _no("notional below the minimum"),
    -4165: _FOREIGN,
    -4167: _SETTING,
    -4168: _SETTING,
    -4169: _SETTING,
    -4170: _SETTING,
    -4171: _SETTING,
    -4172: _SETTING,
    -4183: _no("price above the stop price's cap"),
    -4184: _no("price below the stop price's floor"),
    -4192: _no("trading forbidden in a cooling-off period"),
    **dict.fromkeys((-4202, -4203, -4205, -4206, -4208, -4209), _SETTING),
    -4210: _no("stop price above its cap"),
    -4211: _no("stop price below its floor"),
    -4400: _no("quantitative rules: only reduce-only orders"),
    -4401: _no("large position: only reduce-only orders"),
    -4402: _no("not available in this region"),
    -4403: _SETTING,
    -4531: _SETTING,
    -5021: _no("fill-or-kill could not fill at once"),
    -5022: _no("post-only would have taken"),
    **dict.fromkeys(range(-5027, -5023), _maybe("answers a change of an order, not a new one")),
    -5028: _no("outside the matching engine's receive window"),
    -5029: _maybe("answers a change of an order, not a new one"),
    -5037: _no("invalid price match"),
    -5038: _no("price match does not go with the order type"),
    -5039: _no("invalid self-trade prevention mode"),
    -5040: _no("invalid good-till date"),
    -5041: _no("no depth for a best-price order"),
}

UPBIT: Mapping[str, Meaning] = {
    "QUERY_PARAMETER_NOT_SUPPORTED": _no("a body where only a query is read"),
    "bad_request": _no("malformed request"),
    "create_ask_error": _no("the sell order's parameters do not fit"),
    "create_bid_error": _no("the buy order's parameters do not fit"),
    "currency_not_found": _FOREIGN,
    "duplicated_identifier": _maybe("the identifier was used: an order of this id may exist"),
    "expired_access_key": _no("expired key"),
    "insufficient_funds_ask": _no("not enough of the asset"),
    "insufficient_funds_bid": _no("not enough KRW"),
    "invalid_access_key": _no("unknown key"),
    "invalid_parameter": _no("invalid parameter"),
    "invalid_post_only": _no("post-only with self-match prevention"),
    "invalid_price_ask": _no("price off the tick"),
    "invalid_price_bid": _no("price off the tick"),
    "invalid_query_payload": _no("the token does not cover the request"),
    "invalid_time_in_force": _no("invalid time in force"),
    "jwt_verification": _no("bad signature"),
    "market_offline": _no("maintenance"),
    "no_authorization_ip": _no("address not allowed for the key"),
    "no_authorization_token": _no("no token"),
    "nonce_used": _maybe("this nonce came before: so may have this order"),
    "not_found": _maybe("no such path: not an answer of the order service"),
    "notfoundmarket": _no("unknown market"),
    "open_api_withdraw_locked": _FOREIGN,
    "order_not_found": _maybe("answers a query or cancel, not an order"),
    "out_of_scope": _no("the key lacks the permission"),
    "over_krw_funds_ask": _no("above the largest order"),
    "over_krw_funds_bid": _no("above the largest order"),
    "pocket_not_found": _FOREIGN,
    "thirdparty_agreement_required": _no("the account lacks an agreement"),
    "too_many_requests": _no("over the request limit or blocked: refused at the door"),
    "under_min_total_ask": _no("below the smallest order"),
    "under_min_total_bid": _no("below the smallest order"),
    "validation_error": _no("missing or malformed parameter"),
    "withdraw_address_not_registered": _FOREIGN,
}
# The documents give these no name: the status itself is the refusal.
UPBIT_NAMELESS: Mapping[int, Meaning] = {
    418: _no("blocked for too many requests: refused at the door"),
    429: _no("over the request limit: refused at the door"),
}
