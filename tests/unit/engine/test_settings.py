"""Settings: whole or refused, every problem by its name."""

from decimal import Decimal

import pytest

from interlock_core.settings import ConfigError
from interlock_engine.settings import SPEC, read_settings


def test_the_defaults_are_paper_on_the_simulator():
    settings = read_settings({})
    assert (settings.environment, settings.stage, settings.simulated) == ("paper", "paper", True)
    assert settings.perp
    assert settings.universe_size == 10
    assert settings.order_notional_usd == Decimal(250)
    assert settings.legs.sequential
    assert settings.endpoints.upbit_rest == "http://127.0.0.1:8090/upbit"
    assert settings.postgres_dsn is None


def test_the_notional_follows_the_stage_unless_it_is_given():
    live = {"ARBITRAGE_ENV": "live", "STAGE": "smoke"}
    assert read_settings(live).order_notional_usd == Decimal(19)
    assert read_settings(live | {"ORDER_NOTIONAL_USD": "12.5"}).order_notional_usd == Decimal(
        "12.5"
    )
    with pytest.raises(ConfigError, match="ORDER_NOTIONAL_USD"):
        read_settings({"ORDER_NOTIONAL_USD": "4"})


def test_every_problem_is_named():
    with pytest.raises(ConfigError) as caught:
        read_settings({"LEG_POLICY": "both", "COLLAR_BPS": "51", "DURATION": "-1", "UNIVERSE": ""})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "DURATION",
        "LEG_POLICY",
        "COLLAR_BPS",
    ]


def test_a_session_id_is_a_name_and_no_path():
    assert read_settings({"SESSION_ID": "session-0001"}).session_id == "session-0001"
    with pytest.raises(ConfigError, match="expected 8 to 40"):
        read_settings({"SESSION_ID": "../x"})


def test_secrets_are_known_to_the_log():
    settings = read_settings({"POSTGRES_DSN": "postgresql://u:p@h/d"})
    assert settings.secrets() == ("postgresql://u:p@h/d",)


def test_the_engine_knows_no_trading_key():
    names = " ".join(setting.name for setting in SPEC)
    assert not any(word in names for word in ("UPBIT", "BINANCE_API", "SECRET", "LIVE_ARM"))
