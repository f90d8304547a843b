"""Fixtures of the engine's integration tests."""

import pytest
from tests.integration.engine.processes import Stack


@pytest.fixture
def stack(tmp_path, request):
    """Return a stack that is not started; parametrize indirectly to change settings."""
    made = Stack(tmp_path, **getattr(request, "param", {}))
    yield made
    made.down()
