"""Create the adapter of a connection."""

from sqlalchemy import Engine

from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.alpaca.client import LABEL, AlpacaCredentials
from app.brokers.remote.rate_limiters import get_rate_limiter
from app.brokers.remote.request_rate_limiter import REQUESTS_PER_MINUTE, WINDOW_SECONDS
from app.brokers.rules.connections import ConnectionTerms
from app.brokers.rules.rate_limits import RateLimit

LIMIT = RateLimit(REQUESTS_PER_MINUTE, WINDOW_SECONDS)


def create_alpaca_broker(terms: ConnectionTerms, engine: Engine | None = None) -> AlpacaBroker:
    """Return the adapter of a connection. It sends nothing yet."""
    credentials = AlpacaCredentials(terms.credentials["key_id"], terms.credentials["secret_key"])
    # With the secret, so that a person who only knows the key's ID cannot use up its limit.
    rate_limiter = get_rate_limiter(LABEL, f"{credentials.key_id}:{credentials.secret_key}", engine, LIMIT)
    return AlpacaBroker(terms.base_url, credentials, rate_limiter=rate_limiter)
