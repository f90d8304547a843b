"""Why something was refused or stopped: closed enums, one code for one condition."""

from __future__ import annotations

from enum import StrEnum


class DenyReason(StrEnum):
    """Why the gatekeeper refused an order; the order of members is the order of the checks."""

    AUTH = "AUTH"
    BAD_SCHEMA = "BAD_SCHEMA"
    KILLED = "KILLED"
    NOT_LIVE = "NOT_LIVE"
    HOLD = "HOLD"
    STALE_EPOCH = "STALE_EPOCH"
    LEASE = "LEASE"
    DEADLINE = "DEADLINE"
    STALE_INTENT = "STALE_INTENT"
    ID_CONFLICT = "ID_CONFLICT"
    DUP_SHAPE = "DUP_SHAPE"
    SYMBOL = "SYMBOL"
    TYPE_TIF = "TYPE_TIF"
    VENUE_FILTER = "VENUE_FILTER"
    VENUE_DOWN = "VENUE_DOWN"
    REF_STALE = "REF_STALE"
    REF_DIVERGE = "REF_DIVERGE"
    PRICE_COLLAR = "PRICE_COLLAR"
    FX_BAD = "FX_BAD"
    EDGE_IMPLAUSIBLE = "EDGE_IMPLAUSIBLE"
    ORDER_MAX = "ORDER_MAX"
    GROSS_MAX = "GROSS_MAX"
    UNHEDGED_MAX = "UNHEDGED_MAX"
    GROUP_MAX = "GROUP_MAX"
    LEG = "LEG"
    OPEN_ORDERS = "OPEN_ORDERS"
    TURNOVER = "TURNOVER"
    ORDER_COUNT = "ORDER_COUNT"
    RATE = "RATE"
    SYMBOL_RATE = "SYMBOL_RATE"
    REPEAT = "REPEAT"
    LOSS = "LOSS"
    DRAWDOWN = "DRAWDOWN"
    BALANCE = "BALANCE"
    UNKNOWN_LIMIT = "UNKNOWN_LIMIT"
    AUDIT = "AUDIT"
    INTERNAL = "INTERNAL"


DENY_MEANING: dict[DenyReason, str] = {
    DenyReason.AUTH: "wrong peer, session, sequence number or MAC: open a new session",
    DenyReason.BAD_SCHEMA: "the request is not the strict JSON message that was expected",
    DenyReason.KILLED: "the kill latch is set: find the cause, then `interlock reset`",
    DenyReason.NOT_LIVE: "no live session: arm, then open a session",
    DenyReason.HOLD: "the gatekeeper holds new risk until its cause has been gone for 10 s",
    DenyReason.STALE_EPOCH: "the order belongs to an older session",
    DenyReason.LEASE: "the session's lease has lapsed: heartbeats were late",
    DenyReason.DEADLINE: "the session's hard deadline is too near",
    DenyReason.STALE_INTENT: "the order was decided too long ago",
    DenyReason.ID_CONFLICT: "the intent id was used before with other contents",
    DenyReason.DUP_SHAPE: "the same order was sent less than 2 s ago under another id",
    DenyReason.SYMBOL: "venue or instrument is not in the session's list",
    DenyReason.TYPE_TIF: "only limit orders, immediate or cancel (ioc) or fill or kill (fok)",
    DenyReason.VENUE_FILTER: "the venue's tick, lot, quantity or notional rule would refuse it",
    DenyReason.VENUE_DOWN: "the venue's private interface is not answering or is backing off",
    DenyReason.REF_STALE: "the gatekeeper's own reference price is too old",
    DenyReason.REF_DIVERGE: "the quoted price is too far from the gatekeeper's reference price",
    DenyReason.PRICE_COLLAR: "the limit is too far through the gatekeeper's reference price",
    DenyReason.FX_BAD: "KRW per USDT is stale or implausible",
    DenyReason.EDGE_IMPLAUSIBLE: "the claimed edge is not in (0, 300] bps",
    DenyReason.ORDER_MAX: "one order's worst-case notional is above the cap",
    DenyReason.GROSS_MAX: "reserved plus exposure plus this order is above the cap",
    DenyReason.UNHEDGED_MAX: "the sum of unhedged legs would be above the cap, "
    "should only this one fill",
    DenyReason.GROUP_MAX: "too many round trips are open",
    DenyReason.LEG: "the round trip is unknown, has ended, or had this leg entered before",
    DenyReason.OPEN_ORDERS: "too many orders are open or in doubt",
    DenyReason.TURNOVER: "the session's turnover would be above its cap",
    DenyReason.ORDER_COUNT: "the session has sent as many orders as it may",
    DenyReason.RATE: "too many orders a second on this venue",
    DenyReason.SYMBOL_RATE: "too many orders a second of this instrument",
    DenyReason.REPEAT: "too many entries of this instrument in five minutes: the session ends",
    DenyReason.LOSS: "the session's loss limit is reached",
    DenyReason.DRAWDOWN: "the session's drawdown limit is reached",
    DenyReason.BALANCE: "the venue's free balance, or the allocation, does not cover the order",
    DenyReason.UNKNOWN_LIMIT: "an order's outcome is unknown: no new risk until it is proven",
    DenyReason.AUDIT: "the journal cannot record: nothing is sent",
    DenyReason.INTERNAL: "a check could not be computed: denied, and killed",
}


class ArmRefusal(StrEnum):
    """Why arming was refused; the order of members is the order of the conditions."""

    ARM_NO_SECRETS = "ARM_NO_SECRETS"
    ARM_LOCKED = "ARM_LOCKED"
    ARM_STAGE = "ARM_STAGE"
    ARM_BAD_STATE = "ARM_BAD_STATE"
    ARM_ACK = "ARM_ACK"
    ARM_AT_FORMAT = "ARM_AT_FORMAT"
    ARM_FUTURE = "ARM_FUTURE"
    ARM_STALE = "ARM_STALE"
    ARM_REPLAY = "ARM_REPLAY"
    ARM_NOTIONAL = "ARM_NOTIONAL"
    ARM_CLOCK = "ARM_CLOCK"
    ARM_PREFLIGHT = "ARM_PREFLIGHT"
    ARM_AUDIT = "ARM_AUDIT"
    ARM_SELFTEST = "ARM_SELFTEST"
    ARM_LADDER = "ARM_LADDER"
    ARM_APPROVAL = "ARM_APPROVAL"


ARM_MEANING: dict[ArmRefusal, str] = {
    ArmRefusal.ARM_NO_SECRETS: "this stack holds no live trading keys and can never go live",
    ArmRefusal.ARM_LOCKED: "too many refused arms: wait 10 minutes",
    ArmRefusal.ARM_STAGE: "STAGE must be smoke, pilot, hour or continuous",
    ArmRefusal.ARM_BAD_STATE: "arming needs state DISARMED and FLAT: see `interlock status`",
    ArmRefusal.ARM_ACK: "set LIVE_ARM_ACK to exactly I_UNDERSTAND_LIVE_RISK",
    ArmRefusal.ARM_AT_FORMAT: "set LIVE_ARM_AT to RFC 3339 with an offset, or epoch seconds: "
    "LIVE_ARM_AT=$(date -u +%Y-%m-%dT%H:%M:%SZ)",
    ArmRefusal.ARM_FUTURE: "LIVE_ARM_AT lies in the future: check the clock and the offset",
    ArmRefusal.ARM_STALE: "LIVE_ARM_AT is older than 10 minutes: set it again",
    ArmRefusal.ARM_REPLAY: "this LIVE_ARM_AT (or a later one) was used: set it to now",
    ArmRefusal.ARM_NOTIONAL: "set LIVE_MAX_NOTIONAL_USD to a plain decimal in 10..1000",
    ArmRefusal.ARM_CLOCK: "the clock is not proven right against every venue: synchronize it (NTP)",
    ArmRefusal.ARM_PREFLIGHT: "run `interlock preflight --real` and mend what it names",
    ArmRefusal.ARM_AUDIT: "the journal, its disk or its anchor in PostgreSQL is not healthy",
    ArmRefusal.ARM_SELFTEST: "a must-deny vector was not denied: do not trade, "
    "restart and report it",
    ArmRefusal.ARM_LADDER: "pass the stage before this one on this commit (7 days), and run "
    "`interlock drill` (24 hours)",
    ArmRefusal.ARM_APPROVAL: "a second person approves, or wait 60 s and arm again "
    "typing the stage "
    "and the notional",
}


class GuardTrigger(StrEnum):
    """What stopped the engine from entering, counted once each time it begins to hold."""

    MARKET_STALE = "MARKET_STALE"
    FX_STALE = "FX_STALE"
    BOOK_CROSSED = "BOOK_CROSSED"
    EDGE_TOO_GOOD = "EDGE_TOO_GOOD"
    LOOP_LATENCY = "LOOP_LATENCY"
    CPU_HIGH = "CPU_HIGH"
    GATE_LOST = "GATE_LOST"
    ROUTE_COOLDOWN = "ROUTE_COOLDOWN"
    RESIDUAL_OPEN = "RESIDUAL_OPEN"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    LOSS_BUDGET = "LOSS_BUDGET"
    LEDGER_FAILED = "LEDGER_FAILED"
    BOOKS_DIFFER = "BOOKS_DIFFER"


class ExitReason(StrEnum):
    """Why a position was closed."""

    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TIME_LIMIT = "time_limit"
    SPREAD_REVERSAL = "spread_reversal"
    VENUE_HEALTH = "venue_health"
    SESSION_END = "session_end"


class Severity(StrEnum):
    """How urgent an alert is; P0 wakes a person."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
