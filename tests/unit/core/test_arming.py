"""The arming rule: one narrow way to yes, a code for every no."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock_core import arming
from interlock_core.arming import ACKNOWLEDGEMENT, ArmGrant, ArmRequest, decide, parse_arm_at
from interlock_core.clock import NS_PER_S
from interlock_core.reasons import ArmRefusal

NOW_NS = 1_795_428_780 * NS_PER_S  # 2026-11-23T10:13:00Z
NOW_TEXT = "2026-11-23T10:13:00Z"


def ask(ack=ACKNOWLEDGEMENT, arm_at=NOW_TEXT, notional="50", *, now_ns=NOW_NS, mark_ns=0):
    return decide(ArmRequest(ack, arm_at, notional), now_wall_ns=now_ns, high_water_mark_ns=mark_ns)


def test_the_three_facts_together_arm():
    """Exact words, a fresh time and a notional in range give a grant of ten minutes."""
    assert ask() == ArmGrant(NOW_NS, 600 * NS_PER_S, Decimal(50))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"ack": ""}, ArmRefusal.ARM_ACK),
        ({"ack": "i_understand_live_risk"}, ArmRefusal.ARM_ACK),
        ({"ack": ACKNOWLEDGEMENT + " "}, ArmRefusal.ARM_ACK),
        ({"ack": "ＩＵＮＤＥＲＳＴＡＮＤ"}, ArmRefusal.ARM_ACK),
        ({"arm_at": ""}, ArmRefusal.ARM_AT_FORMAT),
        ({"arm_at": "2026-11-23T10:13:00"}, ArmRefusal.ARM_AT_FORMAT),
        ({"arm_at": "2026-11-23 10:13:00Z"}, ArmRefusal.ARM_AT_FORMAT),
        ({"arm_at": "now"}, ArmRefusal.ARM_AT_FORMAT),
        ({"arm_at": "2026-02-30T10:13:00Z"}, ArmRefusal.ARM_AT_FORMAT),
        ({"arm_at": "1795428780.5"}, ArmRefusal.ARM_AT_FORMAT),
        ({"arm_at": "١٧٩٥٤٢٨٧٨٠"}, ArmRefusal.ARM_AT_FORMAT),
        ({"now_ns": NOW_NS - 2 * NS_PER_S - 1}, ArmRefusal.ARM_FUTURE),
        ({"now_ns": NOW_NS + 600 * NS_PER_S + 1}, ArmRefusal.ARM_STALE),
        ({"arm_at": "2026-11-23T10:13:00+09:00"}, ArmRefusal.ARM_STALE),
        ({"mark_ns": NOW_NS}, ArmRefusal.ARM_REPLAY),
        ({"notional": ""}, ArmRefusal.ARM_NOTIONAL),
        ({"notional": "9.99"}, ArmRefusal.ARM_NOTIONAL),
        ({"notional": "1000.01"}, ArmRefusal.ARM_NOTIONAL),
        ({"notional": "-50"}, ArmRefusal.ARM_NOTIONAL),
        ({"notional": "1e2"}, ArmRefusal.ARM_NOTIONAL),
        ({"notional": "NaN"}, ArmRefusal.ARM_NOTIONAL),
        ({"notional": "Infinity"}, ArmRefusal.ARM_NOTIONAL),
        ({"notional": "５０"}, ArmRefusal.ARM_NOTIONAL),
        ({"notional": "50 "}, ArmRefusal.ARM_NOTIONAL),
        ({"notional": "5_0"}, ArmRefusal.ARM_NOTIONAL),
    ],
)
def test_anything_else_is_refused_with_its_code(changes, refusal):
    """Missing, wrong, stale, ambiguous or replayed means no, and says which."""
    assert ask(**changes) is refusal


@pytest.mark.parametrize("age_s", [-2, 0, 1, 599, 600])
def test_the_window_includes_its_ends(age_s):
    """Two seconds ahead and ten minutes old are the last that arm."""
    grant = ask(now_ns=NOW_NS + age_s * NS_PER_S)
    assert isinstance(grant, ArmGrant)
    assert grant.window_left_ns == (600 - max(age_s, 0)) * NS_PER_S


@pytest.mark.parametrize("notional", ["10", "10.00", "999.99", "1000"])
def test_the_notional_range_includes_its_ends(notional):
    """10 and 1000 are allowed."""
    assert isinstance(ask(notional=notional), ArmGrant)


@pytest.mark.parametrize(
    "text",
    ["2026-11-23T10:13:00Z", "2026-11-23T19:13:00+09:00", "1795428780", "2026-11-23t10:13:00z"],
)
def test_one_instant_in_any_unambiguous_form(text):
    """RFC 3339 with any offset, and epoch seconds, mean the same instant."""
    assert parse_arm_at(text) == NOW_NS


def test_a_fraction_of_a_second_is_kept():
    """Fractions order two arms within a second."""
    assert parse_arm_at("2026-11-23T10:13:00.000000001Z") == NOW_NS + 1
    assert parse_arm_at("2026-11-23T10:13:00.5Z") == NOW_NS + NS_PER_S // 2


@given(st.text(), st.text(), st.text(), st.integers(0, 2**62), st.integers(0, 2**62))
def test_no_text_raises_and_no_text_arms_without_the_words(ack, arm_at, notional, now_ns, mark_ns):
    """The rule is total, and without the exact acknowledgement nothing arms."""
    answer = decide(
        ArmRequest(ack, arm_at, notional), now_wall_ns=now_ns, high_water_mark_ns=mark_ns
    )
    assert answer is ArmRefusal.ARM_ACK or ack == ACKNOWLEDGEMENT


@given(st.integers(-(10**13), 10**13), st.integers(-(10**13), 10**13))
def test_every_grant_is_fresh_and_later_than_the_mark(age_ns, mark_offset_ns):
    """A grant proves: within the window, after the high-water mark, notional in range."""
    answer = ask(now_ns=NOW_NS + age_ns, mark_ns=NOW_NS + mark_offset_ns)
    if isinstance(answer, ArmGrant):
        assert -2 * NS_PER_S <= age_ns <= arming.WINDOW_S * NS_PER_S
        assert mark_offset_ns < 0
