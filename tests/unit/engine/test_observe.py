"""One snapshot: the KPI JSON keeps its schema, the metrics say the same, files are whole."""

import asyncio
import json
import re
from decimal import Decimal

import jsonschema
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.engine.fakes import SESSION, fill, unknown, veto
from tests.unit.engine.world import World

from interlock_core.wire import kpi as wire
from interlock_engine.decide.sizing import CAP_ROOM
from interlock_engine.housekeeping import Checkpoints
from interlock_engine.observe import checkpoint, kpi, metrics
from interlock_engine.observe.histogram import LOOP_BUCKETS_S, Histogram
from interlock_engine.observe.kpi import MarketSource, SessionFacts, Snapshots
from interlock_engine.observe.process import ProcessMeter
from interlock_engine.observe.view import Standing, state_document


def _snapshots(world):
    facts = SessionFacts(
        session_id=SESSION,
        environment="paper",
        stage="paper",
        universe="top10",
        config_sha256="c" * 64,
        started_wall_ns=world.clock.wall_ns(),
        started_boot_ns=world.clock.boot_ns(),
    )
    result = Snapshots(
        facts,
        score=world.score,
        market=world.market,
        meter=ProcessMeter(world.clock.boot_ns()),
        source=MarketSource("synthetic", "lively"),
        residuals=world.trader.residuals,
        clock=world.clock,
    )
    result.equity_usd = Decimal(10_000)
    return result


def _check(document):
    jsonschema.Draft202012Validator(wire.schema()).validate(document)
    json.dumps(document, allow_nan=False)


async def _traded():
    world = World()
    snapshots = _snapshots(world)
    world.warm_up()
    for premium in (0.0, 100.0, 200.0):
        world.step(premium)
        await world.settle()
    return world, snapshots


def test_the_document_of_an_empty_session_keeps_the_schema():
    world = World()
    document = kpi.document(_snapshots(world).take(), final=False, exit_code=0)
    _check(document)
    assert tuple(document) == (*wire.FIELDS, *wire.MORE_FIELDS)
    assert document["win_rate"] == document["roi_pct"] == 0.0
    assert document["market_source"] == "synthetic"


async def test_the_document_of_a_session_adds_up():
    _, snapshots = await _traded()
    document = kpi.document(snapshots.take(), final=True, exit_code=0)
    _check(document)
    assert document["round_trips_completed"] == document["wins"] + document["losses"] == 1
    assert (document["entry_trades"], document["exit_trades"]) == (4, 2)
    assert document["final_equity_usd"] == pytest.approx(10_000 + document["total_pnl_usd"])
    assert document["roi_pct"] == pytest.approx(document["total_pnl_usd"] / 100, abs=1e-5)
    assert document["avg_buy_fill_ratio"] == document["avg_sell_fill_ratio"] == 1.0
    assert document["per_asset"]["ETH"]["round_trips"] == 1
    unrealised = document["total_pnl_usd"] - document["per_asset"]["ETH"]["pnl_usd"]
    # One position is open: leaving it costs two spreads and two more fees.
    assert unrealised < 0
    assert document["total_pnl_krw"] == pytest.approx(document["total_pnl_usd"] * 1400.05, abs=0.1)


async def test_residuals_and_vetoes_stand_in_the_document():
    world = World()
    snapshots = _snapshots(world)
    world.gate.script = [fill(), *[veto("VENUE_DOWN")] * 6]
    world.warm_up()
    world.step(0.0)
    await world.settle()
    document = kpi.document(snapshots.take(), final=True, exit_code=1)
    _check(document)
    assert document["vetoes"] == {"VENUE_DOWN": 6}
    assert document["alerts"]["P0"] == 1
    (residual,) = document["residuals"]
    assert residual["held"] == {"UPBIT:KRW-ETH": "0.124", "BINANCE_PERP:ETHUSDT": "0"}
    assert residual["resolved"] is False


async def test_an_order_in_doubt_stands_among_the_residuals():
    world = World()
    snapshots = _snapshots(world)

    async def prove(_intent):
        document = kpi.document(snapshots.take(), final=True, exit_code=1)
        _check(document)
        assert [item["why"] for item in document["residuals"]] == ["outcome not proven"]
        return fill()(_intent)

    world.gate.script, world.gate.prove = [unknown], prove
    world.warm_up()
    world.step(0.0)
    await world.settle()
    assert world.score.alerts == {"P0": 0, "P1": 1, "P2": 0, "P3": 0}
    assert world.score.in_doubt == {}


def _live():
    return metrics.Live(
        state="trading",
        frames={"UPBIT": 3, "BINANCE_PERP": 4},
        ages_s={"UPBIT": 0.1, "BINANCE_PERP": -1.0},
        premiums_bps={"ETH": 12.5},
        store_dropped={},
    )


def _samples(snapshots):
    text = generate_latest(metrics.registry(snapshots.take, _live)).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }, text


def _sum(samples, name, **labels):
    wanted = set(labels.items())
    return sum(v for (n, have), v in samples.items() if n == name and wanted <= have)


async def test_metrics_and_document_say_the_same():
    _, snapshots = await _traded()
    document = kpi.document(snapshots.take(), final=True, exit_code=0)
    samples, _ = _samples(snapshots)
    assert _sum(samples, "interlock_pnl_usd") == pytest.approx(document["total_pnl_usd"], abs=1e-5)
    assert _sum(samples, "interlock_round_trips_total") == document["round_trips_completed"]
    assert _sum(samples, "interlock_trades_total", side="entry") == document["entry_trades"]
    assert _sum(samples, "interlock_guard_triggers_total") == document["guard_triggers"]
    assert _sum(samples, "interlock_engine_state", state="trading") == 1
    assert _sum(samples, "interlock_open_positions") == 1


def test_every_series_a_dashboard_asks_for_exists_before_the_first_event():
    samples, text = _samples(_snapshots(World()))
    names = {name for name, _ in samples}
    for name, labels in (
        ("interlock_pnl_usd", {"kind": "realised"}),
        ("interlock_pnl_usd", {"kind": "unrealised"}),
        ("interlock_round_trips_total", {"outcome": "win"}),
        ("interlock_round_trips_total", {"outcome": "loss"}),
        ("interlock_trades_total", {"side": "entry"}),
        ("interlock_trades_total", {"side": "exit"}),
        ("interlock_guard_triggers_total", {"guard": "MARKET_STALE"}),
        ("interlock_alerts_total", {"severity": "P0"}),
        ("interlock_alerts_total", {"severity": "P3"}),
        ("interlock_vetoes_total", {"code": "KILLED"}),
        ("interlock_engine_state", {"state": "starting"}),
    ):
        have = {"env": "paper", "stage": "paper", "universe": "top10"} | labels
        assert samples[name, frozenset(have.items())] in (0.0, 1.0)
    assert {
        "interlock_loop_latency_seconds_bucket",
        "interlock_order_round_trip_seconds_bucket",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "interlock_market_messages_total",
        "interlock_market_age_seconds",
        "interlock_premium_bps",
        "interlock_fx_krw_per_usdt",
        "interlock_residual_usd",
    } <= names
    assert re.search(
        r'interlock_market_source_info\{regime="lively",source="synthetic"\} 1.0', text
    )


async def test_the_state_document_is_json_and_shows_the_position():
    world, snapshots = await _traded()
    standing = Standing(
        "trading",
        "",
        "PAPER",
        gate_ready=True,
        epoch=1,
        order_notional_usd=Decimal(250) / CAP_ROOM,
        guards={},
        books_at_wall_ns=1_700_000_000_000_000_000,
        books_differ=("BINANCE:ETHUSDT: ours 1, gatekeeper 0",),
    )
    document = state_document(snapshots.take(), standing, world.market, world.clock)
    json.dumps(document, allow_nan=False)
    assert len(document["kpis"]) == 10
    assert [item["asset"] for item in document["open_positions"]] == ["ETH"]
    assert document["open_positions"][0]["held"]["UPBIT:KRW-ETH"].startswith("-")
    assert len(document["last_round_trips"]) == 1
    assert document["books"]["compared_at"] == "2023-11-14T22:13:20.000Z"
    assert document["books"]["differ"] == ["BINANCE:ETHUSDT: ours 1, gatekeeper 0"]


def test_a_checkpoint_replaces_the_file_whole(tmp_path):
    folder = tmp_path / "runs" / "one"
    first = checkpoint.write(folder, {"final": False})
    second = checkpoint.write(folder, {"final": True})
    assert first == second == folder / "kpi.json"
    assert json.loads(second.read_text()) == {"final": True}
    assert [item.name for item in folder.iterdir()] == ["kpi.json"]


def test_a_document_that_is_not_json_leaves_the_old_file(tmp_path):
    path = checkpoint.write(tmp_path, {"final": False})
    with pytest.raises(ValueError, match="JSON"):
        checkpoint.write(tmp_path, {"final": float("nan")})
    assert json.loads(path.read_text()) == {"final": False}


def test_the_histogram_is_exact_about_its_newest_values():
    histogram = Histogram(LOOP_BUCKETS_S)
    assert histogram.p99_ms() == histogram.mean_ms == 0.0
    for value in range(1, 1001):
        histogram.add(value * 1_000_000)
    assert histogram.p99_ms() == 991.0
    assert histogram.mean_ms == pytest.approx(500.5)
    assert histogram.window_p99_ms() == 991.0
    assert histogram.window_p99_ms() == 0.0
    assert histogram.cumulative()[-1] == ("+Inf", 1000.0)
    assert dict(histogram.cumulative())["0.005"] == 5.0


def test_the_histograms_memory_is_bounded():
    histogram = Histogram(LOOP_BUCKETS_S)
    for value in range(20_000):
        histogram.add(value)
    assert histogram.count == 20_000
    assert histogram.p99_ms() == pytest.approx((20_000 - 82) / 1e6, abs=2e-6)


async def test_a_checkpoint_that_falls_due_at_the_end_does_not_undo_the_final(tmp_path):
    checkpoints = Checkpoints(_snapshots(World()), tmp_path, postgres=None, every_s=0.0)
    running = asyncio.create_task(checkpoints.run())
    async with asyncio.timeout(5):
        while not (tmp_path / checkpoint.FILE_NAME).exists():
            await asyncio.sleep(0)
        checkpoints.write(final=True, exit_code=0)
        await running
    assert json.loads((tmp_path / checkpoint.FILE_NAME).read_text("utf-8"))["final"] is True
