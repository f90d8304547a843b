"""Crash points: each step of an order's and a round trip's life, the process killed there.

A case is one kill: it trades until the step comes, the component dies, is started again, finds out
what happened, closes what is open, and then every book must be even. Cases of one seed follow each
other in one life of the venues, so that a later one finds what the earlier ones left.
"""

import os
import random

import pytest
from tests.simulation import equation, virtual
from tests.simulation.crashes import STEPS, Steps
from tests.simulation.system import ENGINE, System

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    # A killed process closes nothing itself.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SEEDS = range(int(os.environ.get("CRASH_SEEDS", "1")))
ROUNDS = 4
SETTINGS = {
    "TIME_LIMIT_S": "3",
    "WARM_UP_S": "2",
    "MAX_POSITIONS": "3",
    "ENTRY_THRESHOLD_BPS": "4",
    "COOLDOWN_S": "1",
}
CASES = [(owner, step) for owner, steps in STEPS.items() for step in steps]


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_every_step_the_books_stay_even(seed, tmp_path, monkeypatch, few_assets):
    """Seeds are in the test's name; a failure names the case."""
    draw = random.Random(seed)
    cases = [case for _ in range(ROUNDS) for case in draw.sample(CASES, len(CASES))]
    steps = Steps(monkeypatch)

    async def main():
        system = steps.system = System(tmp_path, SIM_SEED=str(seed), **SETTINGS)
        await system.start()
        start = system.balances()
        for number, (owner, step) in enumerate(cases):
            skip = draw.randrange(12)
            case = f"seed {seed}, case {number}: {owner} killed {step}, {skip} times passed"
            print(case)  # noqa: T201 - shown where it fails
            steps.kill_at(owner, step, skip)
            await system.until(lambda: steps.is_done, f"{case}: the step", 120.0)
            await system.restart(owner)
            await system.until(system.is_trading, f"{case}: trading again", 60.0)
            await system.settle()
            equation.check(system, start)
            system.go_on()
        resumed = system.engine._score.resumed
        assert resumed == sum(owner == ENGINE for owner, _ in cases)
        assert not system.engine._reconciler.differences
        equation.check_journal(system)
        assert await system.stop_engine() == 0
        await system.close()

    virtual.run(main, monkeypatch)
