"""Benchmarks: scripts without pytest whose ratios are measured within one run."""
