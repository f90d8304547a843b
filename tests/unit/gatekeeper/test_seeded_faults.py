"""Each of the model's twelve removed rules, removed from a copy of the code, is found.

The faults have the names of the model's mutants (model/interlock.pml). They prove that the
lifecycle can see: `test_lifecycle.py` runs the same rules over the code as it is.
"""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.unit.gatekeeper.lifecycle import Lifecycle

from interlock_core.clock import NS_PER_S
from interlock_gatekeeper.machine import Known, Machine, Submit
from interlock_gatekeeper.records import Kind, aborted_result
from interlock_gatekeeper.state import Armed, Expired, Live

# No shrinking: that it is found is the point. Derandomized: found today is found tomorrow.
BUDGET = settings(
    max_examples=2000,
    stateful_step_count=60,
    deadline=None,
    database=None,
    derandomize=True,
    report_multiple_bugs=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class NoRecheck(Machine):
    """Nothing is asked between the journal and the wire."""

    def recheck(self, *_, **__):
        return None


class NoReserve(Machine):
    """What is approved counts against the budget only once it is about to be written."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.uncounted = set()

    def order(self, intent, now):
        self.tick(now)
        orders = self.state.open_orders
        counted = set(orders) - self.uncounted if self.state.session else set(orders)
        hidden = {key: orders.pop(key) for key in set(orders) - counted - {intent.intent_id}}
        decision = super().order(intent, now)
        orders.update(hidden)
        if isinstance(decision, Submit):
            self.uncounted.add(intent.intent_id)
        return decision

    def recheck(self, order, now):
        self.uncounted.discard(order.intent.intent_id)
        return super().recheck(order, now)


class RelAmbig(Machine):
    """A timeout releases the reservation."""

    def unknown(self, order, _why, now):
        self.abort(aborted_result(order, "TIMEOUT", ""), now)


class NoFence(Machine):
    """Any epoch will do."""

    def order(self, intent, now):
        session = self.state.session
        current = intent.epoch if session is None else session.epoch
        return super().order(replace(intent, epoch=current), now)


class NoHwm(Machine):
    """Which LIVE_ARM_AT was used is forgotten."""

    def arm(self, *args, **kwargs):
        self.state.high_water_mark_ns = 0
        return super().arm(*args, **kwargs)


class NoDlatch(Machine):
    """The latch is kept in memory only."""

    def take_records(self):
        return [record for record in super().take_records() if record.kind is not Kind.KILL]


class AutoRearm(Machine):
    """A restart resumes the session that ran."""

    def recovered(self, now):
        session = self.state.session
        super().recovered(now)
        if session is not None and self.state.environment == "live":
            self.state.phase = Live(session)


class EarlyFlat(Machine):
    """FLAT is claimed whatever is still open."""

    def tick(self, now):
        super().tick(now)
        if isinstance(self.state.phase, Expired):
            self._record(Kind.FLAT)


class ResetArms(Machine):
    """A reset leads straight back to ARMED."""

    def reset(self, now, *args, **kwargs):
        refusal = super().reset(now, *args, **kwargs)
        if refusal is None and self.state.environment == "live":
            self.state.phase = Armed("smoke", Decimal(12), now.boot_ns + 600 * NS_PER_S)
        return refusal


class NoDedup(Machine):
    """An intent that is still on its way is sent again."""

    def order(self, intent, now):
        decision = super().order(intent, now)
        order = self.state.open_orders.get(intent.intent_id)
        return Submit(order) if isinstance(decision, Known) and order else decision

    def abort(self, result, *args):
        if result.intent_id in self.state.open_orders:
            super().abort(result, *args)


class NoWalLifecycle(Lifecycle):
    """The bytes leave before their record is on the disk."""

    def send(self, order):
        if self.bench.recheck(order) is None:
            self.effect()
            self.write(order)
        self.commit()
        self.sync()


class NoTlateLifecycle(Lifecycle):
    """That the venue does not know an order is believed at once."""

    late_ns = 0


def over(fault):
    """Return the lifecycle over a faulty machine.

    Without the comparison with a replay: that would see the fault's bookkeeping, not its effect.
    """
    changes = {"machine": fault, "replay_gives_the_same_state": None}
    return type(f"{fault.__name__}Lifecycle", (Lifecycle,), changes)


FAULTS = {
    "NO_RECHECK": (over(NoRecheck), "V2|V3|V5"),
    "NO_WAL": (NoWalLifecycle, "V6"),
    "NO_RESERVE": (over(NoReserve), "V1"),
    "REL_AMBIG": (over(RelAmbig), "V10"),
    "NO_TLATE": (NoTlateLifecycle, "V10"),
    "NO_FENCE": (over(NoFence), "V3"),
    "NO_HWM": (over(NoHwm), "V9"),
    "NO_DLATCH": (over(NoDlatch), "V5"),
    "AUTO_REARM": (over(AutoRearm), "V11"),
    "EARLY_FLAT": (over(EarlyFlat), "V8"),
    "RESET_ARMS": (over(ResetArms), "V11"),
    # The machine itself refuses to write what is no longer reserved.
    "NO_DEDUP": (over(NoDedup), "V7|V8|V10|not reserved"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_removed_rule_is_found(name):
    """The lifecycle fails, and by the invariant that the rule is for."""
    lifecycle, law = FAULTS[name]
    with pytest.raises((AssertionError, RuntimeError), match=law):
        run_state_machine_as_test(lifecycle, settings=BUDGET)
