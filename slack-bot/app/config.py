"""Settings of the bot, from the environment and the service's `.env` file. No other module reads either."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

SERVICE_FOLDER = Path(__file__).resolve().parent.parent
DEFAULT_DATABASE_URL = f"sqlite:///{SERVICE_FOLDER / 'bot.db'}"
DATABASE_URL = re.compile(r"sqlite://(/.+)?|postgres(ql)?(\+psycopg2)?://.+")
MANIFEST_FILE = SERVICE_FOLDER / "manifest.json"
SLACK_API_URL = "https://slack.com/api/"
EVENTS_PATH = "/oms/events"
ENVIRONMENTS = ("development", "test", "production")
CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{1,20}", re.ASCII)
PRINTABLE = re.compile(r"[\x21-\x7e]+")


class ConfigError(Exception):
    """Raised when the settings are invalid. The message states what to set."""


@dataclass(frozen=True)
class Settings:
    """The settings of the bot. Secrets are excluded from its repr."""

    slack_bot_token: str = field(repr=False)
    slack_signing_secret: str = field(repr=False)
    oms_api_key: str = field(repr=False)
    oms_api_url: str
    slack_app_token: str = field(default="", repr=False)
    slack_api_url: str = SLACK_API_URL
    host: str = "127.0.0.1"
    port: int = 3000
    environment: str = "development"
    log_format: str = "console"
    bot_database_url: str = "sqlite://"  # in memory
    bot_statement_secret: str = field(default="", repr=False)
    trading_channel: str = ""  # the id of the channel that sees when trading is stopped
    oms_events_url: str = ""  # without it, the bot receives no events of the OMS
    approvals_channel: str = ""  # empty: requests for approval go to the channel of the order
    slack_client_id: str = ""  # with it, other workspaces can install the app
    slack_client_secret: str = field(default="", repr=False)
    bot_encryption_keys: str = field(default="", repr=False)

    @property
    def slack_authorize_url(self) -> str:
        """The page on which an administrator of a workspace consents to the installation."""
        return f"{self.slack_api_url.removesuffix('/').removesuffix('/api')}/oauth/v2/authorize"

    @property
    def is_socket_mode(self) -> bool:
        """Whether the bot receives deliveries over a WebSocket that it opens itself."""
        return bool(self.slack_app_token)


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
    """Return the settings. Environment variables override the file.

    Raises `ConfigError` that lists every invalid setting.
    """
    file = SERVICE_FOLDER / ".env" if env_file is None else env_file
    values = {name: value or "" for name, value in dotenv_values(file).items()} if file.is_file() else {}
    values |= dict(os.environ if environ is None else environ)
    return from_values({name: value.strip() for name, value in values.items()})


def from_values(values: Mapping[str, str]) -> Settings:
    """Validate plain values and return the settings. Raises `ConfigError` with a sentence per fault."""
    errors = [error for check in CHECKS if (error := check(values))]
    if errors:
        raise ConfigError(" ".join(errors))
    environment = values.get("ENVIRONMENT") or "development"
    port = int(values.get("PORT") or 3000)
    oms_api_url = _with_scheme(values["OMS_API_URL"]).rstrip("/")
    return Settings(
        slack_bot_token=values.get("SLACK_BOT_TOKEN", ""),
        slack_signing_secret=values["SLACK_SIGNING_SECRET"],
        oms_api_key=values.get("OMS_API_KEY", ""),
        oms_api_url=oms_api_url,
        slack_app_token=values.get("SLACK_APP_TOKEN", ""),
        slack_api_url=values.get("SLACK_API_URL") or SLACK_API_URL,
        host=values.get("HOST") or "127.0.0.1",
        port=port,
        environment=environment,
        bot_database_url=values.get("BOT_DATABASE_URL") or DEFAULT_DATABASE_URL,
        bot_statement_secret=values.get("BOT_STATEMENT_SECRET", ""),
        trading_channel=values.get("TRADING_CHANNEL", ""),
        oms_events_url=_choose_events_url(values.get("OMS_EVENTS_URL", ""), environment, oms_api_url, port),
        approvals_channel=values.get("APPROVALS_CHANNEL", ""),
        slack_client_id=values.get("SLACK_CLIENT_ID", ""),
        slack_client_secret=values.get("SLACK_CLIENT_SECRET", ""),
        bot_encryption_keys=values.get("BOT_ENCRYPTION_KEYS", ""),
        log_format=values.get("LOG_FORMAT") or ("json" if environment == "production" else "console"),
    )


def _choose_events_url(events_url: str, environment: str, oms_api_url: str, port: int) -> str:
    """Return the address at which the OMS reaches the bot. `host:port` alone names a private host."""
    if events_url:
        url = _with_scheme(events_url)
        return url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}{EVENTS_PATH}"
    is_on_same_machine = environment != "production" and is_loopback(oms_api_url)
    return f"http://127.0.0.1:{port}{EVENTS_PATH}" if is_on_same_machine else ""


def is_loopback(url: str) -> bool:
    """Return whether the address is on this machine.

    The proxy settings of the environment do not apply to it.
    """
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _with_scheme(url: str) -> str:
    if "://" in url:
        return url
    # `host:port` names a host of a private network; a public host name alone implies TLS.
    return f"http://{url}" if is_loopback(f"//{url}") or re.search(r":\d+$", url) else f"https://{url}"


def _check_bot_token(values: Mapping[str, str]) -> str:
    token = values.get("SLACK_BOT_TOKEN", "")
    if token.startswith("xoxb-") or (not token and _is_installable(values)):
        return ""
    return "Set SLACK_BOT_TOKEN to the bot token (xoxb-…) from the app's page, OAuth & Permissions."


def _is_installable(values: Mapping[str, str]) -> bool:
    """Return whether other workspaces can install the app."""
    return bool(values.get("SLACK_CLIENT_ID"))


def _check_client(values: Mapping[str, str]) -> str:
    names = ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET")
    present = [name for name in names if values.get(name)]
    if len(present) == 1 or not all(PRINTABLE.fullmatch(values[name]) for name in present):
        return (
            "Set both SLACK_CLIENT_ID and SLACK_CLIENT_SECRET from the app's page, Basic Information, so "
            "that other workspaces can install the app, or leave both out."
        )
    return ""


def _check_several_workspaces(values: Mapping[str, str]) -> str:
    if values.get("ENVIRONMENT") != "production" or not _is_installable(values):
        return ""
    missing = []
    if not values.get("BOT_DATABASE_URL", "").startswith("postgres"):
        missing.append("BOT_DATABASE_URL to a PostgreSQL database (postgresql://…)")
    if not values.get("BOT_ENCRYPTION_KEYS"):
        missing.append("BOT_ENCRYPTION_KEYS to a key for the stored tokens (id:base64 of 32 random bytes)")
    return f"In production with several workspaces, set {' and '.join(missing)}." if missing else ""


def _check_signing_secret(values: Mapping[str, str]) -> str:
    secret = values.get("SLACK_SIGNING_SECRET", "")
    if len(secret) < 16 or not PRINTABLE.fullmatch(secret):
        return "Set SLACK_SIGNING_SECRET to the signing secret from the app's page, Basic Information."
    return ""


def _check_app_token(values: Mapping[str, str]) -> str:
    token = values.get("SLACK_APP_TOKEN", "")
    if token and not token.startswith("xapp-"):
        return "SLACK_APP_TOKEN must be an app-level token (xapp-…); leave it out to be called over HTTP."
    return ""


def is_oms_key(key: str) -> bool:
    """Return whether a text can be a key of the OMS."""
    return len(key) >= 32 and bool(PRINTABLE.fullmatch(key))


def _check_oms_key(values: Mapping[str, str]) -> str:
    key = values.get("OMS_API_KEY", "")
    if not values.get("SLACK_BOT_TOKEN") and _is_installable(values):
        return ""  # each workspace has its own
    if not is_oms_key(key):
        return "Set OMS_API_KEY to the key of the OMS (32 printable characters or more)."
    return ""


def _check_statement_secret(values: Mapping[str, str]) -> str:
    secret = values.get("BOT_STATEMENT_SECRET", "")
    if secret and (len(secret) < 32 or not PRINTABLE.fullmatch(secret)):
        return "BOT_STATEMENT_SECRET must equal the OMS's (32 printable characters or more), or be left out."
    return ""


def _check_oms_url(values: Mapping[str, str]) -> str:
    url = values.get("OMS_API_URL", "")
    parts = urlsplit(_with_scheme(url)) if url else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return "Set OMS_API_URL to the address of the OMS, for example http://127.0.0.1:8001."
    return ""


def _check_events_url(values: Mapping[str, str]) -> str:
    url = values.get("OMS_EVENTS_URL", "")
    parts = urlsplit(_with_scheme(url)) if url else None
    if parts is not None and (parts.scheme not in ("http", "https") or not parts.hostname):
        return "OMS_EVENTS_URL must be the address of the bot for the OMS, for example http://slack-bot:3000."
    return ""


def _check_slack_url(values: Mapping[str, str]) -> str:
    url = values.get("SLACK_API_URL") or SLACK_API_URL
    if url.startswith("https://") or (url.startswith("http://") and is_loopback(url)):
        return ""
    return "SLACK_API_URL must be https, or http on this machine: the bot token travels with every call."


def _check_port(values: Mapping[str, str]) -> str:
    port = values.get("PORT") or "3000"
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        return "PORT must be a number from 1 to 65535."
    return ""


def _check_environment(values: Mapping[str, str]) -> str:
    if (values.get("ENVIRONMENT") or "development") not in ENVIRONMENTS:
        return f"ENVIRONMENT must be one of {', '.join(ENVIRONMENTS)}."
    return ""


def _check_log_format(values: Mapping[str, str]) -> str:
    if (values.get("LOG_FORMAT") or "console") not in ("console", "json"):
        return "LOG_FORMAT must be console or json."
    return ""


def _check_channels(values: Mapping[str, str]) -> str:
    for name in ("TRADING_CHANNEL", "APPROVALS_CHANNEL"):
        channel = values.get(name, "")
        if channel and not CHANNEL_ID.fullmatch(channel):
            return f"{name} must be the ID of a channel, such as C0123456789, or be left out."
    return ""


def _check_database_url(values: Mapping[str, str]) -> str:
    if not DATABASE_URL.fullmatch(values.get("BOT_DATABASE_URL") or DEFAULT_DATABASE_URL):
        return (
            "BOT_DATABASE_URL must be sqlite:///PATH for one bot, postgresql://… for several, or sqlite:// "
            "to keep nothing over a restart."
        )
    return ""


CHECKS = (
    _check_bot_token,
    _check_signing_secret,
    _check_app_token,
    _check_oms_key,
    _check_oms_url,
    _check_slack_url,
    _check_port,
    _check_environment,
    _check_log_format,
    _check_database_url,
    _check_statement_secret,
    _check_channels,
    _check_events_url,
    _check_client,
    _check_several_workspaces,
)
