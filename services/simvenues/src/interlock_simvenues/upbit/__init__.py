"""Upbit (Korea) behind its wire protocol: REST, JWT, binary WebSocket frames."""
