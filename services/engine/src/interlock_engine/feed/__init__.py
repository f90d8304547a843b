"""Sockets and public REST of the venues."""
