"""Simulated Upbit and Binance behind their real wire protocols."""
