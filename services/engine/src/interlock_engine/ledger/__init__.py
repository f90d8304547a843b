"""The engine's own durable record of a session, and how another process goes on from it."""
