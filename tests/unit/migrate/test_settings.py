"""Settings of the migration: every problem by name, no secret shown."""

import pytest

from interlock_core.settings import ConfigError
from interlock_migrate.settings import ROLES, read_settings

GOOD = {"POSTGRES_DSN": "postgresql://owner:hunter22@db/x"} | {
    f"MIGRATE_PASSWORD_{role.upper()}": f"secret-{role}" for role in ROLES
}


def test_every_missing_setting_is_named():
    """One run tells the whole list."""
    with pytest.raises(ConfigError) as raised:
        read_settings({})
    assert [problem.partition(":")[0] for problem in raised.value.problems] == [
        "POSTGRES_DSN",
        "MIGRATE_PASSWORD_GATEKEEPER",
        "MIGRATE_PASSWORD_ENGINE",
        "MIGRATE_PASSWORD_PREFLIGHT",
        "MIGRATE_PASSWORD_READER",
    ]


def test_secrets_come_from_files(tmp_path):
    """NAME_FILE works for each of them, white space cut off."""
    file = tmp_path / "reader"
    file.write_text("from-file\n", "utf-8")
    environ = {k: v for k, v in GOOD.items() if k != "MIGRATE_PASSWORD_READER"}
    settings = read_settings(environ | {"MIGRATE_PASSWORD_READER_FILE": str(file)})
    assert settings.passwords["reader"] == "from-file"


def test_representation_shows_no_secret():
    """A settings object in a traceback gives nothing away."""
    settings = read_settings(GOOD)
    assert not [secret for secret in settings.secrets() if secret in repr(settings)]
