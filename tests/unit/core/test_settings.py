"""Settings: every problem at once, by name, and secrets from files."""

from decimal import Decimal

import pytest

from interlock_core import settings
from interlock_core.common_settings import SHARED, check_shared, commit_id
from interlock_core.digest import config_sha256
from interlock_core.settings import ConfigError, Setting, load

SPEC = (
    Setting("PORT", settings.integer(1, 65535), "8081", "a port"),
    Setting("RATIO", settings.number(0.0, 1.0), "0.5", "a ratio"),
    Setting("AMOUNT", settings.decimal("10", "1000"), "50", "an amount"),
    Setting("MODE", settings.choice("a", "b"), "a", "a mode"),
    Setting("URL", settings.http_url, "http://127.0.0.1:8090", "an address"),
    Setting("TOKEN", settings.text, None, "a token", secret=True),
)


def test_defaults_and_values():
    """What is unset takes its default; what is set is parsed."""
    values = load(SPEC, {"TOKEN": "t", "PORT": "99"})
    assert values == {
        "port": 99,
        "ratio": 0.5,
        "amount": Decimal(50),
        "mode": "a",
        "url": "http://127.0.0.1:8090",
        "token": "t",
    }


def test_every_problem_is_reported_by_name():
    """One start shows all that must be mended."""
    bad = {"PORT": "0", "RATIO": "nan", "AMOUNT": "ten", "MODE": "c", "URL": "ftp://x"}
    with pytest.raises(ConfigError) as caught:
        load(SPEC, bad)
    named = [problem.partition(":")[0] for problem in caught.value.problems]
    assert named == ["PORT", "RATIO", "AMOUNT", "MODE", "URL", "TOKEN"]


def test_a_secret_comes_from_its_file(tmp_path):
    """NAME_FILE is read and stripped."""
    file = tmp_path / "token"
    file.write_text("secret\n")
    assert load(SPEC, {"TOKEN_FILE": str(file)})["token"] == "secret"


@pytest.mark.parametrize("content", [b"", b"  \n", b"\xff\xfe", b"x" * 9000])
def test_an_unusable_secret_file_is_a_problem(tmp_path, content):
    """Empty, undecodable and oversized files are refused."""
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="TOKEN"):
        load(SPEC, {"TOKEN_FILE": str(file)})


def test_a_secret_given_twice_or_missing_is_a_problem(tmp_path):
    """Two sources are ambiguous; a file that is not there is named."""
    with pytest.raises(ConfigError, match="not both"):
        load(SPEC, {"TOKEN": "t", "TOKEN_FILE": "f"})
    with pytest.raises(ConfigError, match="cannot read"):
        load(SPEC, {"TOKEN_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    "environ",
    [
        {"VENUES": "real"},
        {"STAGE": "smoke"},
        {"ARBITRAGE_ENV": "live"},
    ],
)
def test_contradicting_shared_settings_are_refused(environ):
    """Paper is simulated and stays in stage paper; live names its stage."""
    with pytest.raises(ConfigError):
        check_shared(load(SHARED, environ))


def test_the_digest_follows_each_shared_setting():
    """Two services with one different shared setting never agree."""
    base = load(SHARED, {})
    other = {**base, "universe": "top50"}
    assert config_sha256(base) == config_sha256(dict(base))
    assert config_sha256(base) != config_sha256(other)


def test_the_description_names_every_setting():
    """--help shows name, meaning, default, and that a file will do."""
    text = settings.describe(SPEC)
    assert all(setting.name in text for setting in SPEC)
    assert "NAME_FILE" in text


@pytest.mark.parametrize("raw", ["unknown", "abc1234", "a" * 40])
def test_a_commit_is_hex_or_unknown(raw):
    """Abbreviated or whole."""
    assert commit_id(raw) == raw


@pytest.mark.parametrize("raw", ["", "abc123", "a" * 41, "ABC1234", "main", "abc1234\n"])
def test_anything_else_is_no_commit(raw):
    """Neither a branch nor a tag: those move."""
    with pytest.raises(ValueError, match="expected 7 to 40"):
        commit_id(raw)


def test_the_commit_is_no_part_of_the_configuration():
    """Two builds of one configuration have one digest."""
    values = load(SHARED, {})
    assert config_sha256(values) == config_sha256({**values, "interlock_commit": "a" * 40})
