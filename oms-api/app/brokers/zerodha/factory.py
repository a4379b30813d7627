"""Create the adapter of a connection, and sessions."""

from sqlalchemy import Engine

from app.brokers.remote.rate_limiters import get_rate_limiter
from app.brokers.remote.request_rate_limiter import Priority
from app.brokers.rules.connections import ConnectionTerms
from app.brokers.rules.rate_limits import RateLimit
from app.brokers.zerodha.broker import ZerodhaBroker
from app.brokers.zerodha.client import BURST, BURST_SECONDS, LABEL, KiteCredentials

_ORDERS, _QUERIES = "orders", "queries"
_PER_SECOND = RateLimit(BURST, BURST_SECONDS)
# Kite takes 400 orders a minute: 100 at once and 300 that come back within the minute are never more. Cancels
# do not count towards the 5,000 orders of a day.
_FURTHER_LIMITS = {
    "orders-per-minute": (RateLimit(100, 20.0), frozenset({Priority.ORDER, Priority.CANCEL})),
    "orders-per-day": (RateLimit(5_000, 86_400.0, "Asia/Kolkata"), frozenset({Priority.ORDER})),
}


def create_zerodha_broker(terms: ConnectionTerms, engine: Engine | None = None) -> ZerodhaBroker:
    """Return the adapter of a connection. It sends nothing yet."""
    credentials = get_credentials(terms)
    key = f"{credentials.api_key}:{credentials.api_secret}"  # the key alone cannot use them up
    return ZerodhaBroker(
        terms.base_url,
        credentials,
        rate_limiter=get_rate_limiter(LABEL, key, engine, _PER_SECOND, _ORDERS, _FURTHER_LIMITS),
        query_rate_limiter=get_rate_limiter(LABEL, key, engine, _PER_SECOND, _QUERIES),
    )


def get_credentials(terms: ConnectionTerms) -> KiteCredentials:
    """Return the credentials of a connection, without a token before the first login."""
    values = terms.credentials
    return KiteCredentials(values["api_key"], values["api_secret"], values.get("access_token"))
