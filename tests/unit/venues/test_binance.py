"""Binance's public frames and answers, from its documents and from recorded frames."""

import gzip
import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from interlock_core.instrument import Venue
from interlock_venues.binance_perp import errors as perp_errors
from interlock_venues.binance_perp import filters as perp_filters
from interlock_venues.binance_perp import messages as perp
from interlock_venues.binance_perp import symbols as perp_symbols
from interlock_venues.binance_spot import errors as spot_errors
from interlock_venues.binance_spot import filters as spot_filters
from interlock_venues.binance_spot import messages as spot
from interlock_venues.binance_spot import symbols as spot_symbols

RECORDINGS = Path("/work/shared/data")

SPOT_DEPTH = (
    b'{"stream":"bnbusdt@depth5@100ms","data":{"lastUpdateId":160,'
    b'"bids":[["0.00240000","10.5"],["0.00230000","3"]],"asks":[["0.00260000","100"]]}}'
)
PERP_DEPTH = (
    b'{"stream":"btcusdt@depth5@100ms","data":{"e":"depthUpdate","E":1571889248277,'
    b'"T":1571889248276,"s":"BTCUSDT","U":390497796,"u":390497878,"pu":390497794,'
    b'"b":[["7403.89","0.002"],["7403.90","3.906"]],"a":[["7405.96","3.340"]]}}'
)


def test_spot_partial_depth_gives_floats_best_first():
    frame = spot.decode_depth(SPOT_DEPTH)
    assert frame.stream == "bnbusdt@depth5@100ms"
    assert frame.data == spot.Depth(
        bids=[(0.0024, 10.5), (0.0023, 3.0)], asks=[(0.0026, 100.0)], update_id=160
    )


def test_perp_partial_depth_gives_floats_and_the_venues_time():
    frame = perp.decode_depth(PERP_DEPTH)
    assert frame.data == perp.Depth(
        bids=[(7403.89, 0.002), (7403.9, 3.906)],
        asks=[(7405.96, 3.34)],
        update_id=390497878,
        event_ms=1571889248277,
    )


@pytest.mark.parametrize("decode", [spot.decode_depth, perp.decode_depth])
def test_control_answers_carry_no_book(decode):
    assert decode(b'{"result":null,"id":1}').data is None


@pytest.mark.parametrize("decode", [spot.decode_depth, perp.decode_depth])
@pytest.mark.parametrize(
    "raw",
    [b"\x00\x01", b'{"stream":"x","data":{"b":1}}', SPOT_DEPTH[:-9], b'{"stream":"x","data":{}}'],
)
def test_garbage_is_a_decode_error(decode, raw):
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode(raw)


@pytest.mark.parametrize(
    ("name", "decode"), [("usdm_btcusdt", perp.decode_depth), ("usdm_ethusdt", perp.decode_depth)]
)
def test_recorded_perp_depth_frames_decode_to_what_json_says(name, decode):
    path = RECORDINGS / f"binance_{name}_20240808_raw.gz"
    if not path.exists():
        pytest.skip(f"recording absent: {path}")
    seen = 0
    with gzip.open(path, "rb") as lines:
        for line in lines:
            _, _, raw = line.partition(b" ")
            if b'"depthUpdate"' not in raw:
                continue
            expected, frame = json.loads(raw), decode(raw)
            assert frame.stream == expected["stream"]
            for ours, theirs in ((frame.data.bids, "b"), (frame.data.asks, "a")):
                assert ours == [(float(p), float(q)) for p, q in expected["data"][theirs]]
            seen += 1
            if seen == 500:
                break
    assert seen == 500


SPOT_INFO = {
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "tickSize": "0.01000000"},
                {
                    "filterType": "LOT_SIZE",
                    "minQty": "0.00001000",
                    "maxQty": "9000.00000000",
                    "stepSize": "0.00001000",
                },
                {"filterType": "ICEBERG_PARTS", "limit": 10},
                {
                    "filterType": "NOTIONAL",
                    "minNotional": "5.00000000",
                    "applyMinToMarket": True,
                    "maxNotional": "9000000.00000000",
                },
            ],
        },
        {
            "symbol": "ETHBTC",
            "status": "TRADING",
            "baseAsset": "ETH",
            "quoteAsset": "BTC",
            "filters": [],
        },
        {
            "symbol": "OLDUSDT",
            "status": "BREAK",
            "baseAsset": "OLD",
            "quoteAsset": "USDT",
            "filters": [],
        },
    ]
}
PERP_FILTERS = [
    {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
    {"filterType": "MIN_NOTIONAL", "notional": "50"},
    {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500"},
]


def test_spot_filters_become_an_instrument_and_others_are_left_out():
    found = spot_filters.instruments(spot.decode_exchange_info(json.dumps(SPOT_INFO).encode()))
    assert list(found) == ["BTCUSDT"]
    rules = found["BTCUSDT"]
    assert (rules.venue, rules.asset) == (Venue.BINANCE, "BTC")
    assert (rules.tick, rules.lot) == (Decimal("0.01"), Decimal("0.00001"))
    assert (rules.min_notional, rules.max_notional) == (Decimal(5), Decimal(9_000_000))


def test_perp_filters_read_the_notional_key_and_skip_delivery_contracts():
    row = {"status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": PERP_FILTERS}
    info = {
        "symbols": [
            {"symbol": "BTCUSDT", "contractType": "PERPETUAL", **row},
            {"symbol": "BTCUSDT_261225", "contractType": "CURRENT_QUARTER", **row},
        ]
    }
    found = perp_filters.instruments(perp.decode_exchange_info(json.dumps(info).encode()))
    assert list(found) == ["BTCUSDT"]
    rules = found["BTCUSDT"]
    assert (rules.venue, rules.min_notional) == (Venue.BINANCE_PERP, Decimal(50))
    assert (rules.lot, rules.max_quantity) == (Decimal("0.001"), Decimal(1000))


def test_a_symbol_without_its_filters_is_refused_not_guessed():
    info = {"symbols": [{**SPOT_INFO["symbols"][0], "filters": []}]}
    with pytest.raises(KeyError, match="LOT_SIZE"):
        spot_filters.instruments(spot.decode_exchange_info(json.dumps(info).encode()))


@pytest.mark.parametrize("messages", [spot, perp])
def test_tickers_read_quoted_numbers(messages):
    raw = b'[{"symbol":"BTCUSDT","lastPrice":"64000.10","quoteVolume":"1.5e9","count":3}]'
    assert messages.decode_tickers(raw) == [messages.Ticker("BTCUSDT", 64000.10, 1.5e9)]


@pytest.mark.parametrize("names", [spot_symbols, perp_symbols])
def test_one_path_subscribes_all_books(names):
    assert (
        names.combined_path(["BTCUSDT", "ETHUSDT"])
        == "/stream?streams=btcusdt@depth5@100ms/ethusdt@depth5@100ms"
    )
    assert names.symbol_of("BTC") == "BTCUSDT"


@pytest.mark.parametrize(
    ("errors", "name"), [(spot_errors, "BINANCE"), (perp_errors, "BINANCE_PERP")]
)
def test_refusals_say_status_code_and_message(errors, name):
    error = errors.answer_error(429, b'{"code":-1003,"msg":"Too much request weight used."}')
    assert str(error) == f"{name} answered HTTP 429: -1003 Too much request weight used."
    assert "no readable error" in str(errors.answer_error(503, b""))
