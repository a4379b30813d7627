"""Settings: a missing or unsafe value stops the start with a sentence that names the variable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import config
from app.assembly.security import create_address_policy
from app.config import ConfigurationError, Settings, load_settings
from app.database import normalize_url
from app.migrate import get_migration_url
from tests.factories import BOOTSTRAP_KEY, JWT_KEYS
from tests.support.processes import build_environment
from tests.support.service import build_settings

HOME = Path(__file__).parents[1]


@pytest.fixture
def load_from_environment(monkeypatch, tmp_path):
    """`load(NAME=value, …)` reads settings from an environment that holds these and a good key alone."""
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / "absent.env")
    for name in [name for name in os.environ if name.lower() in Settings.model_fields]:
        monkeypatch.delenv(name)

    def read(**changes):
        for name, value in ({"OMS_API_KEY": BOOTSTRAP_KEY} | changes).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return load_settings()

    return read


def test_defaults_match_the_documentation(load_from_environment):
    settings = load_from_environment()
    assert (settings.host, settings.port, settings.environment) == ("127.0.0.1", 8001, "development")
    assert (settings.database_url, settings.rate_limit_per_minute) == ("sqlite:///./slackoms.db", 600)
    assert (settings.max_quantity, settings.max_gmv) == (1_000_000, 100_000_000)
    assert not settings.logs_as_json
    assert settings.migrates_at_start


def test_production_logs_json_and_does_not_migrate_at_start(load_from_environment):
    settings = load_from_environment(ENVIRONMENT="production", JWT_KEYS=JWT_KEYS)
    assert (settings.logs_as_json, settings.migrates_at_start) == (True, False)
    assert not load_from_environment(LOG_FORMAT="console").logs_as_json


@pytest.mark.parametrize(
    ("values", "is_allowed"),
    [
        ({"ENVIRONMENT": "development", "HOST": "10.0.0.1"}, True),
        ({"ENVIRONMENT": "test"}, False),
        ({"ENVIRONMENT": "production", "JWT_KEYS": "a:" + "k" * 32}, False),
        ({}, True),
        ({"HOST": "localhost"}, True),
        ({"HOST": "10.0.0.1"}, False),
        ({"HOST": "oms.internal"}, False),
        ({"TRUSTED_PROXIES": "10.0.0.0/8"}, False),
    ],
)
def test_webhooks_reach_this_machine_only_in_explicit_development(load_from_environment, values, is_allowed):
    assert create_address_policy(load_from_environment(**values)).allows_loopback is is_allowed


def test_only_production_requires_session_keys(load_from_environment):
    with pytest.raises(ConfigurationError, match=r"^JWT_KEYS is not set, and production needs it"):
        load_from_environment(ENVIRONMENT="production")
    with pytest.raises(ConfigurationError, match=r"^JWT_KEYS is not set"):
        load_from_environment(ENVIRONMENT="production", JWT_KEYS="")
    for name in ("development", "test"):
        assert load_from_environment(ENVIRONMENT=name, JWT_KEYS=None).jwt_keys is None


@pytest.mark.parametrize(
    "keys", ["k" * 32, "a:" + "k" * 32, "a:" + "k" * 32 + ", b:" + "l" * 40, "A+/=" * 11]
)
def test_session_keys_are_secrets_with_optional_names(load_from_environment, keys):
    assert load_from_environment(JWT_KEYS=keys).jwt_keys == keys


def test_session_key_must_differ_from_the_master_key(load_from_environment):
    with pytest.raises(ConfigurationError, match="JWT_KEYS must not contain OMS_API_KEY"):
        load_from_environment(JWT_KEYS=f"a:{BOOTSTRAP_KEY}")


def test_empty_variable_counts_as_unset(load_from_environment):
    assert load_from_environment(JWT_KEYS="", OMS_API_KEY_PREVIOUS="").oms_api_key_previous is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OMS_API_KEY", "short"),
        ("OMS_API_KEY", "x" * 31),
        ("OMS_API_KEY", "x" * 31 + " "),
        ("OMS_API_KEY", "é" * 40),
        ("OMS_API_KEY", "please-Change-Me-please-change-me-please"),
        ("OMS_API_KEY", ""),
        ("OMS_API_KEY_PREVIOUS", "short"),
        ("JWT_KEYS", "short"),
        ("JWT_KEYS", "a:" + "k" * 31),
        ("JWT_KEYS", "k" * 32 + "é"),
        ("JWT_KEYS", "k" * 40 + ","),
        ("JWT_KEYS", "k" * 40 + ",b:short-canary"),
        ("JWT_KEYS", "a.b:" + "k" * 32),
        ("JWT_KEYS", "a:b:" + "k" * 32),
        ("JWT_KEYS", "a:" + "k" * 32 + ",a:" + "canary" * 6),
        ("JWT_KEYS", "change-me-" * 4),
        ("ACCESS_TOKEN_MINUTES", "0"),
        ("SESSION_DAYS", "366"),
        ("DATABASE_URL", "mysql://user:canary@host/db"),
        ("DATABASE_URL", "canary"),
        ("DATABASE_URL", ""),
        ("MIGRATION_DATABASE_URL", "oracle://canary"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "canary"),
        ("ENVIRONMENT", "staging-canary"),
        ("LOG_FORMAT", "canary"),
        ("LOG_LEVEL", "canary"),
        ("RATE_LIMIT_PER_MINUTE", "-1"),
        ("RATE_LIMIT_TENANT_PER_MINUTE", "-1"),
        ("RATE_LIMIT_ADDRESS_PER_MINUTE", "canary"),
        ("REDIS_URL", "http://canary"),
        ("TRUSTED_PROXIES", "canary"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, 0.0.0.0/0"),
        ("HEADER_TIMEOUT_SECONDS", "0"),
        ("BODY_TIMEOUT_SECONDS", "301"),
        ("MAX_GMV", "0"),
        ("MAX_QUANTITY", "NaN"),
        ("MAX_PRICE", "Infinity"),
        ("MAX_GMV", "1e13"),
        ("WRITE_QUEUE_LIMIT", "0"),
        ("READER_THREADS", "65"),
        ("DATABASE_TIMEOUT_SECONDS", "0"),
        ("WEBHOOK_KEYS", "one:canary"),
        ("BACKUP_KEYS", "one:canary"),
    ],
)
def test_invalid_value_is_named_by_its_variable_and_never_shown(load_from_environment, name, value):
    with pytest.raises(ConfigurationError) as caught:
        load_from_environment(**{name: value})
    assert name in str(caught.value)
    assert "canary" not in str(caught.value)
    assert len(value) < 5 or value not in str(caught.value)


def test_missing_key_is_reported_with_a_remedy(load_from_environment):
    with pytest.raises(ConfigurationError, match=r"OMS_API_KEY is not set: run `python generate_api_key.py`"):
        load_from_environment(OMS_API_KEY=None)


def test_all_invalid_settings_are_reported_at_once(load_from_environment):
    with pytest.raises(ConfigurationError) as caught:
        load_from_environment(OMS_API_KEY=None, PORT="x", MAX_GMV="-1")
    assert len(str(caught.value).splitlines()) == 3


def test_address_of_the_bot_may_be_a_host_and_a_port(load_from_environment):
    urls = load_from_environment(
        WEBHOOK_INTERNAL_URLS="slackoms-bot:3000, http://other:80/x"
    ).webhook_internal_urls
    assert urls == ("http://slackoms-bot:3000/oms/events", "http://other:80/x")


def test_key_of_the_bot_must_not_be_the_bootstrap_key(load_from_environment):
    key = "k" * 40
    for name in ("OMS_API_KEY", "OMS_API_KEY_PREVIOUS"):
        with pytest.raises(ConfigurationError, match="OMS_BOT_KEY must differ"):
            load_from_environment(**{name: key, "OMS_BOT_KEY": key})
    assert load_from_environment(OMS_BOT_KEY="").oms_bot_key is None


def test_contradictory_settings_are_rejected(load_from_environment):
    with pytest.raises(ConfigurationError, match="MIN_PRICE must not be above MAX_PRICE"):
        load_from_environment(MIN_PRICE="2", MAX_PRICE="1")


def test_rates_and_proxies_are_parsed(load_from_environment):
    settings = load_from_environment()
    assert (settings.rate_limit_tenant_per_minute, settings.rate_limit_address_per_minute) == (None, None)
    assert (settings.redis_url, settings.trusted_proxies) == (None, ())
    assert load_from_environment(REDIS_URL="").redis_url is None
    settings = load_from_environment(REDIS_URL="redis://:canary@host/0", TRUSTED_PROXIES="10.0.0.0/8, ::1")
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///:memory:",
        "sqlite:///",
        "sqlite:///file:x?mode=memory",
        "postgresql://u@h:port/x",
        "postgresql://h",
    ],
)
def test_in_memory_or_unnamed_database_is_rejected(load_from_environment, url):
    with pytest.raises(ConfigurationError, match=r"^DATABASE_URL must name a database"):
        load_from_environment(DATABASE_URL=url)


def test_migration_url_defaults_to_the_database_url():
    settings = build_settings("sqlite:///a.db")
    assert get_migration_url(settings) == "sqlite:///a.db"
    assert (
        get_migration_url(settings.model_copy(update={"migration_database_url": "sqlite:///b.db"}))
        == "sqlite:///b.db"
    )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_postgresql_url_scheme_uses_psycopg2(scheme):
    url = normalize_url(f"{scheme}://someone:p%40ss@db.internal:5433/oms?sslmode=require")
    assert (url.drivername, url.password, url.port) == ("postgresql+psycopg2", "p@ss", 5433)
    assert url.query == {"sslmode": "require"}


def test_settings_repr_contains_no_secret():
    settings = build_settings("postgresql://user:canary@host/db")
    assert "canary" not in repr(settings)
    assert BOOTSTRAP_KEY not in repr(settings)


def test_settings_file_is_beside_the_service():
    assert config._ENV_FILE == HOME / ".env"


@pytest.mark.parametrize("module", ["app.main", "app.migrate"])
def test_program_that_cannot_start_prints_the_reason(module, tmp_path):
    environment = build_environment(OMS_API_KEY="too-short", DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    ended = subprocess.run(
        [sys.executable, "-m", module],
        cwd=HOME,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("OMS_API_KEY")
    assert "Traceback" not in ended.stderr
    assert "too-short" not in ended.stderr


def test_paper_market_defaults_have_no_faults(load_from_environment):
    settings = load_from_environment()
    assert (settings.price_source, settings.paper_slippage, settings.paper_participation) == (
        "simulated",
        "none",
        None,
    )
    assert (settings.paper_spread, settings.paper_latency_milliseconds, settings.paper_reject_share) == (
        0,
        0,
        0,
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MAX_QUOTE_AGE_SECONDS", "0"),
        ("EQUITY_INTERVAL_SECONDS", "0"),
        ("EQUITY_RETENTION_DAYS", "0"),
        ("MARK_INTERVAL_SECONDS", "0"),
        ("TICK_RETENTION_DAYS", "0"),
        ("DUTIES", "nobody"),
        ("PAPER_SPREAD", "-1"),
        ("PAPER_SPREAD", "NaN"),
        ("PAPER_PARTICIPATION", "0"),
        ("PAPER_PARTICIPATION", "1.1"),
        ("PAPER_SLIPPAGE", "some"),
        ("PAPER_BASIS_POINTS", "10000"),
        ("PAPER_LATENCY_MILLISECONDS", "60001"),
        ("PAPER_REJECT_SHARE", "2"),
    ],
)
def test_invalid_paper_market_settings_are_rejected(load_from_environment, variable, value):
    with pytest.raises(ConfigurationError, match=variable):
        load_from_environment(**{variable: value})


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "off"), ("", "off"), ("false", "off"), ("true", "hold"), ("HOLD", "hold"), ("deny", "deny")],
)
def test_trading_sessions_are_enforced_by_the_environment_setting(load_from_environment, value, expected):
    assert load_from_environment(ENFORCE_SESSIONS=value).enforce_sessions == expected
    with pytest.raises(ConfigurationError, match=r"^ENFORCE_SESSIONS"):
        load_from_environment(ENFORCE_SESSIONS="sometimes")
