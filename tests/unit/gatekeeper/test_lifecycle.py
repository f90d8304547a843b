"""The invariants, under every order of events that hypothesis finds: crashes included."""

from hypothesis import settings
from tests.unit.gatekeeper.lifecycle import Lifecycle

Lifecycle.TestCase.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
TestLifecycle = Lifecycle.TestCase
