"""What a person is told of a HOLD."""

from tests.unit.gatekeeper.conftest import PERP_BTC


def test_a_hold_names_its_first_cause_and_its_present_one(live):
    """What began it may be long gone: a person must see what keeps it."""
    live.arm()
    live.open()
    live.machine.heartbeat(live.state.epoch, live.now, None)
    live.machine.guard(live.now)
    assert live.state.holding == "TELEMETRY"
    live.beat()
    live.state.ledger.held[PERP_BTC] = 1
    del live.state.references[PERP_BTC]
    live.machine.guard(live.now)
    assert live.state.holding == "TELEMETRY, now LOSS"
