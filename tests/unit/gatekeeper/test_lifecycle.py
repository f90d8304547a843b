"""The invariants, under every order of events that hypothesis finds: crashes included.

The same 2,000 lives each time, so that a landing is no matter of luck; `make lifecycle` looks
for others at random, as many as EXAMPLES says.
"""

import os

import pytest
from hypothesis import settings
from tests.unit.gatekeeper.lifecycle import Lifecycle

pytestmark = pytest.mark.timeout(0)

USUAL = 2000
EXAMPLES = int(os.environ.get("LIFECYCLE_EXAMPLES", USUAL))

Lifecycle.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=100,
    deadline=None,
    derandomize=EXAMPLES <= USUAL,
)
TestLifecycle = Lifecycle.TestCase
