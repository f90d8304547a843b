"""One simulator process for the tests that do not need their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.simvenues.sim_server import Server, start, stop


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One simulator for the whole session, without rate limits (those have their own tests)."""
    running = start(SIM_RATE_LIMITS="off")
    yield running
    stop(running)
