"""Creates the adapter of a connection, and sessions."""

from app.brokers.kite.broker import KiteBroker
from app.brokers.kite.client import BURST, BURST_SECONDS, LABEL, KiteCredentials
from app.brokers.remote.budgets import get_budget
from app.brokers.rules.connections import ConnectionTerms

_ORDERS, _QUERIES = "orders", "queries"


def create_kite_broker(terms: ConnectionTerms, redis_url: str | None = None) -> KiteBroker:
    """Return the adapter of a connection. It sends nothing yet."""
    credentials = get_credentials(terms)
    key = credentials.api_key
    return KiteBroker(
        terms.base_url,
        credentials,
        budget=get_budget(LABEL, key, redis_url, BURST, BURST_SECONDS, _ORDERS),
        query_budget=get_budget(LABEL, key, redis_url, BURST, BURST_SECONDS, _QUERIES),
    )


def get_credentials(terms: ConnectionTerms) -> KiteCredentials:
    """Return the credentials of a connection, without a token before the first log-in."""
    values = terms.credentials
    return KiteCredentials(values["api_key"], values["api_secret"], values.get("access_token"))
