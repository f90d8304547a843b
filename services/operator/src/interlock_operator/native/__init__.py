"""The native stack: the same services as processes, on embedded PostgreSQL and Valkey."""
