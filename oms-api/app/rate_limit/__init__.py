"""How often who may ask: a token bucket for each key and person, each tenant, each address."""

from app.rate_limit.buckets import Limit, OverLimit, RateState
from app.rate_limit.limiter import Quotas, RateLimiter
from app.rate_limit.sharing import RateLimits, Sharing, shared_state

__all__ = [
    "Limit",
    "OverLimit",
    "Quotas",
    "RateLimiter",
    "RateLimits",
    "RateState",
    "Sharing",
    "shared_state",
]
