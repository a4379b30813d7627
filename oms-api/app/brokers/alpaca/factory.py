"""Create the adapter of a connection."""

from sqlalchemy import Engine

from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.alpaca.client import LABEL, AlpacaCredentials
from app.brokers.remote.budgets import get_budget
from app.brokers.remote.request_budget import REQUESTS_PER_MINUTE, WINDOW_SECONDS
from app.brokers.rules.connections import ConnectionTerms
from app.brokers.rules.rate_limits import RateLimit

LIMIT = RateLimit(REQUESTS_PER_MINUTE, WINDOW_SECONDS)


def create_alpaca_broker(terms: ConnectionTerms, engine: Engine | None = None) -> AlpacaBroker:
    """Return the adapter of a connection. It sends nothing yet."""
    credentials = AlpacaCredentials(terms.credentials["key_id"], terms.credentials["secret_key"])
    # With the secret, so that a person who only knows the key's ID cannot use up its limit.
    budget = get_budget(LABEL, f"{credentials.key_id}:{credentials.secret_key}", engine, LIMIT)
    return AlpacaBroker(terms.base_url, credentials, budget=budget)
