"""Binance USDT-margined perpetuals. Wire facts: USD-M docs, partial book depth streams."""
