"""What every simulation may ask for."""

import pytest

from interlock_simvenues.market import assets


@pytest.fixture
def few_assets(monkeypatch):
    """Leave the venues twelve assets: each costs time at each step of the market."""
    few = " ".join(assets._KRW_PRICES.split()[:24])
    monkeypatch.setattr(assets, "_KRW_PRICES", few)
    monkeypatch.setattr(assets, "_THOUSANDS", "")
