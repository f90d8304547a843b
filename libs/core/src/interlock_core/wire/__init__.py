"""Versioned messages between services."""
