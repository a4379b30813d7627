"""Keep the connections `env-alpaca` and `env-ibkr` of the first tenant as the environment describes them."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine

from app.brokers import queries
from app.brokers.queries import StoredConnection
from app.brokers.rules.connections import BrokerName, ConnectionStatus, ConnectionTerms, is_live_gateway
from app.brokers.service.credentials import CredentialsUnreadable, build_connection_terms, encrypt_credentials
from app.encryption import EncryptionKeys
from app.identity.rules.access import FIRST_TENANT
from app.order_routing.queries import open_transaction

ALPACA_NAME, IBKR_NAME = "env-alpaca", "env-ibkr"
_LIVE_HOST = "https://api.alpaca.markets"
_PAPER = "https://paper-api.alpaca.markets"
_GATEWAY_HOST, _GATEWAY_PORT = "127.0.0.1", 4002
_ACTOR = "environment"


class EnvironmentConnection(NamedTuple):
    """A connection that the environment describes."""

    id: str
    name: str
    terms: ConnectionTerms


class AlpacaVariables(NamedTuple):
    """The variables ALPACA_API_KEY, ALPACA_API_SECRET and ALPACA_BASE_URL."""

    key_id: str
    secret_key: str
    base_url: str | None


class IbkrVariables(NamedTuple):
    """The variables IB_HOST, IB_PORT and IB_ACCOUNT."""

    host: str | None
    port: int | None
    account: str | None


def build_alpaca_connection(variables: AlpacaVariables) -> EnvironmentConnection:
    """Return the connection to Alpaca. It is live if the address is a live one."""
    base_url = (variables.base_url or _PAPER).rstrip("/")
    credentials = {"key_id": variables.key_id, "secret_key": variables.secret_key}
    terms = ConnectionTerms(BrokerName.ALPACA.value, base_url, base_url == _LIVE_HOST, None, credentials)
    return EnvironmentConnection("bc_environment_alpaca", ALPACA_NAME, terms)


def build_ibkr_connection(variables: IbkrVariables) -> EnvironmentConnection:
    """Return the connection to IBKR. It is live if the port or the account is a live one."""
    base_url = f"{variables.host or _GATEWAY_HOST}:{variables.port or _GATEWAY_PORT}"
    is_live = is_live_gateway(base_url, variables.account)
    terms = ConnectionTerms(BrokerName.IBKR.value, base_url, is_live, variables.account, {})
    return EnvironmentConnection("bc_environment_ibkr", IBKR_NAME, terms)


def save_environment_connection(
    engine: Engine, keys: EncryptionKeys, settings: EnvironmentConnection, now: datetime
) -> None:
    """Create or update the connection. A live one still needs a second person to enable it."""
    with open_transaction(engine, FIRST_TENANT) as connection:
        stored = queries.find_connection(connection, FIRST_TENANT, settings.name, locks=True)
        if stored is None:
            queries.CONNECTIONS.insert(connection, _build(keys, settings, now))
        elif not _is_same(keys, stored, settings.terms):
            current_values = _build(keys, settings, now)._asdict()
            unchanged_columns = {"id", "tenant_id", "name", "cursor", "version", "created_by", "created_at"}
            changes = {name: value for name, value in current_values.items() if name not in unchanged_columns}
            queries.update_connection(connection, stored, changes)


def _is_same(keys: EncryptionKeys, stored: StoredConnection, terms: ConnectionTerms) -> bool:
    is_other_account = terms.account is not None and terms.account != stored.account
    if (stored.base_url, stored.is_live) != (terms.base_url, terms.is_live) or is_other_account:
        return False
    try:
        return build_connection_terms(keys, stored).credentials == terms.credentials
    except CredentialsUnreadable:
        return False


def _build(keys: EncryptionKeys, settings: EnvironmentConnection, now: datetime) -> StoredConnection:
    terms = settings.terms
    status = ConnectionStatus.AWAITING_LIVE if terms.is_live else ConnectionStatus.NEW
    return StoredConnection(
        id=settings.id, tenant_id=FIRST_TENANT, name=settings.name, broker=terms.broker,
        is_live=terms.is_live, account=terms.account, base_url=terms.base_url,
        credentials=encrypt_credentials(keys, FIRST_TENANT, settings.id, dict(terms.credentials)),
        live_enabled_by=None, live_enabled_at=None, status=status.value, error=None, connected_since=None,
        last_event_at=None, checked_at=None, requests_left=None, session_expires_at=None, cursor=0, version=1,
        created_by=_ACTOR, changed_by=_ACTOR, created_at=now, updated_at=now,
    )  # fmt: skip
