"""Upbit's public frames and answers, from the golden bytes of its documents."""

import json
from decimal import Decimal

import msgspec
import pytest

from interlock_core.instrument import upbit_krw_tick
from interlock_venues.upbit import errors, filters, messages, symbols

SIMPLE = (
    b'{"ty":"orderbook","cd":"KRW-BTC","tms":1746601573804,"tas":4.79158413,"tbs":2.65609625,'
    b'"obu":[{"ap":1.37002E8,"bp":1.37001E8,"as":0.10623869,"bs":0.03656812},'
    b'{"ap":137023000.0,"bp":137000000.0,"as":0.06144079,"bs":0.33543284}],"st":"REALTIME","lv":0}'
)
DEFAULT = (
    b'{"type":"orderbook","code":"KRW-SHIB","timestamp":1746601573804,"total_ask_size":1.0,'
    b'"total_bid_size":2.0,"orderbook_units":[{"ask_price":1.85E-2,"bid_price":0.0184,'
    b'"ask_size":1.2e7,"bid_size":3}],"stream_type":"SNAPSHOT","level":0}'
)


def test_simple_frame_gives_best_levels_first_with_exponents_read():
    frame = messages.decode_frame(SIMPLE)
    assert (frame.code, frame.timestamp_ms) == ("KRW-BTC", 1746601573804)
    assert [(u.bid, u.ask) for u in frame.units] == [(137001000.0, 137002000.0), (137e6, 137023e3)]
    assert (frame.units[0].bid_size, frame.units[0].ask_size) == (0.03656812, 0.10623869)


def test_default_frame_gives_the_same_fields():
    frame = messages.decode_default_frame(DEFAULT)
    unit = frame.units[0]
    assert frame.code == "KRW-SHIB"
    assert (unit.bid, unit.ask, unit.bid_size, unit.ask_size) == (0.0184, 0.0185, 3.0, 12_000_000.0)


def test_error_and_status_frames_are_told_apart_from_books():
    error = messages.decode_frame(b'{"error":{"name":"WRONG_FORMAT","message":"Format is wrong"}}')
    assert error.error is not None
    assert error.error.name == "WRONG_FORMAT"
    status = messages.decode_frame(b'{"status":"UP"}')
    assert (status.code, status.units, status.error) == ("", [], None)


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00", b"[]", b'{"cd":1}', b'{"obu":[{"ap":"1"}]}', b""])
def test_garbage_is_a_decode_error(raw):
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        messages.decode_frame(raw)


def test_request_asks_for_five_levels_in_the_simple_format():
    request = json.loads(messages.subscribe_orderbooks(["KRW-USDT", "KRW-BTC"], ticket="t"))
    assert request == [
        {"ticket": "t"},
        {"type": "orderbook", "codes": ["KRW-USDT.5", "KRW-BTC.5"]},
        {"format": "SIMPLE"},
    ]


def test_rest_rows_keep_what_is_used():
    assert (
        messages.decode_markets(b'[{"market":"KRW-BTC","korean_name":"x"}]')[0].market == "KRW-BTC"
    )
    raw = b'[{"market":"KRW-BTC","trade_price":1.16539E8,"acc_trade_price_24h":2.5e11,"x":null}]'
    assert messages.decode_tickers(raw) == [messages.Ticker("KRW-BTC", 116539000.0, 2.5e11)]
    rules = messages.decode_rules(
        b'[{"market":"KRW-BTC","quote_currency":"KRW","tick_size":"1000"}]'
    )
    assert Decimal(rules[0].tick_size) == upbit_krw_tick(Decimal(116_539_000))


def test_only_krw_markets_name_an_asset():
    assert symbols.asset_of("KRW-BTC") == "BTC"
    assert symbols.asset_of("BTC-ETH") is None
    assert symbols.asset_of("KRW-") is None
    assert symbols.asset_of("KRW") is None
    assert symbols.market_of("BTC") == "KRW-BTC"
    assert symbols.market_of_code("KRW-BTC.5") == symbols.market_of_code("KRW-BTC") == "KRW-BTC"


def test_rules_are_the_documented_ones():
    rules = filters.instrument("KRW-BTC", "BTC")
    assert rules.key == "UPBIT:KRW-BTC"
    assert rules.problem(Decimal("0.00005"), Decimal(116_539_000)) is None
    assert "notional is below 5000" in (
        rules.problem(Decimal("0.00004"), Decimal(116_539_000)) or ""
    )


def test_refusals_say_status_name_and_message():
    error = errors.answer_error(404, b'{"error":{"name":404,"message":"Code not found"}}')
    assert str(error) == "UPBIT answered HTTP 404: 404 Code not found"
    assert str(errors.answer_error(502, b"<html>")) == "UPBIT answered HTTP 502: no readable error"
