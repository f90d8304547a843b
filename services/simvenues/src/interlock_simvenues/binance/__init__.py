"""Binance spot and USD-M futures behind their wire protocols."""
