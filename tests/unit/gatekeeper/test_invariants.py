"""The journal's invariants: each is found when broken, and an honest journal breaks none."""

import pytest

from interlock_gatekeeper.invariants import Watch, check_venue
from interlock_gatekeeper.journal import Line
from interlock_gatekeeper.records import Kind, Record

ARM = (Kind.ARM, {"arm_at_ns": 5})
RESET, FLAT, BOOT = (Kind.RESET, {"released": {}}), (Kind.FLAT, {}), (Kind.BOOT, {})
KILL = (Kind.KILL, {"cause": "x"})


def arm(at):
    return (Kind.ARM, {"arm_at_ns": at})


def begin(epoch=1):
    return (
        Kind.OPEN,
        {"session_id": "s", "epoch": epoch, "gross_cap_usd": "10", "hard_deadline_boot_ns": 100},
    )


def counted(reserved, exposure):
    return {"reserved_usd": reserved, "exposure_usd": exposure}


def sent(
    name, *, usd="6", side="buy", quantity="1", reducing=False, epoch=1, own=False, facts=None
):
    intent = {
        "intent_id": name, "instrument": "UPBIT:KRW-BTC", "side": side, "quantity": quantity,
        "price": "7", "purpose": "entry", "epoch": epoch,
    }  # fmt: skip
    return (
        Kind.SENT,
        {"client_order_id": f"gk{name}", "session_id": "s", "intent": intent,
         "notional_usd": usd, "reducing": reducing, "own": own, "facts": facts},
    )  # fmt: skip


def result(name, filled="1", kind=Kind.RESULT, outcome="filled", *, fee="0", fee_currency="KRW"):
    return (
        kind,
        {"result": {"intent_id": name, "filled_quantity": filled, "outcome": outcome,
                    "fee": fee, "fee_currency": fee_currency}},
    )  # fmt: skip


def unknown(name):
    return (Kind.UNKNOWN, {"intent_id": name})


START = [BOOT, ARM, begin()]
EXIT = sent("b", side="sell", reducing=True)
LONG = [*START, sent("a"), result("a")]
# What a fee took in the asset is not there to be sold.
TAXED = [*START, sent("a"), result("a", fee="0.001", fee_currency="BTC")]
BROKEN = [
    (1, [*START, sent("a"), sent("b")]),
    (1, [*START, sent("a", facts=counted("0", "4.01"))]),
    (1, [*START, sent("a", facts=counted("0", None))]),
    (10, [*START, sent("a", usd="5"), sent("b", usd="5", facts=counted("4.99", "0"))]),
    (2, [BOOT, ARM, sent("a")]),
    (2, [*START, (Kind.CLOSE, {}), sent("a")]),
    (3, [*START, sent("a", epoch=2)]),
    (3, [*START, (Kind.CLOSE, {}), arm(6), begin(1)]),
    (4, [BOOT, begin()]),
    (4, [*START, (Kind.CLOSE, {}), begin(2)]),
    (4, [BOOT, ARM, (Kind.DISARM, {}), begin()]),
    (5, [*START, KILL, arm(6), begin(2)]),
    (5, [*START, KILL, sent("a")]),
    (5, [*START, KILL, RESET, arm(6), sent("a")]),
    (2, [*START, (Kind.HOLD, {}), sent("a")]),
    (2, [*START, (Kind.RENEW, {"hard_deadline_boot_ns": 1}), sent("a")]),
    (7, [*LONG, sent("a")]),
    (8, [*START, sent("a"), FLAT]),
    (9, [BOOT, ARM, ARM]),
    (10, [*START, sent("a"), unknown("a"), result("a", "0", Kind.ABORTED, "vetoed")]),
    (10, [*START, sent("a"), result("a", "0", outcome="unknown")]),
    (10, [*START, sent("a", usd="0")]),
    (
        13,
        [
            *LONG,
            KILL,
            (Kind.RESET, {"released": {"UPBIT:KRW-BTC": "1"}}),
            arm(6),
            begin(2),
            sent("b", side="sell", reducing=True, epoch=2),
        ],
    ),
    (13, [*START, EXIT]),
    (13, [*LONG, sent("b", side="sell", quantity="2", reducing=True)]),
    (13, [*TAXED, EXIT]),
    (14, [*LONG, result("a")]),
    (14, [*START, unknown("z")]),
]
HONEST = [
    (Kind.RENEW, {"hard_deadline_boot_ns": 9}),
    *LONG, sent("x", usd="5"), sent("y", usd="3", facts=counted("5", "2")), result("x", "0"),
    result("y", "0"), (Kind.HOLD, {}), (Kind.HOLD_END, {}),
    (Kind.RENEW, {"hard_deadline_boot_ns": 2}), sent("e", usd="1"), result("e", "0"),
    EXIT, unknown("b"), result("b"), (Kind.CLOSE, {}), FLAT, KILL, RESET, arm(6),
    begin(2), sent("c", epoch=2), result("c"), KILL,
    sent("d", side="sell", reducing=True, epoch=2, own=True), result("d"), FLAT,
]  # fmt: skip


def watch(entries, environment="live"):
    watched = Watch(environment=environment)
    for kind, data in entries:
        watched.see(Record(kind, data), at_boot_ns=1, boot_id="boot")
    return [violation.number for violation in watched.violations]


@pytest.mark.parametrize(("number", "entries"), BROKEN)
def test_each_broken_invariant_is_found_by_its_number(number, entries):
    """Exactly the broken one."""
    assert watch(entries) == [number]


def test_an_honest_journal_breaks_none():
    """Two sessions, a doubt, a kill, a reset and a flatten."""
    assert watch(HONEST) == []
    assert watch([BOOT, begin()], "paper") == []
    assert watch([*TAXED, sent("b", side="sell", quantity="0.999", reducing=True)]) == []


@pytest.mark.parametrize(("after", "numbers"), [("LIVE", [11]), ("KILLED", []), ("DISARMED", [])])
def test_reset_leads_only_to_idle(after, numbers):
    """The state word after the record is checked."""
    watched = Watch(environment="live")
    watched.see(
        Line(1, Record(Kind.RESET, {"released": {}}), {"after": after}), at_boot_ns=1, boot_id="b"
    )
    assert [violation.number for violation in watched.violations] == numbers


def test_an_order_released_without_doubt_breaks_nothing():
    """Aborted before its first byte: it never was in doubt."""
    assert watch([*START, sent("a"), result("a", "0", Kind.ABORTED, "vetoed")]) == []


def test_every_order_a_venue_received_was_sent_so():
    """Unknown, changed, early or repeated orders are found."""
    line = Line(1, Record(*sent("a")), {"wall_ns": 5})
    row = {
        "venue": "UPBIT", "symbol": "KRW-BTC", "client_id": "gka", "side": "BUY",
        "quantity": "1.0", "price": "7", "time_ns": 6,
    }  # fmt: skip
    assert check_venue([line], [row]) == []
    for change in ({"client_id": "z"}, {"price": "8"}, {"price": None}, {"time_ns": 4}):
        assert [v.number for v in check_venue([line], [row | change])] == [6]
    assert [v.number for v in check_venue([line], [row, row])] == [7]
