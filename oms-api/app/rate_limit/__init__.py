"""Rate limits: a token bucket per key and person, per tenant and per address."""

from app.rate_limit.buckets import Bucket, Limit, OverLimit, RateState, Taken
from app.rate_limit.limiter import Quotas, RateLimiter
from app.rate_limit.sharing import Pool, RateLimits, Sharing, describe_shared_state
from app.rate_limit.slots import SlotLimits, Slots

__all__ = [
    "Bucket",
    "Limit",
    "OverLimit",
    "Pool",
    "Quotas",
    "RateLimiter",
    "RateLimits",
    "RateState",
    "Sharing",
    "SlotLimits",
    "Slots",
    "Taken",
    "describe_shared_state",
]
