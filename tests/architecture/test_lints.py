"""Our own rules find what they are for, and nothing breaks them."""

import changelog
import pytest
import rules
import run

GATE = "services/gatekeeper/src/interlock_gatekeeper"
ENGINE = "services/engine/src/interlock_engine"
BAD = [
    (rules.no_wall_clock, f"{ENGINE}/x.py", "import time\ntime.time()"),
    (rules.no_wall_clock, f"{ENGINE}/x.py", "import time\nf = time.time_ns"),
    (rules.no_wall_clock, f"{ENGINE}/x.py", "from time import time"),
    (rules.no_wall_clock, f"{ENGINE}/x.py", "import datetime\ndatetime.datetime.now()"),
    (rules.no_wall_clock, f"{ENGINE}/x.py", "from datetime import date\ndate.today()"),
    (rules.no_environment, f"{ENGINE}/x.py", "import os\nos.environ['A']"),
    (rules.no_environment, f"{ENGINE}/x.py", "import os\nos.getenv('A')"),
    (rules.no_environment, f"{ENGINE}/x.py", "from os import environ"),
    (rules.no_environment, f"{ENGINE}/settings.py", "x = environ.get('A')"),
    (rules.no_environment, f"{ENGINE}/settings.py", "x = environ['A']"),
    (rules.no_environment, f"{ENGINE}/loop.py", "x = environment()"),
    (rules.no_paper, f"{ENGINE}/x.py", "if stage == 'paper': pass"),
    (rules.no_paper, f"{GATE}/policy.py", "PAPER = 1"),
    (rules.no_back_door, f"{GATE}/x.py", "def send(order, *, force=False): pass"),
    (rules.no_back_door, f"{GATE}/x.py", "skip_checks = True"),
    (rules.no_back_door, f"{GATE}/x.py", "parser.add_argument('--dry-run')"),
    (rules.no_back_door, f"{GATE}/x.py", "Setting('GATE_BYPASS', text, '', '')"),
    (rules.no_back_door, f"{GATE}/x.py", "f(dry_run=True)"),
    (rules.no_assert, f"{GATE}/x.py", "assert limit > 0"),
    (rules.no_float_money, f"{GATE}/policy.py", "x = 0.1"),
    (rules.no_leftover, f"{ENGINE}/x.py", "x = 1  # TO" + "DO later"),
]
GOOD = [
    (rules.no_wall_clock, rules.CLOCK_FILE, "import time\ntime.time_ns()"),
    (rules.no_wall_clock, f"{ENGINE}/x.py", "now = clock.wall_ns()"),
    (rules.no_environment, rules.ENVIRONMENT_FILE, "import os\nx = os.environ"),
    (rules.no_environment, f"{ENGINE}/__main__.py", "x = environment()"),
    (rules.no_paper, f"{GATE}/state.py", "PAPER = 1"),
    (rules.no_back_door, f"{GATE}/x.py", "OrderIntent(time_in_force='ioc')"),
    (rules.no_back_door, f"{GATE}/x.py", "x = 'never skip or bypass a check'"),
    (rules.no_back_door, f"{ENGINE}/x.py", "skip = 1"),
    (rules.no_float_money, f"{ENGINE}/x.py", "x = 0.1"),
    (rules.no_assert, f"{GATE}/x.py", "x = 'assert'"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD)
def test_a_rule_finds_what_it_is_for(rule, path, text):
    """The smallest breach is found."""
    assert list(rule(rules.parse(path, text)))


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_a_rule_leaves_the_rest_alone(rule, path, text):
    """What is allowed passes."""
    assert not list(rule(rules.parse(path, text)))


def test_nothing_breaks_the_rules():
    """Every package keeps every rule."""
    assert run.breaches() == []


def test_the_exceptions_still_exist(root):
    """An allowed file that is gone, or needs no allowance any more, is taken off the list."""
    for path in rules.PAPER_FILES:
        assert "paper" in (root / path).read_text("utf-8").lower(), path
    for path in (*rules.PAST_A_SPEC, *rules.EXACT_FILES, rules.CLOCK_FILE):
        assert (root / path).exists(), path


def test_every_changelog_fragment_has_a_kind():
    """Fragments are named so that the notes can be put together."""
    assert any(changelog.fragments().values())


def test_a_fragment_of_no_kind_is_refused(tmp_path):
    """A misnamed fragment is said, not lost."""
    (tmp_path / "something.md").write_text("text", "utf-8")
    with pytest.raises(ValueError, match=r"something\.md"):
        changelog.fragments(tmp_path)
