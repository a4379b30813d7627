"""The rate limiters of accounts. All adapters of an account in a process share one."""

import hashlib
import threading
from collections.abc import Mapping

from sqlalchemy import Engine

from app.brokers.remote.database_bucket import DatabaseTokenBucket
from app.brokers.remote.request_rate_limiter import (
    FurtherLimit,
    LocalTokenBucket,
    Priority,
    RequestRateLimiter,
    TokenBucket,
)
from app.brokers.rules.rate_limits import RateLimit

_NAME_LENGTH = 24
_rate_limiters: dict[tuple[str, Engine | None], RequestRateLimiter] = {}
_lock = threading.Lock()


def get_rate_limiter(
    label: str,
    key: str,
    engine: Engine | None,
    limit: RateLimit,
    kind: str = "requests",
    further_limits: Mapping[str, tuple[RateLimit, frozenset[Priority]]] | None = None,
) -> RequestRateLimiter:
    """Return the rate limiter of the account with the API key and secret `key`, for the requests of a kind.

    All processes with the database of `engine` share its tokens. Without an engine, only this process uses
    them. `further_limits` are additional limits by name, with the priorities of the requests that they count.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()[:_NAME_LENGTH]
    name = f"{label.lower()}-{kind}:{digest}"
    with _lock:
        rate_limiter = _rate_limiters.get((name, engine))
        if rate_limiter is None:
            shared_buckets = [
                FurtherLimit(_create_bucket(f"{label.lower()}-{other}:{digest}", engine, terms), priorities)
                for other, (terms, priorities) in (further_limits or {}).items()
            ]
            bucket = _create_bucket(name, engine, limit)
            rate_limiter = _rate_limiters[name, engine] = RequestRateLimiter(
                bucket, label=label, further_limits=shared_buckets
            )
        return rate_limiter


def _create_bucket(name: str, engine: Engine | None, limit: RateLimit) -> TokenBucket:
    if engine is None:
        return LocalTokenBucket(limit.capacity, window_seconds=limit.window_seconds)
    return DatabaseTokenBucket(engine, name, limit)
