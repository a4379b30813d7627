"""Settings from the environment and `.env`. A missing or unsafe value stops the start with a message."""

import ipaddress
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

MIN_KEY_LENGTH = 32
MAX_LIMIT = Decimal("1e12")
MAX_METRICS_PORTFOLIOS = 100
PLACEHOLDER_KEY = "change-me"
_JWT_KEY_PATTERN = re.compile(rf"(?:[A-Za-z0-9_-]{{1,32}}:)?[!-+\--9;-~]{{{MIN_KEY_LENGTH},512}}")
_ENCRYPTION_KEY_PATTERN = re.compile(r"(?:[A-Za-z0-9]{1,32}:)?[A-Za-z0-9+/]{43}=")
_ENV_FILE = Path(__file__).resolve().parent.parent / ".env"


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConfigurationError(Exception):
    """Raised when the settings are missing, malformed or unsafe."""


class Settings(BaseSettings):
    """The settings. Amounts are in the portfolio's currency, quantities in units of the instrument."""

    model_config = SettingsConfigDict(
        env_file=_ENV_FILE, env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    oms_api_key: str = Field(repr=False)
    oms_api_key_previous: str | None = Field(default=None, repr=False)
    oms_bot_key: str | None = Field(default=None, repr=False)
    jwt_keys: str | None = Field(default=None, repr=False)
    bot_statement_secret: str | None = Field(default=None, repr=False)
    access_token_minutes: Annotated[int, Field(ge=1, le=60)] = 15
    session_days: Annotated[int, Field(ge=1, le=365)] = 30
    session_idle_days: Annotated[int, Field(ge=1, le=365)] = 7
    database_url: str = Field(default="sqlite:///./slackoms.db", repr=False)
    migration_database_url: str | None = Field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8001
    web_concurrency: Annotated[int, Field(ge=1, le=64)] = 1
    environment: Literal["development", "test", "production"] = "development"
    log_format: Literal["console", "json"] | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    rate_limit_per_minute: Annotated[int, Field(ge=0, le=1_000_000_000)] = 600
    rate_limit_tenant_per_minute: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    rate_limit_address_per_minute: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    redis_url: str | None = Field(default=None, repr=False)
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()
    header_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    body_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    write_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 30.0
    docs_enabled: bool = True
    max_quantity: Decimal = Decimal(1_000_000)
    max_gmv: Decimal = Decimal(100_000_000)
    min_price: Decimal = Decimal("0.00000001")
    max_price: Decimal = Decimal(1_000_000)
    write_queue_limit: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    write_batch_limit: Annotated[int, Field(ge=1, le=10_000)] = 250
    reader_threads: Annotated[int, Field(ge=1, le=64)] = 8
    database_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0

    price_source: str = "simulated"
    simulation_seed: str = "slackoms"
    max_quote_age_seconds: Annotated[float, Field(gt=0, le=86_400)] = 30.0
    paper_spread: Annotated[Decimal, Field(ge=0, le=MAX_LIMIT)] = Decimal(0)
    paper_participation: Annotated[Decimal, Field(gt=0, le=1)] | None = None
    paper_slippage: Literal["none", "half_spread", "basis_points", "volume_share"] = "none"
    paper_basis_points: Annotated[Decimal, Field(ge=0, lt=10_000)] = Decimal(0)
    paper_latency_milliseconds: Annotated[int, Field(ge=0, le=60_000)] = 0
    paper_reject_share: Annotated[Decimal, Field(ge=0, le=1)] = Decimal(0)
    equity_interval_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    equity_retention_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    mark_interval_seconds: Annotated[int, Field(ge=1, le=3_600)] = 5
    tick_retention_days: Annotated[int, Field(ge=1, le=36_500)] = 7
    duties: Literal["embedded", "worker", "celery"] = "embedded"
    webhook_keys: str | None = Field(default=None, repr=False)
    sheets_credentials_file: Path | None = None
    webhook_internal_urls: Annotated[tuple[str, ...], NoDecode] = ()
    broker_keys: str | None = Field(default=None, repr=False)
    broker_internal_urls: Annotated[tuple[str, ...], NoDecode] = ()
    reconcile_interval_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    broker_sessions: Literal["on", "off"] = "on"
    alpaca_api_key: str | None = Field(default=None, repr=False)
    alpaca_api_secret: str | None = Field(default=None, repr=False)
    alpaca_base_url: str | None = None
    ib_host: str | None = None
    ib_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    ib_account: str | None = None
    ib_client_id: Annotated[int, Field(ge=1, le=998)] = 1
    alpaca_data_url: str = "https://data.alpaca.markets"
    alpaca_data_feed: Literal["iex", "sip", "delayed_sip"] = "iex"
    enforce_sessions: Literal["off", "hold", "deny"] = "off"
    websocket_origins: Annotated[tuple[str, ...], NoDecode] = ()
    worker_metrics_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    signals_strategy: str | None = None
    signals_portfolio: str | None = None
    signals_tenant: str | None = None
    signals_redis: Literal["on", "off"] = "on"
    strategy_modules: Annotated[tuple[str, ...], NoDecode] | None = None
    strategy_host: Literal["embedded", "process", "off"] = "embedded"
    strategy_sandbox: Literal["on", "off"] = "on"
    backup_keys: str | None = Field(default=None, repr=False)
    reports_folder: Path | None = None
    reports_url: str | None = Field(default=None, repr=False)
    reports_tenants: Annotated[tuple[str, ...], NoDecode] = ("default",)
    reports_format: Literal["csv", "xlsx"] = "csv"
    reports_slack: Literal["on", "off"] = "off"
    sentry_dsn: str | None = Field(default=None, repr=False)
    backup_folder: Path | None = None
    chain_verification_hours: Annotated[int, Field(ge=1, le=168)] = 24
    backup_interval_hours: Annotated[int, Field(ge=1, le=168)] = 24
    backup_retention_days: Annotated[int, Field(ge=1, le=3_650)] = 14
    metrics_portfolios: Annotated[tuple[tuple[str, str], ...], NoDecode] = ()

    @field_validator(
        "oms_api_key_previous",
        "oms_bot_key",
        "jwt_keys",
        "bot_statement_secret",
        "redis_url",
        "webhook_keys",
        "broker_keys",
        "alpaca_api_key",
        "alpaca_api_secret",
        "alpaca_base_url",
        "ib_host",
        "ib_port",
        "ib_account",
        "signals_strategy",
        "signals_portfolio",
        "signals_tenant",
        "backup_keys",
        "sentry_dsn",
        "sheets_credentials_file",
        "backup_folder",
        "reports_folder",
        "reports_url",
        mode="before",
    )
    @classmethod
    def _require_non_empty(cls, value: str | None) -> str | None:
        return value or None  # Docker Compose passes an unset variable as an empty one

    @field_validator("enforce_sessions", mode="before")
    @classmethod
    def _parse_session_enforcement(cls, value: object) -> object:
        word = str(value).strip().lower()
        return {"true": "hold", "1": "hold", "false": "off", "0": "off", "": "off"}.get(word, word)

    @field_validator("oms_api_key", "oms_api_key_previous", "oms_bot_key", "bot_statement_secret")
    @classmethod
    def _require_strong_key(cls, value: str | None, validation_info: ValidationInfo) -> str | None:
        if value is None:
            return None
        printable = all("!" <= character <= "~" for character in value)
        setting = str(validation_info.field_name).upper()
        if len(value) < MIN_KEY_LENGTH or not printable or PLACEHOLDER_KEY in value.lower():
            raise ValueError(
                f"{setting} must be at least {MIN_KEY_LENGTH} printable ASCII "
                "characters, kept secret: run `python generate_api_key.py` and set it to what is printed"
            )
        return value

    @field_validator("jwt_keys")
    @classmethod
    def _require_signing_keys(cls, value: str | None) -> str | None:
        if value is None:
            return None
        keys = [key.strip() for key in value.split(",")]
        names = [key.partition(":")[0] for key in keys if ":" in key]
        if PLACEHOLDER_KEY in value.lower() or not all(map(_JWT_KEY_PATTERN.fullmatch, keys)):
            raise ValueError(
                "JWT_KEYS must be name:secret pairs separated by commas, each secret at least "
                f"{MIN_KEY_LENGTH} printable ASCII characters without comma or colon: `openssl rand -hex 32` "
                "prints one"
            )
        if len(set(names)) != len(names):
            raise ValueError("JWT_KEYS must not give two keys the same name")
        return value

    @field_validator("database_url", "migration_database_url")
    @classmethod
    def _require_known_database(cls, value: str | None) -> str | None:
        schemes = ("sqlite:///", "postgres://", "postgresql://", "postgresql+psycopg2://")
        if value is not None and not value.startswith(schemes):
            raise ValueError("DATABASE_URL must start with postgresql:// or sqlite:///")
        if value is not None and not _is_database_url(value):
            raise ValueError(
                "DATABASE_URL must name a database, as postgresql://user@host/name or sqlite:///file.db"
            )
        return value

    @field_validator("redis_url")
    @classmethod
    def _require_known_redis(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("REDIS_URL must start with redis://, rediss:// or unix://")
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _parse_networks(cls, value: object) -> object:
        try:
            return parse_networks(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(
                "TRUSTED_PROXIES must be networks separated by commas, such as 10.0.0.0/8, and never everyone"
            ) from None

    @field_validator("webhook_keys", "broker_keys", "backup_keys")
    @classmethod
    def _require_encryption_keys(cls, value: str | None, validation_info: ValidationInfo) -> str | None:
        parts = [] if value is None else [part.strip() for part in value.split(",")]
        if not all(map(_ENCRYPTION_KEY_PATTERN.fullmatch, parts)):
            setting = str(validation_info.field_name).upper()
            raise ValueError(
                f"{setting} must be id:base64 pairs separated by commas, each key 32 "
                "bytes: `openssl rand -base64 32` prints one"
            )
        return value

    @field_validator("webhook_internal_urls", mode="before")
    @classmethod
    def _parse_internal_urls(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(_complete_internal_url(part.strip()) for part in value.split(",") if part.strip())

    @field_validator(
        "broker_internal_urls", "websocket_origins", "reports_tenants", "strategy_modules", mode="before"
    )
    @classmethod
    def _parse_internal_addresses(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("metrics_portfolios", mode="before")
    @classmethod
    def _parse_portfolio_names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = [part.strip().partition("/") for part in value.split(",") if part.strip()]
        if len(names) > MAX_METRICS_PORTFOLIOS or not all(slug and name for slug, _, name in names):
            raise ValueError(
                "METRICS_PORTFOLIOS must be at most "
                f"{MAX_METRICS_PORTFOLIOS} tenant/portfolio pairs separated by commas, such as default/Growth"
            )
        return tuple((slug, name) for slug, _, name in names)

    @field_validator("max_quantity", "max_gmv", "min_price", "max_price")
    @classmethod
    def _require_limit_in_range(cls, value: Decimal) -> Decimal:
        if not (value.is_finite() and 0 < value <= MAX_LIMIT):
            raise ValueError(f"a limit must be above 0 and at most {MAX_LIMIT:,f}")
        return value

    @model_validator(mode="after")
    def _require_consistent_settings(self) -> "Settings":
        if self.min_price > self.max_price:
            raise ValueError("MIN_PRICE must not be above MAX_PRICE")
        if self.oms_bot_key in {self.oms_api_key, self.oms_api_key_previous} - {None}:
            raise ValueError("OMS_BOT_KEY must differ from OMS_API_KEY, which would give the bot all rights")
        if self.environment == "production" and not self.jwt_keys:
            raise ValueError(
                "JWT_KEYS is not set, and production needs it: set it to name:secret, with a secret of its "
                "own (`openssl rand -hex 32` prints one)"
            )
        if bool(self.alpaca_api_key) != bool(self.alpaca_api_secret):
            raise ValueError("ALPACA_API_KEY and ALPACA_API_SECRET must be set together")
        if self.jwt_keys and self.oms_api_key in self.jwt_keys:
            raise ValueError(
                "JWT_KEYS must not contain OMS_API_KEY, which would let holders of that key forge sessions"
            )
        return self

    @property
    def logs_as_json(self) -> bool:
        """Whether to log JSON lines: if set, and by default in production."""
        return (self.log_format or ("json" if self.environment == "production" else "console")) == "json"

    @property
    def is_on_developer_machine(self) -> bool:
        """Whether ENVIRONMENT is set to development.

        If it is not set, the service must listen on this machine only, without a proxy in front of it.
        """
        if "environment" in self.model_fields_set:
            return self.environment == "development"
        return is_loopback(self.host) and not self.trusted_proxies

    @property
    def allowed_strategy_modules(self) -> tuple[str, ...]:
        """The modules that strategies may name: STRATEGY_MODULES, in development all where it is not set."""
        if self.strategy_modules is None:
            return () if self.environment == "production" else ("*",)
        return self.strategy_modules

    @property
    def migrates_at_start(self) -> bool:
        """Whether to migrate at the start: development only. Production migrates in a separate step."""
        return self.environment != "production"


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse networks separated by commas. Raises ValueError if malformed, or if one is the whole internet."""
    networks = tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    if not all(network.prefixlen for network in networks):
        raise ValueError("a network of everyone")
    return networks


def is_loopback(host: str) -> bool:
    """Return whether a server on this host can only be reached from this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _complete_internal_url(text: str) -> str:
    """Return the URL. `host:port` alone, as platforms give it, is the address of a bot of ours."""
    return text if "://" in text else f"http://{text}/oms/events"


def _is_database_url(url: str) -> bool:
    try:
        database_url = make_url(url)
    except (ArgumentError, ValueError):
        return False
    return (
        bool(database_url.database)
        and ":memory:" not in (database_url.database or "")
        and "mode" not in database_url.query
    )


def load_settings() -> Settings:
    """Read the settings.

    Raises ConfigurationError with one line per problem, which names the variable but never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError("\n".join(map(_format_problem, error.errors(include_input=False)))) from None


def _format_problem(problem: ErrorDetails) -> str:
    location, kind = problem["loc"], problem["type"]
    message = problem["msg"].removeprefix("Value error, ")
    name = ".".join(str(part) for part in location).upper()
    if kind == "missing":
        return f"{name} is not set: run `python generate_api_key.py` and set it in the environment or .env"
    return message if not name or message.startswith(name) else f"{name}: {message}"
