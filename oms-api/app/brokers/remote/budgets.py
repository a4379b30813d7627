"""The rate limits of accounts. All adapters of an account in a process share one."""

import hashlib
import threading

from app.brokers.remote.request_budget import WINDOW_SECONDS, LocalTokenBucket, RequestBudget
from app.brokers.remote.shared_bucket import RedisTokenBucket

_NAME_LENGTH = 24
_budgets: dict[tuple[str, str | None], RequestBudget] = {}
_lock = threading.Lock()


def get_budget(
    label: str,
    key: str,
    redis_url: str | None,
    capacity: int,
    window_seconds: float = WINDOW_SECONDS,
    kind: str = "requests",
) -> RequestBudget:
    """Return the budget of the account with the API key `key`, for the requests of a kind.

    With Redis, all processes share it.
    """
    name = f"{label.lower()}-{kind}:{hashlib.sha256(key.encode()).hexdigest()[:_NAME_LENGTH]}"
    with _lock:
        budget = _budgets.get((name, redis_url))
        if budget is None:
            bucket = (
                RedisTokenBucket(redis_url, name, capacity, window_seconds)
                if redis_url
                else LocalTokenBucket(capacity, window_seconds=window_seconds)
            )
            budget = _budgets[name, redis_url] = RequestBudget(bucket, label=label)
        return budget
