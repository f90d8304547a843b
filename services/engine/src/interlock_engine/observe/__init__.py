"""What the engine shows: KPIs, metrics, files, HTTP."""
