"""The rate limits of accounts. All adapters of an account in a process share one."""

import hashlib
import threading
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Engine

from app.brokers.remote.database_bucket import DatabaseTokenBucket
from app.brokers.remote.request_budget import (
    FurtherLimit,
    LocalTokenBucket,
    Priority,
    RequestBudget,
    TokenBucket,
)
from app.brokers.remote.shared_bucket import RedisTokenBucket
from app.brokers.rules.rate_limits import RateLimit

_NAME_LENGTH = 24


class LimitStore(NamedTuple):
    """Where processes share rate limits: in Redis if there is one, else in the database, else nowhere.

    Redis keeps limits that refill evenly, the database also those of a day.
    """

    redis_url: str | None = None
    engine: Engine | None = None


NOT_SHARED = LimitStore()
_budgets: dict[tuple[str, LimitStore], RequestBudget] = {}
_lock = threading.Lock()


def get_budget(
    label: str,
    key: str,
    store: LimitStore,
    limit: RateLimit,
    kind: str = "requests",
    further: Mapping[str, tuple[RateLimit, frozenset[Priority]]] | None = None,
) -> RequestBudget:
    """Return the budget of the account with the API key and secret `key`, for the requests of a kind.

    `further` are limits beside the first one, by their name, with the priorities that they count.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()[:_NAME_LENGTH]
    name = f"{label.lower()}-{kind}:{digest}"
    with _lock:
        budget = _budgets.get((name, store))
        if budget is None:
            others = [
                FurtherLimit(_create_bucket(f"{label.lower()}-{other}:{digest}", store, terms), priorities)
                for other, (terms, priorities) in (further or {}).items()
            ]
            bucket = _create_bucket(name, store, limit)
            budget = _budgets[name, store] = RequestBudget(bucket, label=label, further=others)
        return budget


def _create_bucket(name: str, store: LimitStore, limit: RateLimit) -> TokenBucket:
    if store.redis_url and limit.resets_daily is None:
        return RedisTokenBucket(store.redis_url, name, limit.capacity, limit.window_seconds)
    if store.engine is not None:
        return DatabaseTokenBucket(store.engine, name, limit)
    return LocalTokenBucket(limit.capacity, window_seconds=limit.window_seconds)
