"""Guards: each condition alone stops an entry, and counts once when it begins to hold."""

from dataclasses import replace

import pytest

from interlock_core.reasons import GuardTrigger
from interlock_engine.decide.guards import EntryGuard, Facts, GuardSettings, Health

SETTINGS = GuardSettings(
    venue_stale_ns=3_000, book_stale_ns=8_000, fx_stale_ns=30_000, max_positions=2
)
GOOD = Facts(
    asset="BTC",
    venue_age_ns=100,
    fx_age_ns=100,
    book_age_ns=100,
    edge_bps=20.0,
    cooldown=False,
    others=0,
)


class Rig:
    """A guard that remembers its triggers."""

    def __init__(self) -> None:
        self.triggers: list[tuple[GuardTrigger, str]] = []
        self.health = Health(gate_ready=True)
        self.guard = EntryGuard(
            SETTINGS, self.health, on_trigger=lambda t, where: self.triggers.append((t, where))
        )


@pytest.fixture
def guarded():
    return Rig()


def test_with_every_fact_good_an_entry_is_allowed(guarded):
    assert guarded.guard.allows(GOOD)
    assert guarded.triggers == []


@pytest.mark.parametrize(
    ("changes", "trigger", "where"),
    [
        ({"venue_age_ns": 3_001}, GuardTrigger.MARKET_STALE, "venues"),
        ({"fx_age_ns": 30_001}, GuardTrigger.FX_STALE, "venues"),
        ({"book_age_ns": 8_001}, GuardTrigger.MARKET_STALE, "BTC"),
        ({"edge_bps": 300.1}, GuardTrigger.EDGE_TOO_GOOD, "BTC"),
        ({"cooldown": True}, GuardTrigger.ROUTE_COOLDOWN, "BTC"),
    ],
)
def test_each_fact_alone_stops_an_entry(guarded, changes, trigger, where):
    assert not guarded.guard.allows(replace(GOOD, **changes))
    assert guarded.triggers == [(trigger, where)]


@pytest.mark.parametrize(
    ("changes", "trigger", "where"),
    [
        ({"loop_p99_ms": 100.1}, GuardTrigger.LOOP_LATENCY, "venues"),
        ({"cpu_percent": 80.1}, GuardTrigger.CPU_HIGH, "venues"),
        ({"gate_ready": False}, GuardTrigger.GATE_LOST, "portfolio"),
        ({"residual": True}, GuardTrigger.RESIDUAL_OPEN, "portfolio"),
        ({"unknown": True}, GuardTrigger.ORDER_UNKNOWN, "portfolio"),
    ],
)
def test_each_state_of_the_engine_alone_stops_an_entry(guarded, changes, trigger, where):
    for name, value in changes.items():
        setattr(guarded.health, name, value)
    assert not guarded.guard.allows(GOOD)
    assert guarded.triggers == [(trigger, where)]


def test_limits_themselves_are_allowed(guarded):
    guarded.health.loop_p99_ms, guarded.health.cpu_percent = 100.0, 80.0
    at_limits = replace(
        GOOD, venue_age_ns=3_000, fx_age_ns=30_000, book_age_ns=8_000, edge_bps=300.0, others=1
    )
    assert guarded.guard.allows(at_limits)


def test_a_full_portfolio_and_a_stopping_engine_wait_without_a_trigger(guarded):
    assert not guarded.guard.allows(replace(GOOD, others=2))
    guarded.health.stopping = True
    assert not guarded.guard.allows(GOOD)
    assert guarded.triggers == []


def test_a_trigger_counts_once_until_it_has_ended(guarded):
    stale = replace(GOOD, venue_age_ns=9_999)
    for facts in (stale, stale, GOOD, stale):
        guarded.guard.allows(facts)
    assert guarded.triggers == [(GuardTrigger.MARKET_STALE, "venues")] * 2
    assert guarded.guard.holding() == {"venues": "MARKET_STALE"}


def test_the_engines_own_tiers_are_asked_while_nothing_wants_to_enter(guarded):
    guarded.health.gate_ready = False
    guarded.guard.note_engine(venue_age_ns=9_999, fx_age_ns=0)
    guarded.guard.note_engine(venue_age_ns=9_999, fx_age_ns=0)
    assert [trigger for trigger, _ in guarded.triggers] == [
        GuardTrigger.MARKET_STALE,
        GuardTrigger.GATE_LOST,
    ]


def test_a_crossed_book_is_a_trigger_a_missing_one_is_not(guarded):
    guarded.guard.note_unusable("ETH", crossed=False)
    assert guarded.triggers == []
    guarded.guard.note_unusable("ETH", crossed=True)
    assert guarded.triggers == [(GuardTrigger.BOOK_CROSSED, "ETH")]
