"""Strict messages: exactly the declared fields with exactly the declared types."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock_core.instrument import Side
from interlock_core.wire import strict
from interlock_core.wire.gate import Heartbeat, OrderIntent, Purpose, SessionGranted, Telemetry
from interlock_core.wire.strict import SchemaError

INTENT = OrderIntent(
    schema=1,
    intent_id="intent-0001",
    group_id="group-0001",
    leg="a",
    purpose=Purpose.ENTRY,
    instrument="UPBIT:KRW-BTC",
    side=Side.BUY,
    type="limit",
    time_in_force="ioc",
    quantity=Decimal("0.1"),
    price=Decimal(1000),
    quoted_price=Decimal(1000),
    edge_bps=Decimal(20),
    created_boot_ns=1,
    epoch=1,
)


@pytest.mark.parametrize(
    "message",
    [
        INTENT,
        Heartbeat(Telemetry(1.5, 2.0, 3.0, 4.0, -5.5, 6)),
        SessionGranted(
            "session-1", 1, "00", 3000, None, "PAPER", Decimal(1), Decimal(2), Decimal(3)
        ),
    ],
)
def test_what_is_encoded_decodes_to_the_same(message):
    """The two directions agree."""
    assert strict.decode(type(message), strict.encode(message)) == message


@pytest.mark.parametrize("field", sorted(strict.plain(INTENT)))
def test_a_missing_field_is_refused(field):
    """There are no defaults on the wire."""
    body = strict.plain(INTENT)
    del body[field]
    with pytest.raises(SchemaError, match=f"missing field '{field}'"):
        strict.decode(OrderIntent, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("schema", "1"),
        ("schema", True),
        ("intent_id", "short"),
        ("intent_id", "x" * 41),
        ("intent_id", "späti-0001"),
        ("leg", "c"),
        ("purpose", "gift"),
        ("side", "BUY"),
        ("quantity", 0.1),
        ("quantity", "0"),
        ("quantity", "-1"),
        ("quantity", "1e3"),
        ("price", None),
        ("created_boot_ns", 1.0),
        ("instrument", "NYSE:IBM"),
    ],
)
def test_a_wrong_value_is_refused(field, value):
    """Types and ranges are checked field by field."""
    body = {**strict.plain(INTENT), field: value}
    with pytest.raises(SchemaError):
        strict.decode(OrderIntent, json.dumps(body).encode())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"schema":1,"schema":1}',
        b'{"schema":NaN}',
        b"\xff",
        b"[" * 5000,
        b" " * 9000,
    ],
)
def test_what_is_not_one_object_is_refused(raw):
    """Broken, doubled, deep, large or undecodable documents never get through."""
    with pytest.raises(SchemaError):
        strict.decode(OrderIntent, raw)


def test_an_extra_field_is_refused():
    """Nothing is ignored."""
    body = {**strict.plain(INTENT), "force": True}
    with pytest.raises(SchemaError, match="unexpected field 'force'"):
        strict.decode(OrderIntent, json.dumps(body).encode())


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(raw):
    """The decoder is total: a message or SchemaError."""
    with pytest.raises(SchemaError):
        strict.decode(OrderIntent, raw)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("created_boot_ns", "9" * 5000),
        ("created_boot_ns", "9" * 400),
        ("created_boot_ns", str(2**63)),
        ("type", r'"\ud800"'),
    ],
)
def test_what_python_cannot_write_down_again_is_refused(field, value):
    """Thousands of digits, more than 63 bits, half of a surrogate pair."""
    body = strict.encode(INTENT).decode()
    plain = strict.plain(INTENT)[field]
    raw = body.replace(f'"{field}":{json.dumps(plain)}', f'"{field}":{value}').encode()
    assert raw != body.encode()
    with pytest.raises(SchemaError):
        strict.decode(OrderIntent, raw)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400])
def test_a_number_is_finite(number):
    """Infinity has more than one spelling."""
    good = strict.encode(Heartbeat(Telemetry(1.5, 2.0, 3.0, 4.0, -5.5, 6)))
    with pytest.raises(SchemaError):
        strict.decode(Heartbeat, good.replace(b"-5.5", number.encode()))
