"""The seven checks, with answers from memory instead of sockets."""

import io
import json
from dataclasses import replace

import httpx
import pytest
from rich.console import Console

from interlock_core.clock import NS_PER_S, ManualClock
from interlock_core.settings import ConfigError
from interlock_core.wire import strict
from interlock_core.wire.preflight import CheckReport, PreflightReport, Verdict
from interlock_preflight import record, runner, show
from interlock_preflight.checks import (
    environment,
    exposure,
    git,
    live_safety,
    secrets,
    stores,
    venues,
)
from interlock_preflight.context import Context
from interlock_preflight.settings import read_settings

NOW_S = 1_700_000_000
HEALTH = {
    "state": "PAPER",
    "environment": "paper",
    "open_orders": 0,
    "unknown_orders": [],
    "positions": {},
}
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


class World:
    """Answers by path; remembers which hosts were asked."""

    def __init__(self, settings):
        self.answers = {
            "/health/armed": (200, {"config_sha256": settings.config_sha256}),
            "/health/ready": (200, {"ready": True, "reasons": []}),
            "/health": (200, HEALTH),
            "/fapi/v1/time": (200, {"serverTime": NOW_S * 1000}),
            "/api/v3/time": (200, {"serverTime": NOW_S * 1000}),
            "/upbit/v1/ticker": (200, [{}]),
            "/v1/ticker": (200, [{}]),
        }
        self.hosts = []

    def __call__(self, request):
        """Answer one request."""
        self.hosts.append(request.url.host)
        if request.url.path not in self.answers:
            raise httpx.ConnectError("nobody is there")
        status, body = self.answers[request.url.path]
        return httpx.Response(status, json=body, headers={"date": DATE})


def make(tmp_path, *, real=False, **environ):
    """Return a context and the world behind it."""
    settings = read_settings({"RUNS_DIR": str(tmp_path / "runs"), **environ})
    world = World(settings)
    client = httpx.Client(transport=httpx.MockTransport(world))
    clock = ManualClock(wall_ns=NOW_S * NS_PER_S)
    return Context(settings, real, client, clock, tmp_path), world


def verdicts(findings):
    """Return verdicts by finding."""
    return {finding.name: finding.verdict for finding in findings}


def live(tmp_path, **environ):
    """Return a context of a live stack on real venues, and the world behind it."""
    names = {"ARBITRAGE_ENV": "live", "STAGE": "smoke", "VENUES": "real"}
    return make(tmp_path, **(names | environ))


def test_a_healthy_stack_is_ready(tmp_path):
    """Seven checks, none fails; what is not set up is a doubt, not a pass."""
    context, _ = make(tmp_path)
    report = runner.run(context)
    assert report.ok
    assert report.mode == "dry-run"
    assert list(dict.fromkeys(finding.check for finding in report.checks)) == [
        "environment",
        "secrets",
        "live safety",
        "stores",
        "venues",
        "exposure",
        "git",
    ]
    assert verdicts(stores.run(context)) == {"postgres": Verdict.WARN, "redis": Verdict.WARN}


@pytest.mark.parametrize("market", ["perp", "spot"])
def test_a_dry_run_never_connects_to_a_real_venue(tmp_path, market):
    """With real venues only the gatekeeper is asked, and the report says what was not looked at."""
    context, world = live(tmp_path, BINANCE_MARKET=market)
    report = runner.run(context)
    assert set(world.hosts) == {"127.0.0.1"}
    (finding,) = [finding for finding in report.checks if finding.check == "venues"]
    assert finding.verdict is Verdict.WARN
    assert "not looked at" in finding.seen
    assert "--real" in finding.todo
    assert not report.ok


def test_a_real_run_does_connect(tmp_path):
    """With --real both venues of the route are asked."""
    context, world = live(tmp_path)
    findings = venues.run(replace(context, real=True))
    assert verdicts(findings) == {"UPBIT": Verdict.PASS, "BINANCE_PERP": Verdict.PASS}
    assert set(world.hosts) == {"api.upbit.com", "fapi.binance.com"}


def test_doubt_is_enough_for_paper_and_not_for_live():
    """A warning does not stop paper; live needs every check to pass; no finding is never ok."""
    good, doubt, bad = (CheckReport("c", "n", v, "", "") for v in Verdict)
    assert runner.is_ok((good, doubt), live=False)
    assert not runner.is_ok((good, doubt), live=True)
    assert not runner.is_ok((good, bad), live=False)
    assert not runner.is_ok((), live=False)
    assert runner.worst([good, doubt]) is Verdict.WARN


@pytest.mark.parametrize(
    "path", ["/health/armed", "/health/ready", "/health", "/fapi/v1/time", "/upbit/v1/ticker"]
)
def test_silence_is_never_ready(tmp_path, path):
    """Whoever does not answer fails the run."""
    context, world = make(tmp_path)
    del world.answers[path]
    assert not runner.run(context).ok


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/health/armed", (200, {"config_sha256": "0" * 64})),
        ("/health/armed", (423, {})),
        ("/health/ready", (503, {"ready": False, "reasons": ["VENUE_DOWN"]})),
        ("/health/ready", (200, {"ready": "yes"})),
        ("/health/ready", (200, ["not an object"])),
        ("/health", (200, HEALTH | {"environment": "live"})),
        ("/health", (200, {"state": "PAPER", "environment": "paper"})),
        ("/fapi/v1/time", (200, {"serverTime": (NOW_S + 1) * 1000})),
        ("/fapi/v1/time", (200, {"serverTime": "soon"})),
        ("/fapi/v1/time", (503, {})),
    ],
)
def test_an_answer_that_proves_nothing_is_a_failure(tmp_path, monkeypatch, path, answer):
    """Another configuration, a silent venue, a foreign clock, or nonsense stops the start."""
    monkeypatch.setattr(live_safety, "STARTING_NS", 0)
    context, world = make(tmp_path)
    world.answers[path] = answer
    assert not runner.run(context).ok


def test_a_kill_lets_a_simulated_stack_start_standing_by(tmp_path):
    """A latch from an earlier run is a warning there: only a running stack can be reset."""
    context, world = make(tmp_path)
    world.answers["/health"] = (200, HEALTH | {"state": "KILLED"})
    world.answers["/health/ready"] = (503, {"ready": False, "reasons": ["KILLED: OPERATOR"]})
    report = runner.run(context)
    assert report.ok
    doubts = [f for f in report.checks if f.verdict is Verdict.WARN and "KILLED" in f.seen]
    assert len(doubts) == 2
    assert all("interlock reset" in finding.todo for finding in doubts)


def test_a_gatekeeper_that_has_just_started_is_given_time(tmp_path, monkeypatch):
    """Filters that are not loaded yet are asked for again, within a bound."""
    context, world = make(tmp_path)
    ready = world.answers["/health/ready"]
    world.answers["/health/ready"] = (503, {"ready": False, "reasons": ["VENUE_DOWN: UPBIT"]})

    def load(_seconds):
        world.answers["/health/ready"] = ready

    monkeypatch.setattr(live_safety.time, "sleep", load)
    assert runner.run(context).ok


def test_a_gatekeeper_configured_otherwise_is_named(tmp_path):
    """The finding says which settings must be equal."""
    context, world = make(tmp_path)
    world.answers["/health/armed"] = (200, {"config_sha256": "ab" * 32})
    (finding,) = [f for f in environment.run(context) if f.name == "configured alike"]
    assert finding.verdict is Verdict.FAIL
    assert "UNIVERSE" in finding.todo


def test_settings_that_contradict_each_other_are_a_finding(tmp_path):
    """Paper on real venues is reported, not raised."""
    context, _ = make(tmp_path, VENUES="real")
    assert verdicts(environment.run(context))["settings"] is Verdict.FAIL


def test_an_unreadable_setting_is_raised(tmp_path):
    """A setting that cannot be read at all is a usage error."""
    with pytest.raises(ConfigError, match="UNIVERSE"):
        make(tmp_path, UNIVERSE="all")


def test_a_full_disk_stops_the_start(tmp_path, monkeypatch):
    """Logs and records need room."""
    context, _ = make(tmp_path)
    full = type("Usage", (), {"free": 1024})
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _folder: full)
    assert verdicts(environment.run(context))["disk"] is Verdict.FAIL


def test_keys_and_arm_facts_in_the_environment_fail(tmp_path):
    """A key in the open, or an arm fact in a service, stops the start and is never printed."""
    context, _ = make(tmp_path, UPBIT_SECRET_KEY="hunter2-hunter2", LIVE_ARM_AT="1700000000")
    assert verdicts(secrets.run(context))["environment"] is Verdict.FAIL
    assert verdicts(live_safety.run(context))["arm facts"] is Verdict.FAIL
    assert "hunter2" not in strict.encode(runner.run(context)).decode("ascii")


@pytest.mark.parametrize(
    ("mode", "content", "expected"),
    [(0o400, "key", "PASS"), (0o640, "key", "FAIL"), (0o604, "key", "FAIL"), (0o400, "", "FAIL")],
)
def test_a_key_file_is_closed_to_others(tmp_path, mode, content, expected):
    """Mode and emptiness are looked at; the content is not."""
    path = tmp_path / "key"
    path.write_text(content, "ascii")
    path.chmod(mode)
    context, _ = make(tmp_path, UPBIT_ACCESS_KEY_FILE=str(path))
    assert verdicts(secrets.run(context))["UPBIT_ACCESS_KEY"] == expected


def test_a_key_file_that_is_not_there_fails(tmp_path):
    """A named file must exist."""
    context, _ = make(tmp_path, BINANCE_API_KEY_FILE=str(tmp_path / "none"))
    assert verdicts(secrets.run(context))["BINANCE_API_KEY"] is Verdict.FAIL


def test_what_is_open_is_a_doubt_in_paper_and_a_failure_in_live(tmp_path):
    """Orders, orders in doubt and positions of an earlier session are counted."""
    left = HEALTH | {"open_orders": 1, "unknown_orders": ["gk1"], "positions": {"UPBIT": "1"}}
    context, world = make(tmp_path)
    world.answers["/health"] = (200, left)
    assert set(verdicts(exposure.run(context)).values()) == {Verdict.WARN}
    context, world = live(tmp_path)
    world.answers["/health"] = (200, left)
    assert set(verdicts(exposure.run(context)).values()) == {Verdict.FAIL}


def test_a_live_gatekeeper_is_expected_disarmed(tmp_path):
    """Armed before the preflight is a doubt, which live does not accept."""
    context, world = live(tmp_path)
    for state, expected in (("DISARMED", Verdict.PASS), ("ARMED", Verdict.WARN)):
        world.answers["/health"] = (200, HEALTH | {"state": state, "environment": "live"})
        assert verdicts(live_safety.run(context))["gatekeeper state"] is expected


def test_no_checkout_is_said(tmp_path):
    """Outside a git checkout the commit is not known, and the finding says so."""
    context, _ = make(tmp_path)
    (finding,) = git.run(context)
    assert finding.verdict is Verdict.WARN
    assert "unknown" in finding.seen


def test_an_image_knows_what_it_was_built_from(tmp_path):
    """Without a checkout, the commit that was built in is the answer."""
    context, _ = make(tmp_path, INTERLOCK_COMMIT="a" * 40)
    (finding,) = git.run(context)
    assert finding.verdict is Verdict.PASS
    assert "aaaaaaaaaaaa, as it was built" in finding.seen


def test_a_stack_of_another_checkout_is_a_doubt(tmp_path, monkeypatch):
    """What was looked at must be what runs; an abbreviation is the same commit."""
    monkeypatch.setattr(git, "_git", lambda *_: "a" * 40)
    context, _ = make(tmp_path, INTERLOCK_COMMIT="b" * 40)
    (finding,) = git.run(context)
    assert (finding.verdict, "running bbbbbbb" in finding.seen) == (Verdict.WARN, True)
    context, _ = make(tmp_path, INTERLOCK_COMMIT="a" * 7)
    assert len(git.run(context)) == 2


@pytest.mark.parametrize(
    ("changed", "tracked", "expected"),
    [
        (
            "",
            "secrets/paper/redis_url\n.env.example",
            {"commit": "PASS", "tracked secrets": "PASS"},
        ),
        (" M a.py", "", {"commit": "WARN", "tracked secrets": "PASS"}),
        ("", ".env", {"commit": "PASS", "tracked secrets": "FAIL"}),
        ("", "secrets/live/upbit", {"commit": "PASS", "tracked secrets": "FAIL"}),
    ],
)
def test_changes_and_tracked_secrets_are_found(tmp_path, monkeypatch, changed, tracked, expected):
    """A changed file is a doubt, a tracked secret a failure."""
    answers = {"rev-parse": "abc123", "status": changed, "ls-files": tracked}
    monkeypatch.setattr(git, "_git", lambda _context, command, *_rest: answers[command])
    context, _ = make(tmp_path)
    assert verdicts(git.run(context)) == expected


def test_the_report_is_written_whole(tmp_path):
    """The file holds the same report, by its id."""
    context, _ = make(tmp_path)
    report = runner.run(context)
    path = record.to_file(report, context.settings.runs_dir)
    assert path == context.settings.runs_dir / "preflight" / f"{report.report_id}.json"
    read = strict.decode(PreflightReport, path.read_bytes(), max_bytes=1_000_000)
    assert read == report


def test_a_report_that_cannot_be_written_does_not_stop_the_start(tmp_path):
    """A read-only root has no runs folder; the row in PostgreSQL is the record there."""
    context, _ = make(tmp_path)
    (tmp_path / "file").write_text("", "ascii")
    assert record.to_file(runner.run(context), tmp_path / "file") is None


def test_the_table_says_what_to_do(tmp_path):
    """Every check, its verdict and its advice are in the table."""
    context, world = make(tmp_path)
    world.answers["/health"] = (200, HEALTH | {"state": "KILLED"})
    world.answers["/fapi/v1/time"] = (503, {})
    console = Console(file=io.StringIO(), width=200)
    show.show(runner.run(context), console)
    said = console.file.getvalue()
    assert "NOT READY" in said
    assert "interlock reset" in said
    assert "run it with --real" not in said


def test_findings_are_json_lines_where_nobody_looks(tmp_path, caplog):
    """Without a terminal each finding is a log line of its own."""
    context, _ = make(tmp_path)
    caplog.set_level("INFO")
    report = runner.run(context)
    show.show(report, Console(file=io.StringIO(), width=200))
    lines = [entry for entry in caplog.records if entry.message == "finding"]
    assert len(lines) == len(report.checks)
    assert json.dumps(lines[0].verdict) == '"PASS"'
