"""The seven checks. Each module has `run(context)`, which returns its findings, never none."""
