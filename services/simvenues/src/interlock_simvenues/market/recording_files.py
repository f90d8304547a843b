"""Reads recordings from Parquet and CSV files. What they hold is described in the data folder."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from interlock_core.instrument import Venue
from interlock_core.settings import ConfigError
from interlock_simvenues.market.recording import Track, Tracks
from interlock_simvenues.units import NS_PER_S

_L1_COLUMNS = {"market", "symbol", "local_ns", "bid", "bid_qty", "ask", "ask_qty"}
_TRADE_COLUMNS = {"ts", "market", "price"}
_VENUE = {"spot": Venue.BINANCE, "usdm": Venue.BINANCE_PERP}
_SUFFIXES = (".parquet", ".csv", ".csv.gz")


def load(path: Path, known: frozenset[str]) -> Tracks:
    """Return the recording at a path for the known assets, or raise ConfigError."""
    readable = [path] if path.is_file() else sorted(path.iterdir())
    problems = []
    for file in readable:
        if not file.name.endswith(_SUFFIXES):
            continue
        try:
            tracks = _load_parquet(file, known) if file.suffix == ".parquet" else _load_bars(file)
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"{file.name}: {error}")
            continue
        if tracks is not None:
            return tracks
    detail = f" ({'; '.join(problems)})" if problems else ""
    raise ConfigError([f"SIM_RECORDING_PATH: no usable recording in {path}{detail}"])


def _load_parquet(file: Path, known: frozenset[str]) -> Tracks | None:
    from pyarrow import parquet  # noqa: PLC0415  # 40 MB that only this source needs

    names = set(parquet.read_schema(file).names)
    if names >= _L1_COLUMNS:
        return _load_quotes(file, parquet.read_table(file, columns=sorted(_L1_COLUMNS)), known)
    if names >= _TRADE_COLUMNS and "open" not in names:
        return _load_trades(file, parquet.read_table(file, columns=sorted(_TRADE_COLUMNS)), known)
    return None


def _load_quotes(file: Path, table: Any, known: frozenset[str]) -> Tracks:  # noqa: ANN401
    markets = np.array(table["market"].to_pylist())
    symbols = np.array(table["symbol"].to_pylist())
    found = {}
    for market, venue in _VENUE.items():
        for symbol in sorted(set(symbols[markets == market].tolist())):
            asset = symbol.removesuffix("USDT")
            if asset not in known:
                continue
            mask = (markets == market) & (symbols == symbol)
            times = table["local_ns"].to_numpy()[mask].astype(np.int64)
            columns = [
                table[name].to_numpy()[mask] for name in ("bid", "ask", "bid_qty", "ask_qty")
            ]
            found[venue, asset] = Track(times, tuple(columns))
    detail = f"{file.name}: Binance quotes as recorded; Upbit derived (seeded premium), synthetic"
    return Tracks(detail, found, None)


def _load_trades(file: Path, table: Any, known: frozenset[str]) -> Tracks:  # noqa: ANN401
    markets = np.array(table["market"].to_pylist())
    times = table["ts"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    prices = table["price"].to_numpy()
    order = np.argsort(times, kind="stable")
    markets, times, prices = markets[order], times[order], prices[order]
    found, fx = {}, None
    for market in sorted(set(markets.tolist())):
        quote, _, asset = market.partition("-")
        mask = markets == market
        if quote == "KRW" and asset == "USDT":
            fx = Track(times[mask], (prices[mask], prices[mask]))
        elif quote == "KRW" and asset in known:
            found[Venue.UPBIT, asset] = Track(times[mask], (prices[mask], prices[mask]))
    detail = f"{file.name}: Upbit trades as recorded; Binance derived (seeded premium), synthetic"
    return Tracks(detail, found, fx)


def _load_bars(file: Path) -> Tracks | None:
    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    rows = list(csv.DictReader(raw.decode("utf-8").splitlines()))
    if not rows or "close_upbit_krw" not in rows[0]:
        return None
    perp = "close_binanceperp_usdt" in rows[0]
    column = "close_binanceperp_usdt" if perp else "close_binance_usdt"
    times = np.array([_ns(row["timestamp"]) for row in rows], dtype=np.int64)
    upbit = np.array([float(row["close_upbit_krw"]) for row in rows])
    binance = np.array([float(row[column]) for row in rows])
    fx = None
    if "usdkrw_close" in rows[0]:
        rate = np.array([float(row["usdkrw_close"]) for row in rows])
        fx = Track(times, (rate, rate))
    venue = Venue.BINANCE_PERP if perp else Venue.BINANCE
    detail = f"{file.name}: bar replay, both venues as recorded (closes); other market derived"
    tracks = {
        (Venue.UPBIT, "BTC"): Track(times, (upbit, upbit)),
        (venue, "BTC"): Track(times, (binance, binance)),
    }
    return Tracks(detail, tracks, fx)


def _ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp()) * NS_PER_S
