"""What the alerts ask the metrics for: counters that begin at zero, values that show doubt."""

import math
from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import PERP_BTC

from interlock_gatekeeper import guards
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.state import Residual

PREFIX = "interlock_gatekeeper_"


@pytest.fixture
def desk(live):
    live.arm()
    live.open()
    return live


def shown(desk, name, **labels):
    """Return one value after the state was shown."""
    metrics = Metrics("live", "smoke")
    metrics.show(desk.state, desk.now)
    return metrics.registry.get_sample_value(PREFIX + name, labels)


@pytest.mark.parametrize("rule", guards.RULES, ids=lambda rule: rule.cause)
@pytest.mark.parametrize("name", ["hold_total", "kill_total"])
def test_each_trigger_counts_from_zero(desk, name, rule):
    """The first hold or kill is a rise, not a new series."""
    assert shown(desk, name, cause=rule.cause) == 0


def test_a_residual_counts_orders_and_positions(desk):
    """Nothing before a halt claims it; then what is held and what may still fill."""
    order = desk.machine.order(desk.intent(), desk.now).order
    desk.state.positions[PERP_BTC] = Decimal("0.001")
    assert shown(desk, "residual_usd") == 0
    desk.state.residual = Residual((order.client_order_id,), {PERP_BTC: Decimal("0.001")}, "h")
    reserved, exposure = shown(desk, "reserved_usd"), shown(desk, "exposure_usd")
    assert min(reserved, exposure) > 0
    assert shown(desk, "residual_usd") == reserved + exposure
    del desk.state.references[PERP_BTC]
    assert math.isnan(shown(desk, "residual_usd"))


def test_what_never_happened_is_infinitely_old(desk):
    """An age of zero would be silent."""
    own, recon = desk.state.seen.self, desk.state.seen.recon
    own.anchor_ns = own.selftest_ns = recon.at_ns = None
    for name in ("anchor_age_seconds", "selftest_age_seconds", "recon_age_seconds"):
        assert shown(desk, name) == math.inf


def test_an_order_in_doubt_has_an_age(desk):
    """From the moment its outcome was not known."""
    order = desk.machine.order(desk.intent(), desk.now).order
    desk.machine.unknown(order, "no answer", desk.now)
    desk.advance(31)
    assert shown(desk, "unknown_oldest_seconds") == 31
