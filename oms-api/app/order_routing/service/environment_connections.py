"""Keep the connection `env-alpaca` of the first tenant as the environment describes it."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine

from app.brokers import queries
from app.brokers.queries import StoredConnection
from app.brokers.rules.connections import BrokerName, ConnectionStatus, ConnectionTerms
from app.brokers.service.credentials import CredentialsUnreadable, encrypt_credentials, get_terms
from app.encryption import KeyRing
from app.identity.rules.access import FIRST_TENANT
from app.order_routing.queries import transaction

NAME = "env-alpaca"
_ID = "bc_environment_alpaca"
_LIVE_HOST = "https://api.alpaca.markets"
_PAPER = "https://paper-api.alpaca.markets"
_ACTOR = "environment"


class AlpacaVariables(NamedTuple):
    """The variables ALPACA_API_KEY, ALPACA_API_SECRET and ALPACA_BASE_URL."""

    key_id: str
    secret_key: str
    base_url: str | None


def save_environment_connection(
    engine: Engine, keys: KeyRing, variables: AlpacaVariables, now: datetime
) -> None:
    """Create or update the connection. A live address still needs a second person to enable it."""
    base_url = (variables.base_url or _PAPER).rstrip("/")
    credentials = {"key_id": variables.key_id, "secret_key": variables.secret_key}
    terms = ConnectionTerms(BrokerName.ALPACA.value, base_url, base_url == _LIVE_HOST, None, credentials)
    with transaction(engine, FIRST_TENANT) as connection:
        known = queries.find_connection(connection, FIRST_TENANT, NAME, locks=True)
        if known is None:
            queries.insert_connection(connection, _build(keys, terms, now))
        elif not _is_same(keys, known, terms):
            fresh = _build(keys, terms, now)._asdict()
            kept = {"id", "tenant_id", "name", "cursor", "version", "created_by", "created_at"}
            changes = {name: value for name, value in fresh.items() if name not in kept}
            queries.update_connection(connection, known, changes)


def _is_same(keys: KeyRing, known: StoredConnection, terms: ConnectionTerms) -> bool:
    if (known.base_url, known.is_live) != (terms.base_url, terms.is_live):
        return False
    try:
        return get_terms(keys, known).credentials == terms.credentials
    except CredentialsUnreadable:
        return False


def _build(keys: KeyRing, terms: ConnectionTerms, now: datetime) -> StoredConnection:
    status = ConnectionStatus.AWAITING_LIVE if terms.is_live else ConnectionStatus.NEW
    return StoredConnection(
        id=_ID, tenant_id=FIRST_TENANT, name=NAME, broker=terms.broker, is_live=terms.is_live, account=None,
        base_url=terms.base_url,
        credentials=encrypt_credentials(keys, FIRST_TENANT, _ID, dict(terms.credentials)),
        live_enabled_by=None, live_enabled_at=None, status=status.value, error=None, connected_since=None,
        last_event_at=None, checked_at=None, requests_left=None, session_expires_at=None, cursor=0, version=1,
        created_by=_ACTOR, changed_by=_ACTOR, created_at=now, updated_at=now,
    )  # fmt: skip
