"""The edges: keys, MACs, sequence numbers, settings, health answers."""

import os
import socket
from dataclasses import replace

import pytest
from tests.unit.gatekeeper.conftest import CONFIG

from interlock_core.settings import ConfigError
from interlock_core.wire import gate
from interlock_gatekeeper.auth import Peer, SessionKey, peer_of
from interlock_gatekeeper.health import Health
from interlock_gatekeeper.settings import LIVE_SECRETS, read_settings
from interlock_gatekeeper.vault import PAPER_VAULT, VaultError, open_vault

KEY = bytes(range(32))


def headers(sequence, *, epoch=1, key=KEY, method="POST", path="/v1/orders", body=b"{}"):
    made = gate.mac(key, method=method, path=path, sequence=sequence, epoch=epoch, body=body)
    return {
        gate.HEADER_EPOCH: str(epoch),
        gate.HEADER_SEQUENCE: str(sequence),
        gate.HEADER_MAC: made,
    }


def check(session, sent, *, method="POST", path="/v1/orders", body=b"{}"):
    return session.problem(method=method, path=path, headers=sent, body=body)


def test_a_request_is_good_once():
    """A replay is refused; a later number is good."""
    session = SessionKey(1, KEY)
    assert check(session, headers(1)) is None
    assert "used before" in check(session, headers(1))
    assert check(session, headers(2)) is None


def test_requests_in_flight_may_overtake_each_other_but_not_by_far():
    """Inside the window any order, outside never."""
    session = SessionKey(1, KEY)
    for number in (100, 99, 37):
        assert check(session, headers(number)) is None
    assert "used before" in check(session, headers(36))


@pytest.mark.parametrize(
    "change",
    [
        {"method": "DELETE"},
        {"path": "/v1/kill"},
        {"body": b"{ }"},
        {"key": bytes(32)},
        {"epoch": 2},
    ],
)
def test_the_mac_binds_everything(change):
    """Another method, path, body, key or epoch does not verify, and uses up no number."""
    session = SessionKey(1, KEY)
    assert check(session, headers(1, **change)) is not None
    assert check(session, headers(1)) is None


@pytest.mark.parametrize("value", ["", "-1", "1.0", "١", "9" * 19, " 1"])
def test_numbers_are_plain(value):
    """Odd numbers are refused before any arithmetic."""
    session = SessionKey(1, KEY)
    assert check(session, {**headers(1), gate.HEADER_SEQUENCE: value}) is not None
    assert check(session, {**headers(1), gate.HEADER_EPOCH: value}) is not None
    assert check(session, {}) is not None


def test_the_kernel_says_who_calls():
    """SO_PEERCRED names this process."""
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert peer_of(left) == Peer(os.getpid(), os.getuid(), os.getgid())


def live_environment(tmp_path, mode=0o400, content="0123456789abcdef"):
    environ = {"ARBITRAGE_ENV": "live", "STAGE": "smoke"}
    for name in LIVE_SECRETS:
        file = tmp_path / name
        file.write_text(content + name)
        file.chmod(mode)
        environ[f"{name}_FILE"] = str(file)
    return environ


def test_live_keys_come_from_private_files(tmp_path):
    """All four files, readable by nobody else."""
    vault = open_vault(read_settings(live_environment(tmp_path)))
    assert vault.upbit.secret == "0123456789abcdefUPBIT_SECRET_KEY"
    assert "0123456789abcdef" not in repr(vault)


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644])
def test_a_key_file_others_can_read_is_refused(tmp_path, mode):
    """Group and world have no business there."""
    with pytest.raises(VaultError, match="chmod"):
        open_vault(read_settings(live_environment(tmp_path, mode)))


@pytest.mark.parametrize("content", ["", "<your key here>....", "changeme-changeme", "\n\n"])
def test_empty_and_placeholder_keys_are_refused(tmp_path, content):
    """A template is not a key."""
    environ = live_environment(tmp_path)
    file = tmp_path / LIVE_SECRETS[0]
    file.chmod(0o600)
    file.write_text(content)
    with pytest.raises(VaultError):
        open_vault(read_settings(environ))


def test_some_keys_are_not_enough_and_none_is_no_vault(tmp_path):
    """Half a set is a mistake; none at all is a stack that can never arm."""
    environ = live_environment(tmp_path)
    del environ["BINANCE_API_KEY_FILE"]
    with pytest.raises(VaultError, match="BINANCE_API_KEY_FILE"):
        open_vault(read_settings(environ))
    assert open_vault(read_settings({"ARBITRAGE_ENV": "live", "STAGE": "smoke"})) is None
    gone = {**live_environment(tmp_path), "UPBIT_ACCESS_KEY_FILE": str(tmp_path / "gone")}
    with pytest.raises(VaultError, match="cannot read"):
        open_vault(read_settings(gone))


def test_paper_uses_the_simulators_accounts_and_refuses_live_keys(tmp_path):
    """Paper never sees a real key."""
    assert open_vault(read_settings({})) is PAPER_VAULT
    paper = {**live_environment(tmp_path), "ARBITRAGE_ENV": "paper", "STAGE": "paper"}
    with pytest.raises(VaultError, match="paper must not see live keys"):
        open_vault(read_settings(paper))


@pytest.mark.parametrize("name", LIVE_SECRETS)
def test_a_key_in_the_environment_is_refused(name):
    """Keys come from files only."""
    with pytest.raises(ConfigError, match="from a file only"):
        read_settings({name: "secret"})


def test_real_venues_are_not_for_this_release():
    """The whole specification comes before the first real order."""
    with pytest.raises(ConfigError, match="simulated venues only"):
        read_settings({"ARBITRAGE_ENV": "live", "STAGE": "smoke", "VENUES": "real"})


@pytest.mark.parametrize("name", ["ENGINE_UID", "GATE_SOCKET_GID"])
def test_ids_are_numbers(name):
    """A user or group name is not an id."""
    assert read_settings({name: "10001"}) is not None
    with pytest.raises(ConfigError, match=name):
        read_settings({name: "root"})


def health_of(bench, problems=()):
    return Health(
        state=bench.state,
        now=bench.now,
        boot_id="b",
        config_sha256=CONFIG,
        stage="paper",
        has_secrets=True,
        venue_problems=problems,
    )


def test_paper_is_armed_by_construction(paper):
    """200 and armed, with and without a session."""
    assert health_of(paper).armed_answer("n")[0] == 200
    paper.open()
    status, body = health_of(paper).armed_answer("n")
    assert (status, body.armed, body.epoch, body.nonce) == (200, True, 1, "n")
    assert body.lease_ms == 3000


def test_live_answers_armed_only_while_it_is(live):
    """423 disarmed, 200 armed and live, 423 killed."""
    assert health_of(live).armed_answer("n")[0] == 423
    live.arm()
    assert health_of(live).armed_answer("n")[0] == 200
    live.open()
    status, body = health_of(live).armed_answer("n")
    assert (status, body.n_usd, body.stage) == (200, "50", "smoke")
    assert body.hard_ms == 300_000
    live.machine.kill(live.now, cause="TEST", actor="t")
    status, body = health_of(live).armed_answer("n")
    assert (status, body.armed, body.reasons[0]) == (423, False, "KILLED: TEST")


def test_what_cannot_be_known_is_not_armed(paper):
    """A silent venue or a failed journal answers 503."""
    assert health_of(paper, ("VENUE_DOWN: X",)).armed_answer("n")[0] == 503
    paper.state.journal_failed = True
    assert health_of(paper).armed_answer("n")[0] == 503
    assert health_of(paper).ready_answer()[0] == 503


def test_ready_means_could_be_armed(live):
    """Live is ready while disarmed and flat, with keys."""
    assert health_of(live).ready_answer() == (200, {"ready": True, "reasons": []})
    assert replace(health_of(live), has_secrets=False).ready_answer()[0] == 503
    live.arm()
    live.open()
    live.machine.kill(live.now, cause="TEST", actor="t")
    assert "KILLED: TEST" in health_of(live).ready_answer()[1]["reasons"]


def test_the_report_says_everything_and_no_secret(paper):
    """People see state, budget, positions."""
    paper.open()
    report = health_of(paper).report()
    assert report["session_id"] == "session-1"
    assert report["reserved_usd"] == "0"
    assert report["environment"] == "paper"
