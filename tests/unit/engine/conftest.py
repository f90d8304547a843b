"""Fixtures of the engine's unit tests; the fakes are in `fakes`."""

import pytest
from tests.unit.engine.fakes import new_rig


@pytest.fixture
def rig():
    return new_rig()
