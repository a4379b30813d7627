"""The bot does not start with missing or unsafe settings."""

import pytest

from app.config import SLACK_API_URL, ConfigError, from_values, load

GOOD = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_SIGNING_SECRET": "s" * 32,
    "OMS_API_URL": "https://oms.example.com/",
    "OMS_API_KEY": "k" * 32,
}


def test_setting_without_a_value_has_a_default():
    settings = from_values(GOOD)
    assert settings.host == "127.0.0.1"
    assert settings.port == 3000
    assert settings.environment == "development"
    assert settings.slack_api_url == SLACK_API_URL
    assert settings.oms_api_url == "https://oms.example.com"
    assert not settings.is_socket_mode
    assert settings.log_format == "console"
    assert settings.bot_database_url.endswith("/slack-bot/bot.db")
    assert from_values(GOOD | {"BOT_DATABASE_URL": "sqlite://"}).bot_database_url == "sqlite://"
    assert from_values(GOOD | {"ENVIRONMENT": "production"}).log_format == "json"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", ""),
        ("SLACK_BOT_TOKEN", "xoxp-1"),
        ("SLACK_SIGNING_SECRET", "short"),
        ("SLACK_SIGNING_SECRET", "with a space in it!"),
        ("SLACK_APP_TOKEN", "xoxb-1"),
        ("OMS_API_KEY", "k" * 31),
        ("OMS_API_KEY", "é" * 40),
        ("OMS_API_URL", ""),
        ("OMS_API_URL", "ftp://oms"),
        ("OMS_API_URL", "http://"),
        ("SLACK_API_URL", "http://slack.example.com/api/"),
        ("PORT", "0"),
        ("PORT", "x"),
        ("PORT", "70000"),
        ("ENVIRONMENT", "prod"),
        ("LOG_FORMAT", "xml"),
        ("BOT_DATABASE_URL", "mysql://db/bot"),
        ("BOT_DATABASE_URL", "sqlite:///"),
        ("BOT_STATEMENT_SECRET", "short"),
        ("TRADING_CHANNEL", "#trading"),
        ("TRADING_CHANNEL", "D0123456789"),
        ("APPROVALS_CHANNEL", "#approvals"),
    ],
)
def test_bad_value_is_named_with_a_remedy(name, value):
    with pytest.raises(ConfigError, match=name):
        from_values(GOOD | {name: value})


CLIENT = {"SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "client-secret"}
SAFE = {"BOT_DATABASE_URL": "postgresql://bot@db/bot", "BOT_ENCRYPTION_KEYS": "k1:key"}


def test_several_workspaces_need_no_token_and_no_key_in_the_environment():
    values = GOOD | CLIENT | {"SLACK_BOT_TOKEN": "", "OMS_API_KEY": ""}
    assert from_values(values).slack_bot_token == ""
    assert from_values(values | SAFE | {"ENVIRONMENT": "production"}).slack_client_id == "1.2"
    with pytest.raises(ConfigError, match="OMS_API_KEY"):
        from_values(values | {"SLACK_BOT_TOKEN": "xoxb-1"})


@pytest.mark.parametrize("name", ["SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"])
def test_client_id_without_a_client_secret_is_refused(name):
    with pytest.raises(ConfigError, match=r"both SLACK_CLIENT_ID and SLACK_CLIENT_SECRET"):
        from_values(GOOD | CLIENT | {name: ""})


@pytest.mark.parametrize(
    ("changes", "settings_at_fault"),
    [
        ({"BOT_DATABASE_URL": "sqlite:////srv/bot.db"}, "BOT_DATABASE_URL to a PostgreSQL"),
        ({"BOT_DATABASE_URL": ""}, "BOT_DATABASE_URL to a PostgreSQL"),
        ({"BOT_ENCRYPTION_KEYS": ""}, "BOT_ENCRYPTION_KEYS"),
    ],
)
def test_production_with_several_workspaces_refuses_unsafe_settings(changes, settings_at_fault):
    values = GOOD | CLIENT | SAFE | changes
    from_values(values)
    with pytest.raises(ConfigError, match=settings_at_fault):
        from_values(values | {"ENVIRONMENT": "production"})


def test_all_errors_are_reported_together_without_values():
    with pytest.raises(ConfigError) as fault:
        from_values({"SLACK_BOT_TOKEN": "canary"})
    assert all(name in str(fault.value) for name in GOOD)
    assert "canary" not in str(fault.value)


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("localhost:8001", "http://localhost:8001"),
        ("oms-api:10000", "http://oms-api:10000"),
        ("oms.example.com", "https://oms.example.com"),
    ],
)
def test_scheme_of_the_oms_is_optional(setting, url):
    assert from_values(GOOD | {"OMS_API_URL": setting}).oms_api_url == url


def test_environment_takes_precedence_over_the_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text(
        "".join(f"{name}={value}\n" for name, value in GOOD.items()) + "PORT=3001\nHOST=0.0.0.0\n"
    )
    settings = load({"PORT": "3002"}, file)
    assert settings.port == 3002
    assert settings.host == "0.0.0.0"  # noqa: S104 - the address in a container; the test opens no socket


def test_settings_come_from_the_environment_if_there_is_no_file(tmp_path):
    assert load(GOOD, tmp_path / "none").slack_bot_token == "xoxb-1"


def test_socket_mode_token_switches_it_on():
    assert from_values(GOOD | {"SLACK_APP_TOKEN": "xapp-1"}).is_socket_mode
