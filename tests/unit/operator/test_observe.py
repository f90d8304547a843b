"""What people see: the ten KPIs, the market's label, the view, the progress line, the summary."""

import io
import json

import pytest
from rich.console import Console

from interlock_operator.observe import kpis
from interlock_operator.observe.engine_view import parse
from interlock_operator.observe.feed import Sight
from interlock_operator.observe.kpis import Grade
from interlock_operator.observe.market_label import LIVELY_WARNING, market_label
from interlock_operator.observe.presenter import left, make_presenter, progress_line
from interlock_operator.observe.summary import print_summary
from interlock_operator.observe.view import Surroundings, render

GOOD_KPIS = {
    "total_pnl_usd": 12.5,
    "win_rate_pct": 60.0,
    "round_trips": 10,
    "trades_per_hour": 120.0,
    "loop_latency_mean_ms": 0.4,
    "loop_latency_p99_ms": 2.0,
    "memory_mb": 90.0,
    "cpu_percent": 12.0,
    "guard_triggers_per_hour": 3.0,
    "alerts": {"P0": 0, "P1": 0, "P2": 0, "P3": 1},
}
ENGINE = {
    "state": "trading",
    "reason": "",
    "uptime_s": 12.0,
    "market": {
        "source": "synthetic",
        "regime": "lively",
        "fallback_reason": "the real venues did not answer",
        "age_ms": {"UPBIT": 12.0, "BINANCE_PERP": None},
    },
    "guards": {"BTC": "MARKET_STALE"},
    "kpis": GOOD_KPIS,
    "open_positions": [{"asset": "ETH", "notional_usd": 250.0, "net_bps": -3.25, "age_s": 4.0}],
    "last_round_trips": [
        {"asset": "BTC", "pnl_usd": 0.75, "exit_reason": "take_profit", "seconds": 3.5}
    ],
    "residuals": [],
}
GATE = {"state": "PAPER", "armed": True, "reasons": [], "epoch": 3, "n_usd": "10000"}
AROUND = Surroundings("session-1", "30 s left", ("a note",), {"gatekeeper": 1})


def drawn(sight):
    """Return the view as text."""
    console = Console(file=io.StringIO(), width=160)
    console.print(render(sight, AROUND))
    return console.file.getvalue()


def grade(name, **changed):
    """Return the grade of one KPI."""
    rows = {row.label: row.grade for row in kpis.rows(GOOD_KPIS | changed)}
    return rows[name]


def test_there_are_ten_kpis_in_the_designs_order():
    """Ten rows, each with its target, all met by a good session."""
    rows = kpis.rows(GOOD_KPIS)
    assert [row.label for row in rows] == [
        "total PnL",
        "win rate",
        "round trips",
        "trades per hour",
        "loop latency, mean",
        "loop latency, p99",
        "memory",
        "CPU",
        "guards per hour",
        "alerts",
    ]
    assert {row.grade for row in rows} == {Grade.MET}


@pytest.mark.parametrize(
    ("name", "changed", "expected"),
    [
        ("total PnL", {"total_pnl_usd": 0.0}, Grade.MISSED),
        ("total PnL", {"total_pnl_usd": 5.0, "round_trips": 0}, Grade.NO_DATA),
        ("win rate", {"win_rate_pct": 50.0}, Grade.MISSED),
        ("trades per hour", {"trades_per_hour": 9.9}, Grade.NEAR),
        ("loop latency, mean", {"loop_latency_mean_ms": 10.0}, Grade.NEAR),
        ("loop latency, p99", {"loop_latency_p99_ms": 99.0}, Grade.NEAR),
        ("loop latency, p99", {"loop_latency_p99_ms": 100.0}, Grade.MISSED),
        ("memory", {"memory_mb": 300.0}, Grade.MISSED),
        ("CPU", {"cpu_percent": 81.0}, Grade.MISSED),
        ("guards per hour", {"guard_triggers_per_hour": 50.0}, Grade.MISSED),
        ("alerts", {"alerts": {"P0": 1}}, Grade.MISSED),
    ],
)
def test_a_missed_target_is_seen(name, changed, expected):
    """Each KPI is graded against its own target and limit."""
    assert grade(name, **changed) is expected


def test_no_kpis_yet_is_no_failure():
    """Before the engine says anything every value is a dash."""
    rows = kpis.rows({})
    assert {row.grade for row in rows} == {Grade.NO_DATA}
    assert len(rows) == 10


@pytest.mark.parametrize(
    ("source", "regime", "words"),
    [
        (None, None, "not known"),
        ("synthetic", "lively", LIVELY_WARNING),
        ("synthetic", "calibrated", "simulated prices"),
        ("mirror", None, "real prices, simulated fills"),
        ("something new", None, "simulated fills"),
    ],
)
def test_the_market_is_named_with_what_it_means(source, regime, words):
    """A simulated profit is never shown without saying so."""
    assert words in market_label(source, regime)


def test_the_view_shows_lamp_market_kpis_positions_and_trips():
    """Everything one needs is on the one screen."""
    screen = drawn(Sight(ENGINE, GATE, None))
    for words in (
        "PAPER",
        "trading",
        LIVELY_WARNING,
        "did not answer",
        "ten KPIs",
        "ETH",
        "take_profit",
        "MARKET_STALE",
        "30 s left",
        "gatekeeper 1",
        "a note",
    ):
        assert words in screen, words


def test_the_view_says_why_nothing_is_traded():
    """A killed gatekeeper and its reason are in the first line."""
    gate = GATE | {"state": "KILLED", "armed": False, "reasons": ["KILLED: OPERATOR"]}
    engine = ENGINE | {"state": "standing_by", "reason": "gatekeeper is KILLED"}
    screen = drawn(Sight(engine, gate, None))
    assert "not armed" in screen
    assert "KILLED: OPERATOR" in screen
    assert "standing by" in screen
    assert "gatekeeper is KILLED" in screen


def test_the_view_survives_silence():
    """No answer from anybody still makes a screen that says so."""
    screen = drawn(Sight(None, None, None))
    assert "NO ANSWER" in screen
    assert "nothing can be ordered" in screen


def test_a_residual_is_shown_in_the_lamp():
    """What could not be hedged is never only in a log."""
    assert "RESIDUALS: 1" in drawn(Sight(ENGINE | {"residuals": [{}]}, GATE, None))


def test_strange_state_documents_are_read_as_little():
    """A state of another shape shows nothing, and breaks nothing."""
    view = parse({"market": [], "kpis": None, "open_positions": {}, "last_round_trips": [1]})
    assert (view.state, view.source, view.positions, view.trips) == ("unknown", None, (), ())
    assert not view.has_market_data


def test_the_progress_line_holds_the_session_in_one_line():
    """State, result with its label, pace, and restarts."""
    line = progress_line(Sight(ENGINE, GATE, None), {"gatekeeper": 2}, "8 s left")
    assert "\n" not in line
    for words in (
        "PAPER",
        "trading",
        "+12.50 USD on the lively market",
        "10 round trips",
        "8 s left",
    ):
        assert words in line
    assert "gatekeeper restarted 2x" in line
    assert "engine does not answer" in progress_line(Sight(None, None, None), {}, "")


def test_time_left_counts_the_engines_own_time():
    """The session's length is the engine's, not the supervisor's."""
    assert left(Sight(ENGINE, GATE, None), 20) == "8 s left"
    assert left(Sight(ENGINE, GATE, None), 5) == "0 s left"
    assert left(Sight(None, None, None), None) == "until Ctrl+C"


def kpi_json():
    """Return the part of a KPI JSON that the summary reads."""
    return {
        "session_id": "s-1",
        "environment": "paper",
        "duration_seconds": 1800.0,
        "total_pnl_usd": -1.0,
        "win_rate_pct": 40.0,
        "round_trips_completed": 5,
        "entry_trades": 10,
        "exit_trades": 10,
        "avg_loop_latency_ms": 1.0,
        "loop_latency_p99_ms": 2.0,
        "avg_memory_mb": 90.0,
        "avg_cpu_percent": 10.0,
        "guard_triggers": 4,
        "alerts": {"P0": 0, "P1": 0, "P2": 0, "P3": 0},
        "market_source": "synthetic",
        "market_regime": "lively",
        "market_fallback_reason": "no network",
        "residuals": [],
        "final": True,
    }


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, LIVELY_WARNING),
        ({}, "no network"),
        ({"final": False}, "cut short"),
        ({"residuals": [{}]}, "residuals: 1"),
    ],
)
def test_the_summary_says_what_matters_and_where_the_file_is(tmp_path, changed, words):
    """The table, the market, what is odd, and the path."""
    path = tmp_path / "kpi.json"
    path.write_text(json.dumps(kpi_json() | changed), "utf-8")
    console = Console(file=io.StringIO(), width=200)
    print_summary(path, console)
    said = console.file.getvalue()
    assert words in said
    assert str(path) in said


def test_rates_of_a_finished_session_are_by_the_hour():
    """Half an hour with 20 trades and 4 guards is 40 and 8 an hour."""
    made = kpis.from_kpi_json(kpi_json())
    assert (made["trades_per_hour"], made["guard_triggers_per_hour"]) == (40.0, 8.0)
    assert set(made) == set(GOOD_KPIS)


def test_a_session_without_kpis_says_so(tmp_path):
    """No file: one line, no error."""
    console = Console(file=io.StringIO(), width=200)
    print_summary(tmp_path / "kpi.json", console)
    assert "had not started" in console.file.getvalue()


def test_the_view_is_chosen_by_the_caller():
    """Plain lines unless a view is asked for."""
    assert type(make_presenter(view=False, duration_s=None)).__name__ == "LinePresenter"
    assert type(make_presenter(view=True, duration_s=None)).__name__ == "ViewPresenter"
