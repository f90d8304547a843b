"""Binance spot. Wire facts: binance-spot-api-docs, web-socket-streams, rest-api and filters."""
