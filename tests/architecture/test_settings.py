"""Every setting is declared, and .env.example names every one."""

import env_example
from run import sources


def test_env_example_is_what_the_services_declare(root):
    """The file is generated, and up to date."""
    written = (root / ".env.example").read_text("utf-8")
    assert written == env_example.text() + "\n", "run `make env-example`"


def test_env_example_names_every_spec(packages):
    """Each service with settings is in the generator's table."""
    with_settings = {p.name for p in packages if (p.source / "settings.py").exists()} - {"core"}
    assert with_settings == set(env_example.SPECS)


def test_one_name_has_one_default():
    """A setting that several services read has one default and one reading of it."""
    seen = {}
    for settings in env_example.declared().values():
        for name, setting in settings.items():
            first = seen.setdefault(name, setting)
            # The migration cannot do without a database; the others can.
            if name != "POSTGRES_DSN":
                assert setting.default == first.default, name
            assert setting.secret == first.secret, name


def test_every_default_is_valid():
    """Each default passes its own parser."""
    for settings in env_example.declared().values():
        for setting in settings.values():
            if setting.default is not None:
                setting.parse(setting.default)


def test_the_lints_look_at_every_package(packages):
    """No package's source escapes the rules."""
    looked_at = {source.path for source in sources()}
    for package in packages:
        for path in package.files():
            assert path.as_posix().endswith(tuple(looked_at)), path
