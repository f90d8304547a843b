"""The command line: finding the stack, passing exit codes on, asking for what is missing."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from interlock_operator import arm_command, cli, gate_commands, settings, stack_file
from interlock_operator.errors import OperatorError, StackNotFoundError
from interlock_operator.native.commit import checked_out_commit
from interlock_operator.native.plan import Layout, UpOptions, services, shared_environment
from interlock_operator.native.process import describe_exit
from interlock_operator.native.stores import StoreFiles

FACTS = {
    "LIVE_ARM_ACK": "I_UNDERSTAND_LIVE_RISK",
    "LIVE_ARM_AT": "1700000000",
    "LIVE_MAX_NOTIONAL_USD": "50",
}


def layout(tmp_path):
    """Return a layout below tmp_path."""
    names = ("simvenues", "gatekeeper", "console", "engine", "postgres", "redis")
    return Layout(
        session_id="20261123T101300Z-paper-3fa9",
        session_dir=tmp_path / "runs" / "s",
        runs_dir=tmp_path / "runs",
        native_dir=tmp_path / "native",
        runtime_dir=tmp_path / "run",
        universe="top20",
        ports={name: 9000 + number for number, name in enumerate(names)},
    )


@pytest.fixture
def operator_settings(tmp_path):
    """Return settings below tmp_path, with a store of the operator's own."""
    return settings.read_settings(
        {
            "NATIVE_DIR": str(tmp_path / "native"),
            "RUNS_DIR": str(tmp_path / "runs"),
            "POSTGRES_DSN": "postgresql://owner:pw@db/interlock",
            "REDIS_URL": "redis://cache:6379/0",
        }
    )


@pytest.fixture
def calls(monkeypatch):
    """Record commands instead of running them; each exits with 3."""
    made = []

    def run(command, **options):
        made.append((command, options.get("env", {})))
        return subprocess.CompletedProcess(command, 3, "", "")

    monkeypatch.setattr(gate_commands.subprocess, "run", run)
    return made


@pytest.fixture
def native(tmp_path):
    """Return a gate of a native stack."""
    return gate_commands.NativeGate(
        tmp_path / "operator.sock", tmp_path / "gatekeeper", layout(tmp_path).stack(1)
    )


def test_the_stack_file_survives_a_round_trip(tmp_path):
    """What is written is what is read."""
    stack = layout(tmp_path).stack(42)
    stack_file.write(tmp_path, stack)
    assert stack_file.read(tmp_path) == stack
    assert json.loads((tmp_path / "stack.json").read_text("utf-8"))["pid"] == 42


def test_a_stack_file_without_its_supervisor_is_no_stack(tmp_path):
    """A file that a killed supervisor left behind is not believed."""
    stack_file.write(tmp_path, layout(tmp_path).stack(42))
    with pytest.raises(StackNotFoundError, match="interlock up"):
        stack_file.running(tmp_path)


def test_one_folder_has_one_supervisor(tmp_path):
    """A second lock is refused with the first one's pid; it is free again after a close."""
    first = stack_file.lock(tmp_path)
    stack_file.write(tmp_path, layout(tmp_path).stack(os.getpid()))
    assert stack_file.running(tmp_path).pid == os.getpid()
    with pytest.raises(OperatorError, match=f"pid {os.getpid()}"):
        stack_file.lock(tmp_path)
    os.close(first)
    os.close(stack_file.lock(tmp_path))


def test_a_broken_stack_file_is_one_line(tmp_path):
    """A file that is no stack names itself."""
    (tmp_path / "stack.json").write_text("{}", "utf-8")
    with pytest.raises(OperatorError, match=r"stack\.json"):
        stack_file.read(tmp_path)


def test_every_service_gets_its_own_database_role(tmp_path, operator_settings):
    """Nobody but the migration has the owner's connection string; the engine no operator socket."""
    made = services(
        layout(tmp_path),
        UpOptions(60, "top20", None),
        operator_settings,
        inherited={},
        client=None,
    )
    env = {service.name: service.env for service in made}
    assert set(env) == {"simvenues", "migrate", "gatekeeper", "preflight", "engine"}
    files = StoreFiles(tmp_path / "native" / "secrets")
    assert env["migrate"]["POSTGRES_DSN_FILE"] == str(files.owner_dsn)
    for name in ("gatekeeper", "preflight", "engine"):
        assert env[name]["POSTGRES_DSN_FILE"] == str(files.role_dsn(name))
    holders = {name for name, values in env.items() if "OPERATOR_SOCKET" in values}
    assert holders == {"gatekeeper"}
    assert {values["ARBITRAGE_ENV"] for values in env.values()} == {"paper"}
    assert "POSTGRES_DSN_FILE" not in env["simvenues"]


def test_the_engine_waits_for_the_preflight_and_alone_ends_the_session(tmp_path, operator_settings):
    """What trades is started again; only the engine's own end is the session's end."""
    made = services(
        layout(tmp_path),
        UpOptions(None, "top20", None),
        operator_settings,
        inherited={},
        client=None,
    )
    by_name = {service.name: service for service in made}
    assert by_name["engine"].after == ("preflight",)
    assert set(by_name["preflight"].after) == {"gatekeeper", "migrate", "simvenues"}
    assert [service.name for service in made if service.restarts] == ["gatekeeper", "engine"]
    assert [service.name for service in made if service.main] == ["engine"]


def test_what_the_operator_chose_reaches_the_services(tmp_path):
    """Duration, universe and regime are passed on; what was not chosen keeps its default."""
    env = shared_environment(layout(tmp_path), UpOptions(60, "top20", "calibrated"), {})
    assert (env["DURATION"], env["UNIVERSE"], env["SIM_REGIME"]) == ("60", "top20", "calibrated")
    env = shared_environment(layout(tmp_path), UpOptions(None, "top20", None), {})
    assert "DURATION" not in env
    assert "SIM_REGIME" not in env


def test_the_native_stack_knows_its_commit(tmp_path):
    """Whatever is checked out, unless the operator says so; outside a checkout it is unknown."""
    asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    head = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    env = shared_environment(layout(tmp_path), UpOptions(None, "top20", None), {})
    assert env["INTERLOCK_COMMIT"] == head
    told = {"INTERLOCK_COMMIT": "a" * 40}
    env = shared_environment(layout(tmp_path), UpOptions(None, "top20", None), told)
    assert env["INTERLOCK_COMMIT"] == "a" * 40
    assert checked_out_commit(tmp_path) == "unknown"


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    """A machine may have the code and no git."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checked_out_commit(Path(__file__).parent) == "unknown"


def test_no_secret_of_the_shell_reaches_a_service(monkeypatch):
    """Keys, arm facts and connection strings stay outside the native stack."""
    for name in ("UPBIT_SECRET_KEY", "BINANCE_API_KEY_FILE", "POSTGRES_DSN", *FACTS):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("BINANCE_MARKET", "spot")
    inherited = settings.inherited_environment()
    assert not {"UPBIT_SECRET_KEY", "BINANCE_API_KEY_FILE", "POSTGRES_DSN", *FACTS} & set(inherited)
    assert inherited["BINANCE_MARKET"] == "spot"


def test_a_native_command_runs_on_the_stacks_socket(native, calls):
    """It runs gatekeeperctl with the stack's socket, and the exit code comes back."""
    assert gate_commands.run(native, ("kill", "--reason", "drill")) == 3
    ((command, env),) = calls
    assert command[-5:] == ["-m", "interlock_gatekeeper.ctl", "kill", "--reason", "drill"]
    assert env["OPERATOR_SOCKET"] == str(native.operator_socket)


def test_a_compose_command_runs_in_the_gatekeepers_container(calls):
    """The same command line, inside the container, with the facts passed by name."""
    assert gate_commands.run(gate_commands.ComposeGate(), ("arm", "--stage", "smoke"), FACTS) == 3
    ((command, _),) = calls
    assert command[:4] == ["docker", "compose", "exec", "-T"]
    assert "LIVE_ARM_ACK=I_UNDERSTAND_LIVE_RISK" in command
    assert command[-5:] == ["gatekeeper", "gatekeeperctl", "arm", "--stage", "smoke"]


def test_a_gatekeeper_that_does_not_answer_is_one_line(native, calls):
    """No JSON from gatekeeperctl: the command says so instead of failing on it."""
    with pytest.raises(OperatorError, match="does not answer"):
        gate_commands.ask_state(native)
    assert calls


def test_arming_without_a_terminal_names_what_is_missing(native, calls, monkeypatch):
    """Nothing is filled in, nothing is sent."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    facts = settings.read_settings({"LIVE_ARM_ACK": "I_UNDERSTAND_LIVE_RISK"})
    with pytest.raises(OperatorError) as caught:
        arm_command.run(native, facts, None, "")
    assert caught.value.exit_code == 2
    for name in ("LIVE_ARM_AT", "LIVE_MAX_NOTIONAL_USD", "STAGE"):
        assert name in str(caught.value)
    assert "LIVE_ARM_ACK" not in str(caught.value)
    assert not calls


def test_arming_passes_the_three_facts_and_the_stage_on(native, calls):
    """Exactly what the operator's environment holds travels to the gatekeeper."""
    facts = settings.read_settings(FACTS | {"STAGE": "smoke"})
    assert arm_command.run(native, facts, None, "") == 3
    ((command, env),) = calls
    assert command[-5:] == ["arm", "--stage", "smoke", "--approval", ""]
    assert {name: env[name] for name in FACTS} == FACTS


def test_arming_on_a_terminal_asks_for_each_missing_fact(native, calls, monkeypatch):
    """A person types what is missing; there is no default to press Enter on."""
    asked = []
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda _self: True})())
    monkeypatch.setattr(arm_command.typer, "prompt", lambda text: asked.append(text) or "typed")
    assert arm_command.run(native, settings.read_settings({}), None, "") == 3
    assert [text.split()[0] for text in asked] == [*FACTS, "STAGE"]
    assert calls[0][1]["LIVE_ARM_AT"] == "typed"


def test_the_journal_can_be_verified_without_a_stack(tmp_path, monkeypatch):
    """A native journal that lies there is found; with nothing at all the operator is told."""
    monkeypatch.setattr(gate_commands, "compose_runs", lambda _service: False)
    with pytest.raises(StackNotFoundError):
        gate_commands.find_journal(tmp_path)
    (tmp_path / "gatekeeper").mkdir()
    assert gate_commands.find_journal(tmp_path).state_dir == tmp_path / "gatekeeper"


def test_compose_is_not_asked_where_there_is_no_compose_file(tmp_path, monkeypatch, calls):
    """Outside the project's folder docker is left alone."""
    monkeypatch.chdir(tmp_path)
    assert not gate_commands.compose_runs("gatekeeper")
    assert not calls


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (3, "exit code 3"), (-9, "signal SIGKILL"), (-99, "signal 99")],
)
def test_an_exit_is_told_in_words(code, words):
    """Exit codes and signals are told apart."""
    assert describe_exit(code) == words


MISTAKES = [
    (["status"], {}, 1, "no stack runs"),
    (["up"], {"UNIVERSE": "top11"}, 2, "UNIVERSE"),
    (["up"], {"DURATION": "soon"}, 2, "DURATION"),
    (["up", "--universe", "top11"], {}, 2, "top11"),
    (["nonsense"], {}, 2, "nonsense"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake[3])
def test_a_mistake_is_one_line_and_an_exit_code(mistake, tmp_path, monkeypatch, capsys):
    """No stack trace for what a user got wrong."""
    arguments, env, code, words = mistake
    monkeypatch.chdir(tmp_path)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["interlock", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    said = capsys.readouterr().err
    assert caught.value.code == code
    assert words in said
    assert "Traceback" not in said
    assert not Path("var").exists()
