"""Creates the adapter of a connection. All adapters of an account in a process share one rate limit."""

import hashlib
import threading
from functools import partial

from app.brokers.alpaca.broker import NAME, AlpacaBroker
from app.brokers.alpaca.client import AlpacaCredentials
from app.brokers.alpaca.request_budget import LocalTokenBucket, RequestBudget
from app.brokers.alpaca.shared_bucket import RedisTokenBucket
from app.brokers.protocol import ObserveRequest, ignore_request
from app.brokers.rules.connections import ConnectionTerms

_NAME_LENGTH = 24
_budgets: dict[tuple[str, str | None], RequestBudget] = {}
_lock = threading.Lock()


def create_alpaca_broker(
    terms: ConnectionTerms, redis_url: str | None = None, observe: ObserveRequest = ignore_request
) -> AlpacaBroker:
    """Return the adapter of a connection. It sends nothing yet."""
    credentials = AlpacaCredentials(terms.credentials["key_id"], terms.credentials["secret_key"])
    budget = _get_budget(credentials, redis_url)
    return AlpacaBroker(terms.base_url, credentials, budget=budget, observe=partial(observe, NAME))


def _get_budget(credentials: AlpacaCredentials, redis_url: str | None) -> RequestBudget:
    name = hashlib.sha256(credentials.key_id.encode()).hexdigest()[:_NAME_LENGTH]
    with _lock:
        budget = _budgets.get((name, redis_url))
        if budget is None:
            bucket = RedisTokenBucket(redis_url, name) if redis_url else LocalTokenBucket()
            budget = _budgets[name, redis_url] = RequestBudget(bucket)
        return budget
