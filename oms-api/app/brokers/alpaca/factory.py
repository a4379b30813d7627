"""Creates the adapter of a connection."""

from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.alpaca.client import LABEL, AlpacaCredentials
from app.brokers.remote.budgets import get_budget
from app.brokers.remote.request_budget import REQUESTS_PER_MINUTE
from app.brokers.rules.connections import ConnectionTerms


def create_alpaca_broker(terms: ConnectionTerms, redis_url: str | None = None) -> AlpacaBroker:
    """Return the adapter of a connection. It sends nothing yet."""
    credentials = AlpacaCredentials(terms.credentials["key_id"], terms.credentials["secret_key"])
    budget = get_budget(LABEL, credentials.key_id, redis_url, REQUESTS_PER_MINUTE)
    return AlpacaBroker(terms.base_url, credentials, budget=budget)
