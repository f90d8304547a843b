"""The edges: keys, MACs, sequence numbers, settings, health answers."""

import os
import socket
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.gatekeeper.conftest import COMMIT, CONFIG, UPBIT_BTC

from interlock_core.settings import ConfigError
from interlock_core.wire import gate
from interlock_gatekeeper.auth import Peer, SessionKey, peer_of
from interlock_gatekeeper.health import Health
from interlock_gatekeeper.limits import STAGE_CAPS, caps_from, caps_record, session_caps
from interlock_gatekeeper.settings import LIVE_SECRETS, LOWERING, read_settings
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


@pytest.mark.parametrize(
    "content", ["", "<your key here>....", "changeme-changeme", "\n\n", "ü" * 20, "k" * 5000]
)
def test_empty_and_placeholder_keys_are_refused(tmp_path, content):
    """A template is not a key."""
    environ = live_environment(tmp_path)
    file = tmp_path / LIVE_SECRETS[0]
    file.chmod(0o600)
    file.write_text(content)
    with pytest.raises(VaultError):
        open_vault(read_settings(environ))


def test_a_key_file_of_another_user_is_refused(tmp_path):
    """Whoever owns it can change its mode; KEY_FILES_UID says who may."""
    environ = {**live_environment(tmp_path), "KEY_FILES_UID": str(os.getuid() + 1)}
    with pytest.raises(VaultError, match="belongs to uid"):
        open_vault(read_settings(environ))


def test_a_link_may_not_lead_out_of_its_folder(tmp_path):
    """Mounted secrets are links within their folder; others are a way to another file."""
    environ = live_environment(tmp_path)
    folder = tmp_path / "folder"
    (folder / "data").mkdir(parents=True)
    (tmp_path / LIVE_SECRETS[0]).rename(folder / "data" / "key")
    (folder / "inside").symlink_to("data/key")
    environ[f"{LIVE_SECRETS[0]}_FILE"] = str(folder / "inside")
    assert open_vault(read_settings(environ)) is not None
    (folder / "outside").symlink_to(tmp_path / LIVE_SECRETS[1])
    environ[f"{LIVE_SECRETS[0]}_FILE"] = str(folder / "outside")
    with pytest.raises(VaultError, match="link out of its folder"):
        open_vault(read_settings(environ))


def test_only_a_regular_file_holds_a_key(tmp_path):
    """A pipe or a folder would hang or fail later."""
    environ = live_environment(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o400)
    for name in ("pipe", "."):
        odd = {**environ, f"{LIVE_SECRETS[0]}_FILE": str(tmp_path / name)}
        with pytest.raises(VaultError, match=r"not a regular file|Is a directory"):
            open_vault(read_settings(odd))


def test_two_equal_keys_are_refused(tmp_path):
    """One of them is in a wrong file."""
    environ = live_environment(tmp_path)
    environ[f"{LIVE_SECRETS[0]}_FILE"] = environ[f"{LIVE_SECRETS[1]}_FILE"]
    with pytest.raises(VaultError, match="are equal"):
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
        stage="paper" if bench.state.environment == "paper" else "smoke",
        commit=COMMIT,
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
    """Live is ready while disarmed and flat, with keys; each failing condition is named."""
    assert health_of(live).ready_answer() == (200, {"ready": True, "reasons": []})
    assert replace(health_of(live), has_secrets=False).ready_answer()[0] == 503
    live.state.seen.self.preflight_problem = "too old"
    assert health_of(live).ready_answer()[1]["reasons"] == [
        "ARM_PREFLIGHT: too old: run `interlock preflight --real` and mend what it names"
    ]
    live.refresh()
    live.arm()
    assert health_of(live).ready_answer()[0] == 200
    live.open()
    live.machine.kill(live.now, cause="TEST", actor="t")
    assert "KILLED: TEST" in health_of(live).ready_answer()[1]["reasons"]


def test_a_hold_is_not_armed(live):
    """423 with its cause: the engine stands by, and may only reduce."""
    live.arm()
    live.open()
    live.state.seen.engine.missing = 1
    live.machine.guard(live.now)
    status, body = health_of(live).armed_answer("n")
    assert (status, body.armed, body.hold) == (423, False, True)
    assert body.reasons == ("HOLD: TELEMETRY",)


def test_the_report_shows_a_residual(live):
    """What a person has to repeat."""
    live.arm()
    live.open()
    live.state.positions[UPBIT_BTC] = Decimal(1)
    live.kill()
    live.flatten_out()
    left = health_of(live).report()["residual"]
    assert left["positions"] == {UPBIT_BTC: "1"}
    assert left["sha256"] == live.state.residual.sha256


SMOKE = {"ARBITRAGE_ENV": "live", "STAGE": "smoke"}


@pytest.mark.parametrize("name", LOWERING)
def test_limits_can_only_be_lowered(name):
    """Above the stage's own cap the gatekeeper does not start."""
    caps, field = STAGE_CAPS["smoke"], name.removeprefix("LIMIT_").lower()
    cap = getattr(caps, field)
    assert getattr(session_caps("smoke", Decimal(50)), field) == cap
    for wish in (cap, cap / 2):
        lowered = read_settings({**SMOKE, name: f"{wish:f}"}).lowered
        assert getattr(session_caps("smoke", Decimal(50), lowered), field) == wish
    for wrong in (f"{cap + Decimal('0.01'):f}", "0", "-1", "x"):
        with pytest.raises(ConfigError, match=name):
            read_settings({**SMOKE, name: wrong})


def test_a_session_never_has_more_than_its_stage_or_its_arm():
    """N is the smaller one, and order and gap stay within N."""
    small = session_caps("smoke", Decimal(10))
    assert (small.gross_usd, small.order_usd, small.unhedged_usd) == (10, 10, 10)
    assert session_caps("smoke", Decimal(1000)).gross_usd == 50
    wide = session_caps("continuous", Decimal(600))
    assert (wide.order_usd, wide.unhedged_usd, wide.turnover_usd) == (150, 150, 12_000)
    assert (wide.loss_usd, wide.drawdown_usd, wide.gain_usd) == (6, Decimal("4.8"), 30)
    assert session_caps("continuous", Decimal(1000)).order_usd == 200
    assert caps_from(caps_record(wide)) == wide


def test_an_allocation_names_instruments():
    """What lies on the accounts is declared, or what is there counts."""
    assert read_settings({}).allocation is None
    declared = read_settings({"LIVE_ALLOCATION": "UPBIT:KRW-BTC=0.01, UPBIT:KRW-ETH=1"}).allocation
    assert declared == {"UPBIT:KRW-BTC": Decimal("0.01"), "UPBIT:KRW-ETH": Decimal(1)}
    for wrong in ("BTC=1", "UPBIT:KRW-BTC", "UPBIT:KRW-BTC=-1"):
        with pytest.raises(ConfigError, match="LIVE_ALLOCATION"):
            read_settings({"LIVE_ALLOCATION": wrong})


def test_the_report_says_everything_and_no_secret(paper):
    """People see state, budget, positions."""
    paper.open()
    report = health_of(paper).report()
    assert report["session_id"] == "session-1"
    assert report["reserved_usd"] == "0"
    assert report["environment"] == "paper"
