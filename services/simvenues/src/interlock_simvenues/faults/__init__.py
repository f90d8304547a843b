"""Faults of the simulated venues: what rules may say, when they fire, and where they act."""
