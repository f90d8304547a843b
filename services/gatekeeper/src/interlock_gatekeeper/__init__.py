"""The reference monitor and order gateway: the only holder of trading keys."""
