"""Upbit KRW markets. Wire facts: Upbit docs v1.6.4, websocket-orderbook and quotation pages."""
