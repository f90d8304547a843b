"""Market data to spread to signal to intent to positions to KPIs; owns no trading key."""
