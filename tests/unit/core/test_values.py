"""Instruments, ids, clocks, health answers, logs."""

import json
import logging
from decimal import Decimal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock_core import ids, logs
from interlock_core.clock import ManualClock, SystemClock, rfc3339
from interlock_core.endpoints import REAL, endpoints
from interlock_core.instrument import (
    Instrument,
    Side,
    Venue,
    parse_key,
    upbit_krw_tick,
)
from interlock_core.reasons import ARM_MEANING, DENY_MEANING, ArmRefusal, DenyReason
from interlock_core.wire import kpi, strict
from interlock_core.wire.health import ArmedStatus, NotArmed, read_armed
from interlock_core.wire.problem import problem

PERP = Instrument(
    venue=Venue.BINANCE_PERP,
    symbol="BTCUSDT",
    asset="BTC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    max_quantity=Decimal(1000),
    min_notional=Decimal(50),
    max_notional=Decimal(100_000),
)


@pytest.mark.parametrize(
    ("price", "tick"),
    [
        ("167000000", "1000"),
        ("1000000", "1000"),
        ("999999", "500"),
        ("10000", "10"),
        ("9999", "5"),
        ("1400", "1"),
        ("100", "1"),
        ("99.9", "0.1"),
        ("0.99", "0.001"),
        ("0.000001", "0.00000001"),
    ],
)
def test_upbit_ticks_follow_the_documented_table(price, tick):
    """The price step depends on the price."""
    assert upbit_krw_tick(Decimal(price)) == Decimal(tick)


@pytest.mark.parametrize(
    ("quantity", "price", "problem_text"),
    [
        ("0.001", "60000.0", None),
        ("0.001", "60000.05", "off tick"),
        ("0.0015", "60000", "off lot"),
        ("0", "60000", "below the minimum"),
        ("1001", "1", "above the maximum"),
        ("0.001", "49999", "notional is below"),
        ("1000", "60000", "notional is above"),
    ],
)
def test_filters_refuse_what_the_venue_would(quantity, price, problem_text):
    """Each filter has its own words."""
    found = PERP.problem(Decimal(quantity), Decimal(price))
    assert found is None if problem_text is None else problem_text in found


@given(st.decimals("0.1", "100000", places=6), st.sampled_from(Side))
def test_rounding_a_price_moves_it_toward_the_fill(price, side):
    """A buy limit never falls, a sell limit never rises, and both are on the grid."""
    rounded = PERP.round_price(price, side)
    assert rounded >= price if side is Side.BUY else rounded <= price
    assert rounded % PERP.tick == 0


def test_keys_round_trip_and_nonsense_is_refused():
    """VENUE:SYMBOL and nothing else."""
    assert parse_key(PERP.key) == (Venue.BINANCE_PERP, "BTCUSDT")
    for bad in ("", "UPBIT", "UPBIT:", "NYSE:X"):
        with pytest.raises(ValueError, match="VENUE:SYMBOL"):
            parse_key(bad)


def test_ids_are_functions_of_what_they_name():
    """One intent, one id; another attempt, another id; both venues accept the form."""
    first = ids.intent_id("session-1", 1, "a", 0)
    assert first == ids.intent_id("session-1", 1, "a", 0)
    assert first != ids.intent_id("session-1", 1, "a", 1)
    assert ids.is_id(first)
    cid = ids.client_order_id("session-1", first)
    assert len(cid) == ids.CLIENT_ORDER_ID_CHARS
    assert cid.isascii()
    assert cid.isalnum()
    assert ids.new_session_id(0, "paper").startswith("19700101T000000Z-paper-")


def test_clocks():
    """The system's clocks move; the manual one only when told to."""
    system = SystemClock()
    assert system.boot_ns() <= system.boot_ns()
    assert system.wall_ns() > 1_700_000_000 * 10**9
    manual = ManualClock(wall_ns=5, boot_ns=7)
    manual.advance(10)
    manual.step_wall(-3)
    assert (manual.wall_ns(), manual.boot_ns()) == (12, 17)
    assert rfc3339(1_795_428_780_123_000_000) == "2026-11-23T10:13:00.123Z"


def test_every_code_has_its_meaning():
    """A refusal without a line for a person does not exist."""
    assert set(DENY_MEANING) == set(DenyReason)
    assert set(ARM_MEANING) == set(ArmRefusal)


STATUS = ArmedStatus(
    armed=True,
    state="PAPER",
    hold=False,
    reasons=(),
    stage="paper",
    n_usd="10000",
    epoch=1,
    lease_ms=3000,
    hard_ms=None,
    boot_id="b",
    config_sha256="c",
    nonce="n",
)


def read(status=200, body=None, nonce="n", config="c"):
    raw = strict.encode(STATUS) if body is None else body
    return read_armed(status, raw, nonce=nonce, config_sha256=config)


def test_armed_is_believed_only_when_all_of_it_is_right():
    """200, armed true, my nonce, my configuration: anything else is not armed."""
    assert read() == STATUS
    assert isinstance(read(status=423), NotArmed)
    assert isinstance(read(status=301), NotArmed)
    assert isinstance(read(nonce="other"), NotArmed)
    assert isinstance(read(config="other"), NotArmed)
    assert isinstance(read(body=b"<html>"), NotArmed)
    plain = strict.plain(STATUS)
    for change in ({"armed": False}, {"armed": "true"}, {"armed": 1}, {"extra": 1}):
        assert isinstance(read(body=json.dumps({**plain, **change}).encode()), NotArmed)


@given(st.integers(100, 599), st.binary(max_size=200))
def test_no_other_answer_reads_as_armed(status, body):
    """Noise is never armed, and never raises."""
    assert isinstance(read(status=status, body=body), NotArmed)


def test_the_kpi_schema_holds_the_32_fields_and_more():
    """The schema is valid and requires every promised field."""
    schema = kpi.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert len(kpi.FIELDS) == 32
    assert set(schema["required"]) == {*kpi.FIELDS, *kpi.MORE_FIELDS}


def test_endpoints_differ_only_in_their_addresses():
    """Simulated addresses hold no real host."""
    simulated = endpoints("simulated", "http://127.0.0.1:8090")
    assert endpoints("real", "http://x") is REAL
    for name in REAL.__slots__:
        assert "127.0.0.1:8090" in getattr(simulated, name)


def test_a_problem_document_is_stable():
    """The code is in the type and beside it."""
    made = problem(423, "KILLED", "why")
    assert (made.code, made.type) == ("KILLED", "urn:interlock:problem:killed")


def test_logs_are_json_and_hold_no_secret(capsys):
    """Every known secret is replaced wherever it appears."""
    root = logs.configure("test", "INFO", ["hunter2hunter2"])
    try:
        logging.getLogger("x").info("key is %s", "hunter2hunter2", extra={"n": 1})
        try:
            raise ValueError("hunter2hunter2")
        except ValueError:
            logging.getLogger("x").exception("failed")
    finally:
        root.handlers.clear()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["event"] == "key is [redacted]"
    assert lines[0]["n"] == 1
    assert "ValueError" in lines[1]["exception"]
    assert "hunter2" not in json.dumps(lines)
