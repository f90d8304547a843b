"""Public market data of Upbit and Binance: bytes to typed messages, no I/O."""
