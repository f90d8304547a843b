"""Database roles and schema, brought to head."""
