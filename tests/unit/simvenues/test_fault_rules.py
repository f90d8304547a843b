"""Fault rules: what is read and refused, and that the same seed decides the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock_core.clock import NS_PER_S
from interlock_core.instrument import Venue
from interlock_core.settings import ConfigError
from interlock_simvenues import settings
from interlock_simvenues.binance import faults as binance
from interlock_simvenues.binance.routes import Access, Route
from interlock_simvenues.faults.faults import LOG_KEPT, Faults
from interlock_simvenues.faults.kinds import (
    BOOK_KINDS,
    CALL_KINDS,
    FRAME_KINDS,
    REFUSING_KINDS,
    SHAPES,
    STATUS_KINDS,
    FaultKind,
    Operation,
)
from interlock_simvenues.faults.rule import Rule, RuleError, parse
from interlock_simvenues.faults.scenario import load, parse_body
from interlock_simvenues.upbit import faults as upbit

SCENARIOS = sorted(Path(__file__).resolve().parents[3].glob("config/scenarios/*.toml"))
EVERY_KIND = frozenset(FaultKind)

_common = {
    "probability": st.floats(0, 1),
    "count": st.integers(1, 5),
    "after": st.integers(0, 5),
}
_calls = st.lists(
    st.tuples(st.sampled_from(Venue), st.sampled_from(Operation), st.sampled_from(("A", "B"))),
    max_size=40,
)


@st.composite
def _rules(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(CALL_KINDS)))
    raw: dict[str, Any] = {"kind": kind}
    raw["venue"] = draw(st.sampled_from((None, "upbit", "binance")))
    raw["symbol"] = draw(st.sampled_from((None, "A")))
    for name, values in _common.items():
        raw[name] = draw(st.none() | values)
    return raw


def _load(raws: list[dict[str, Any]], seed: int) -> Faults:
    faults = Faults(seed=seed)
    faults.add([parse(raw) for raw in raws], 0)
    return faults


def _decisions(
    faults: Faults, calls: list[tuple[Venue, Operation, str]]
) -> list[tuple[str, bool | None] | None]:
    found = [faults.decide(*call, now_ns) for now_ns, call in enumerate(calls)]
    return [None if rule is None else (rule.id, rule.executed) for rule in found]


@pytest.mark.parametrize("kind", FaultKind)
def test_a_kind_alone_is_a_rule_and_survives_being_shown(kind: FaultKind) -> None:
    """Every kind has defaults for its parameters, and what GET shows can be posted again."""
    rule = parse({"kind": kind.value})
    assert rule.kind is kind
    assert parse(rule.row() | {"id": None}) == rule


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_is_asked_for_somewhere(kind: FaultKind) -> None:
    """No kind is only a name: each belongs to what a hook asks for."""
    asked = CALL_KINDS | REFUSING_KINDS | STATUS_KINDS | BOOK_KINDS | FRAME_KINDS
    asked |= {FaultKind.PARTIAL_FILL, FaultKind.SELF_TRADE}
    asked |= {FaultKind.CLOCK_SKEW, FaultKind.SLOW_ACCOUNT}
    assert kind in asked


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("delay", "rule: expected an object, was 'delay'"),
        ({}, "rule.kind: expected one of delay, timeout_before"),
        ({"kind": "late"}, "was 'late'"),
        ({"kind": ["delay"]}, "was ['delay']"),
        ({"kind": "delay", "venue": "UPBIT"}, "rule.venue: expected one of upbit, binance"),
        ({"kind": "delay", "operation": "buy"}, "rule.operation: expected one of order, cancel"),
        ({"kind": "stall", "operation": "order"}, "rule.operation: expected one of account"),
        ({"kind": "delay", "symbol": ""}, "rule.symbol: expected a symbol"),
        ({"kind": "delay", "probability": 1.1}, "rule.probability: expected a number from 0 to 1"),
        ({"kind": "delay", "probability": "1"}, "was '1'"),
        ({"kind": "delay", "probability": float("nan")}, "was nan"),
        ({"kind": "delay", "count": 0}, "rule.count: expected a whole number from 1"),
        ({"kind": "delay", "count": True}, "was True"),
        ({"kind": "delay", "after": -1}, "rule.after: expected a whole number from 0"),
        ({"kind": "delay", "ms": 1.5}, "rule.ms: expected a whole number from 0 to 60000"),
        ({"kind": "delay", "ms": 60_001}, "was 60001"),
        ({"kind": "delay", "id": "a b"}, "rule.id: expected 1-64 letters"),
        ({"kind": "delay", "from_s": 5, "until_s": 5}, "rule.until_s: expected more than from_s"),
        ({"kind": "delay", "fraction": 0.5}, "rule.fraction: unknown; expected for delay only"),
        ({"kind": "delay", "sorce": 1}, "rule.sorce: unknown"),
        ({"kind": "partial_fill", "fraction": 2}, "rule.fraction: expected a number from 0 to 1"),
        ({"kind": "rejected", "reason": "mood"}, "expected one of balance, filter, price_band"),
        ({"kind": "unknown_status", "status": 429}, "rule.status: expected a whole number from 5"),
        ({"kind": "unknown_status", "code": -1003}, "expected one of -1006, -1007, 0"),
        ({"kind": "unknown_status", "executed": 1}, "expected one of true, false"),
        ({"kind": "sequence_gap", "venue": "upbit"}, "expected one of binance, binance_perp"),
        ({"kind": "clock_skew", "probability": 0.5}, "rule.probability: a state: it has none"),
        ({"kind": "clock_skew", "symbol": "BTCUSDT"}, "rule.symbol: unknown"),
        ({"kind": "halted", "count": 1}, "rule.count: a state"),
    ],
)
def test_an_unusable_rule_is_refused_by_the_name_of_its_field(raw: object, problem: str) -> None:
    """The message says the field, what was expected and what was there."""
    with pytest.raises(RuleError) as refused:
        parse(raw)
    assert problem in "; ".join(refused.value.problems)


def test_every_problem_of_a_list_is_told_at_once() -> None:
    """Two bad rules and an id that is there twice make three problems, and nothing is loaded."""
    body = {
        "rules": [
            {"kind": "delay", "ms": -1},
            {"kind": "delay", "id": "x"},
            {"kind": "stall", "id": "x"},
            {"kind": "nap"},
        ]
    }
    with pytest.raises(RuleError) as refused:
        parse_body(body)
    problems = refused.value.problems
    assert [problem.partition(":")[0] for problem in problems] == [
        "rule 1.ms",
        "rule 4.kind",
        "rule.id",
    ]


def test_a_taken_id_changes_nothing() -> None:
    """Rules are added all or none."""
    faults = _load([{"kind": "delay", "id": "x"}], 1)
    with pytest.raises(RuleError, match="expected a new id, was 'x'"):
        faults.add([parse({"kind": "stall"}), parse({"kind": "delay", "id": "x"})], 0)
    assert [row["id"] for row in faults.rows()] == ["x"]


@given(raws=st.lists(_rules(), max_size=6), calls=_calls, seed=st.integers(0, 9))
def test_the_same_seed_and_calls_decide_the_same(
    raws: list[dict[str, Any]], calls: list[tuple[Venue, Operation, str]], seed: int
) -> None:
    """Decisions, coins, hits and log are a function of the seed, the rules and the calls."""
    one, two = _load(raws, seed), _load(raws, seed)
    assert _decisions(one, calls) == _decisions(two, calls)
    assert one.rows() == two.rows()
    assert one.log == two.log
    assert len(one.log) == sum(row["hits"] for row in one.rows())


@given(raws=st.lists(_rules(), max_size=5), calls=_calls, place=st.integers(0, 5))
def test_a_rule_of_another_venue_and_its_calls_change_nothing(
    raws: list[dict[str, Any]], calls: list[tuple[Venue, Operation, str]], place: int
) -> None:
    """With a USD-M rule anywhere in the list, and USD-M asked in between, the rest stays."""
    mine = [call for call in calls if call[0] is not Venue.BINANCE_PERP]
    other = {"kind": "unknown_status", "venue": "binance_perp", "probability": 0.5}
    expected = _decisions(_load(raws, 3), mine)
    more = _load([*raws[:place], other, *raws[place:]], 3)
    found = _decisions(more, calls)
    kept = [
        decision
        for decision, call in zip(found, calls, strict=True)
        if call[0] is not Venue.BINANCE_PERP
    ]
    # Only a count or a start after n is shared by the venues of a rule that names none.
    shared = [raw for raw in raws if raw["venue"] is None and (raw["count"] or raw["after"])]
    if not shared:
        assert kept == expected
    assert _decisions(_load([*raws[:place], other, *raws[place:]], 3), mine) == expected


def test_a_rule_draws_whether_or_not_an_earlier_one_won() -> None:
    """What the second rule does after the first is spent does not depend on the first."""
    call = (Venue.UPBIT, Operation.ORDER, "A")
    second = {"kind": "banned", "probability": 0.5}
    alone = _decisions(_load([second], 5), [call] * 60)
    both = _decisions(_load([{"kind": "delay", "count": 20}, second], 5), [call] * 60)
    assert both[:20] == [("delay-all-1", None)] * 20
    assert both[20:] == alone[20:]
    assert None in alone[20:]
    assert ("banned-all-1", None) in alone[20:]


def test_after_and_count_bound_a_rule() -> None:
    """It passes `after` matches, then fires `count` times."""
    faults = _load([{"kind": "delay", "after": 2, "count": 3, "symbol": "A"}], 1)
    calls = [(Venue.BINANCE, Operation.ORDER, symbol) for symbol in "ABABABABABABAB"]
    fired = [decision is not None for decision in _decisions(faults, calls)]
    assert [n for n, fault in enumerate(fired) if fault] == [4, 6, 8]
    (row,) = faults.rows()
    assert (row["matches"], row["hits"]) == (7, 3)


@pytest.mark.parametrize(("age_s", "fires"), [(0, False), (9, False), (10, True), (19, True)])
def test_a_rule_holds_in_its_window_only(age_s: int, *, fires: bool) -> None:
    """From and until count from when the rule was loaded."""
    faults = Faults(seed=1)
    faults.add([parse({"kind": "delay", "from_s": 10, "until_s": 20})], 1_000 * NS_PER_S)
    for second in (age_s, 20):
        now_ns = (1_000 + second) * NS_PER_S
        found = faults.decide(Venue.UPBIT, Operation.TIME, "", now_ns)
        assert (found is not None) == (fires and second == age_s)


def test_the_coin_of_an_unknown_status_is_fair() -> None:
    """Half of what fires at a small probability was executed."""
    faults = _load([{"kind": "unknown_status", "probability": 0.2}], 2)
    for now_ns in range(20_000):
        faults.decide(Venue.UPBIT, Operation.ORDER, "A", now_ns)
    executed = [bool(injected.rule.executed) for injected in faults.log]
    assert len(executed) == LOG_KEPT
    assert 0.45 < sum(executed) / len(executed) < 0.55


@pytest.mark.parametrize("kind", FaultKind)
def test_a_rule_that_names_no_operation_means_the_natural_ones(kind: FaultKind) -> None:
    """And no venue that cannot have the fault."""
    rule, shape = parse({"kind": kind}), SHAPES[kind]
    assert shape.natural <= shape.allowed
    for venue in Venue:
        for operation in Operation:
            expected = venue in shape.venues and operation in shape.natural
            assert rule.concerns(venue, operation, "A") is expected


def test_removing_rules_ends_them() -> None:
    """One by its id, or all with the log."""
    faults = _load([{"kind": "delay", "id": "a"}, {"kind": "banned", "id": "b"}], 1)
    call = (Venue.UPBIT, Operation.ORDER, "A")
    assert faults.remove("a")
    assert not faults.remove("a")
    assert _decisions(faults, [call]) == [("b", None)]
    assert faults.clear() == 1
    assert _decisions(faults, [call]) == [None]
    assert not faults.log
    assert not faults.kinds


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda path: path.stem)
def test_a_shipped_scenario_loads(file: Path) -> None:
    """Its rules are usable together, its seed is written down."""
    scenario = load(file)
    assert scenario.seed is not None
    faults = Faults(seed=scenario.seed)
    assert len(faults.add(scenario.rules, 0)) == len(scenario.rules) > 0


def test_scenarios_are_shipped() -> None:
    """The files that the documents name."""
    names = {path.stem for path in SCENARIOS}
    assert {"flaky-orders", "outage", "market-data", "hard-orders"} <= names


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "No such file"),
        ("seed = ", "expected TOML"),
        ("seed = -1", "seed: expected a whole number from 0, was -1"),
        ("sead = 1", "sead: unknown; expected only rule, seed, title"),
        ("rule = 1", "rules: expected a list, was 1"),
        ('[[rule]]\nkind = "delay"\nms = "x"', "rule 1.ms: expected a whole number"),
    ],
)
def test_a_bad_scenario_stops_the_start_by_the_setting_s_name(
    tmp_path: Path, text: str | None, problem: str
) -> None:
    """SIM_SCENARIO is validated with the settings."""
    file = tmp_path / "scenario.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        settings.read({"SIM_SCENARIO": str(file)})
    (told,) = refused.value.problems
    assert told.startswith(f"SIM_SCENARIO: {file}: ")
    assert problem in told


def test_no_scenario_is_no_rule() -> None:
    """The default starts without faults."""
    assert settings.read({}).scenario.rules == ()


def test_rules_are_values() -> None:
    """Two equal objects are one rule."""
    assert parse({"kind": "delay"}) == Rule(id="", kind=FaultKind.DELAY, ms=1_000)


@pytest.mark.parametrize(
    ("method", "path", "private", "expected"),
    [
        ("POST", "/orders", True, "order"),
        ("POST", "/orders/cancel_and_new", True, "order"),
        ("POST", "/orders/test", True, "query"),
        ("GET", "/order", True, "query"),
        ("GET", "/orders/open", True, "query"),
        ("DELETE", "/order", True, "cancel"),
        ("DELETE", "/orders/open", True, "cancel"),
        ("GET", "/accounts", True, "account"),
        ("GET", "/orders/chance", True, "account"),
        ("GET", "/orderbook", False, "public"),
    ],
)
def test_what_an_upbit_route_does(method: str, path: str, expected: str, *, private: bool) -> None:
    """A rule's operation is told from the route alone."""
    assert upbit.operation(method, path, private=private) == expected


@pytest.mark.parametrize(
    ("method", "path", "access", "expected"),
    [
        ("POST", "/api/v3/order", Access.TRADE, "order"),
        ("POST", "/api/v3/order/cancelReplace", Access.TRADE, "order"),
        ("PUT", "/fapi/v1/order", Access.TRADE, "order"),
        ("POST", "/fapi/v1/batchOrders", Access.TRADE, "order"),
        ("POST", "/api/v3/order/test", Access.TRADE, "query"),
        ("GET", "/fapi/v1/openOrders", Access.READ, "query"),
        ("GET", "/api/v3/myTrades", Access.READ, "query"),
        ("DELETE", "/api/v3/openOrders", Access.TRADE, "cancel"),
        ("POST", "/fapi/v1/countdownCancelAll", Access.TRADE, "cancel"),
        ("POST", "/fapi/v1/leverage", Access.TRADE, "account"),
        ("GET", "/fapi/v3/positionRisk", Access.READ, "account"),
        ("POST", "/fapi/v1/listenKey", Access.KEY, "account"),
        ("GET", "/sapi/v1/asset/tradeFee", Access.READ, "account"),
        ("GET", "/api/v3/time", Access.PUBLIC, "time"),
        ("GET", "/fapi/v1/depth", Access.PUBLIC, "public"),
    ],
)
def test_what_a_binance_route_does(method: str, path: str, access: Access, expected: str) -> None:
    """A rule's operation is told from the route alone."""
    assert binance.operation(Route(method, path, None, access)) == expected
