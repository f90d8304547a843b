"""The seven checks before trading."""
