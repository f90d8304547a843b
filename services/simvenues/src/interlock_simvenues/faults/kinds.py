"""Every kind of fault: what it may be asked for, its parameters, and what a client then sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from interlock_core.instrument import Venue

MAX_MS = 60_000
MAX_SKEW_MS = 3_600_000
MAX_RETRY_S = 3 * 86_400


class FaultKind(StrEnum):
    """The stable names of the faults."""

    DELAY = "delay"
    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"
    UNKNOWN_STATUS = "unknown_status"
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    REJECTED = "rejected"
    PARTIAL_FILL = "partial_fill"
    SELF_TRADE = "self_trade"
    HALTED = "halted"
    DELISTED = "delisted"
    MAINTENANCE = "maintenance"
    STALE_BOOK = "stale_book"
    CROSSED_BOOK = "crossed_book"
    SEQUENCE_GAP = "sequence_gap"
    STALL = "stall"
    DISCONNECT = "disconnect"
    MALFORMED_FRAME = "malformed_frame"
    CLOCK_SKEW = "clock_skew"
    SLOW_ACCOUNT = "slow_account"


class Operation(StrEnum):
    """What a call does, or what a connection carries."""

    ORDER = "order"
    CANCEL = "cancel"
    QUERY = "query"
    ACCOUNT = "account"
    TIME = "time"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric parameter; a default of None leaves it to the kind."""

    low: float
    high: float
    default: float | None = None
    whole: bool = True

    def __str__(self) -> str:
        """Say what is accepted."""
        return f"a {'whole ' if self.whole else ''}number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter with a few values."""

    options: tuple[str | int | bool, ...]
    default: str | int | None = None

    def __str__(self) -> str:
        """Say what is accepted."""
        return "one of " + ", ".join(str(option).lower() for option in self.options)


Parameter = Number | Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One kind: `natural` operations are meant where a rule names none, `allowed` may be named.

    A lasting kind is a state and not an event: it has no probability, count or start after n.
    """

    effect: str
    natural: frozenset[Operation]
    allowed: frozenset[Operation]
    parameters: Mapping[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))
    venues: frozenset[Venue] = frozenset(Venue)
    has_symbol: bool = True
    lasting: bool = False


_EVERY = frozenset(Operation)
_ORDER = frozenset({Operation.ORDER})
_CHANGES = frozenset({Operation.ORDER, Operation.CANCEL})
_PUBLIC = frozenset({Operation.PUBLIC})
_STREAMS = frozenset({Operation.PUBLIC, Operation.ACCOUNT})
_BINANCE = frozenset({Venue.BINANCE, Venue.BINANCE_PERP})
_HOLD = MappingProxyType({"ms": Number(0, MAX_MS, MAX_MS)})
_LASTS = MappingProxyType({"ms": Number(1, MAX_MS)})

SHAPES: Mapping[FaultKind, Shape] = MappingProxyType(
    {
        FaultKind.DELAY: Shape(
            effect="The call is taken `ms` later; its answer is the usual one.",
            natural=_EVERY,
            allowed=_EVERY,
            parameters={"ms": Number(0, MAX_MS, 1_000)},
        ),
        FaultKind.TIMEOUT_BEFORE: Shape(
            effect="The call never reaches the venue (an identifier is not burnt): no answer for "
            "`ms`, then the connection is closed. On the WebSocket API the request stays "
            "unanswered.",
            natural=_EVERY,
            allowed=_EVERY,
            parameters=_HOLD,
        ),
        FaultKind.TIMEOUT_AFTER: Shape(
            effect="The call is done, the order accepted, and its answer lost: no answer for "
            "`ms`, then the connection is closed.",
            natural=_CHANGES,
            allowed=_EVERY,
            parameters=_HOLD,
        ),
        FaultKind.UNKNOWN_STATUS: Shape(
            effect="5xx that says nothing of the outcome. Upbit: status 500, plain text. Binance: "
            'status 503 with `code` -1006 or -1007, or with 0 "Unknown error, please check your '
            'request or try again later." without a code. The call is done where `executed`, a '
            "seeded coin where that is not given.",
            natural=_CHANGES,
            allowed=_EVERY,
            parameters={
                "code": Choice((-1006, -1007, 0), -1007),
                "status": Number(500, 599),
                "executed": Choice((True, False)),
            },
        ),
        FaultKind.RATE_LIMITED: Shape(
            effect="429 with Retry-After; the call is not done. Upbit: `too_many_requests`. "
            "Binance: `code` -1003 (weight) or -1015 (orders).",
            natural=_EVERY,
            allowed=_EVERY,
            parameters={
                "retry_after_s": Number(1, MAX_RETRY_S, 1),
                "code": Choice((-1003, -1015), -1003),
            },
        ),
        FaultKind.BANNED: Shape(
            effect="418 with Retry-After; the call is not done. Upbit: the block time in the "
            "message. Binance: -1003 with the end of the ban in ms.",
            natural=_EVERY,
            allowed=_EVERY,
            parameters={"retry_after_s": Number(1, MAX_RETRY_S, 120)},
        ),
        FaultKind.REJECTED: Shape(
            effect="A valid order is refused (Upbit burns its identifier). balance: "
            "`insufficient_funds_bid|ask`, -2010, -2019. filter: `under_min_total_bid|ask`, "
            "-1013 NOTIONAL, -4164. price_band: `create_bid|ask_error`, -1013 "
            "PERCENT_PRICE_BY_SIDE, -4016 or -4024.",
            natural=_ORDER,
            allowed=_ORDER,
            parameters={"reason": Choice(("balance", "filter", "price_band"), "balance")},
        ),
        FaultKind.PARTIAL_FILL: Shape(
            effect="An IOC or market order fills only `fraction` of what it would, cut to whole "
            "lots; its rest ends as the venue ends the rest of an IOC.",
            natural=_ORDER,
            allowed=_ORDER,
            parameters={"fraction": Number(0, 1, 0.5, whole=False)},
        ),
        FaultKind.SELF_TRADE: Shape(
            effect="An order that would fill is accepted and ends unfilled by self-trade "
            "prevention. Upbit: `cancel` with prevented_volume, `prevented` on the private "
            "stream. Binance: EXPIRED_IN_MATCH.",
            natural=_ORDER,
            allowed=_ORDER,
        ),
        FaultKind.HALTED: Shape(
            effect="Orders are refused. Upbit: 403 `market_offline`, is_trading_suspended in "
            'tickers. Spot: -2010 "Market is closed.", status HALT in exchangeInfo. USD-M: '
            "-4140, status PENDING_TRADING.",
            natural=_ORDER,
            allowed=_ORDER,
            lasting=True,
        ),
        FaultKind.DELISTED: Shape(
            effect="The market is gone from market/all or exchangeInfo, and orders are refused. "
            "Upbit: `notfoundmarket`, market_state DELISTED in tickers. Binance: -1121.",
            natural=_ORDER,
            allowed=_ORDER,
            lasting=True,
        ),
        FaultKind.MAINTENANCE: Shape(
            effect="503 with an HTML page; the call is not done, and a WebSocket is not opened. "
            "On an open WebSocket API: status 503, -1016.",
            natural=_EVERY,
            allowed=_EVERY,
        ),
        FaultKind.STALE_BOOK: Shape(
            effect="The shown book (streams and REST) stands still with its last change time, "
            "for `ms` or as long as the rule holds, while orders meet the real one.",
            natural=_PUBLIC,
            allowed=_PUBLIC,
            parameters=_LASTS,
        ),
        FaultKind.CROSSED_BOOK: Shape(
            effect="The shown book (streams and REST) has a bid one tick over the best ask, for "
            "`ms` or as long as the rule holds; orders meet the real one.",
            natural=_PUBLIC,
            allowed=_PUBLIC,
            parameters=_LASTS,
        ),
        FaultKind.SEQUENCE_GAP: Shape(
            effect="One depth update is not sent: the next one's U (USD-M: pu) does not join. "
            "Upbit's books carry no sequence.",
            natural=_PUBLIC,
            allowed=_PUBLIC,
            venues=_BINANCE,
        ),
        FaultKind.STALL: Shape(
            effect="The WebSocket stays open and sends nothing, not even answers to PING or "
            "SUBSCRIBE, for `ms` or as long as the rule holds. Ping frames are still answered.",
            natural=_STREAMS,
            allowed=_STREAMS,
            parameters=_LASTS,
        ),
        FaultKind.DISCONNECT: Shape(
            effect="The WebSocket ends: 1006 cuts it without a close frame, another `code` "
            "closes it with that code.",
            natural=_STREAMS,
            allowed=_STREAMS,
            parameters={"code": Choice((1000, 1001, 1006, 1008, 1011, 1012), 1006)},
        ),
        FaultKind.MALFORMED_FRAME: Shape(
            effect="A frame is cut in half: it is no JSON.",
            natural=_STREAMS,
            allowed=_STREAMS,
        ),
        FaultKind.CLOCK_SKEW: Shape(
            effect="The venue's clock is `ms` ahead (negative: behind): Date headers, Binance's "
            "time calls and its receive window (-1021). Upbit has only the header.",
            natural=frozenset({Operation.TIME}),
            allowed=frozenset({Operation.TIME}),
            parameters={"ms": Number(-MAX_SKEW_MS, MAX_SKEW_MS, 5_000)},
            has_symbol=False,
            lasting=True,
        ),
        FaultKind.SLOW_ACCOUNT: Shape(
            effect="Balances, positions and open orders are shown as they were `ms` ago (at most "
            "as far back as the rule is loaded); a query of one order is not.",
            natural=frozenset({Operation.ACCOUNT}),
            allowed=frozenset({Operation.ACCOUNT}),
            parameters={"ms": Number(1, MAX_MS, 5_000)},
            has_symbol=False,
            lasting=True,
        ),
    }
)

CALL_KINDS = frozenset(
    {
        FaultKind.DELAY,
        FaultKind.TIMEOUT_BEFORE,
        FaultKind.TIMEOUT_AFTER,
        FaultKind.UNKNOWN_STATUS,
        FaultKind.RATE_LIMITED,
        FaultKind.BANNED,
        FaultKind.MAINTENANCE,
    }
)
REFUSING_KINDS = frozenset({FaultKind.REJECTED, FaultKind.HALTED, FaultKind.DELISTED})
STATUS_KINDS = frozenset({FaultKind.HALTED, FaultKind.DELISTED})
BOOK_KINDS = frozenset({FaultKind.STALE_BOOK, FaultKind.CROSSED_BOOK})
FRAME_KINDS = frozenset(
    {
        FaultKind.SEQUENCE_GAP,
        FaultKind.STALL,
        FaultKind.DISCONNECT,
        FaultKind.MALFORMED_FRAME,
    }
)
