"""Rate limits: a token bucket per key and person, per tenant and per address."""

from app.rate_limit.bucket_exchange import BucketExchange, BucketPool, RateLimitScope, get_rate_limit_scope
from app.rate_limit.buckets import Bucket, BucketLimit, OverLimit, RateState, TakenTokens
from app.rate_limit.limiter import Quotas, RateLimiter
from app.rate_limit.slots import SlotLimits, Slots

__all__ = [
    "Bucket",
    "BucketExchange",
    "BucketLimit",
    "BucketPool",
    "OverLimit",
    "Quotas",
    "RateLimitScope",
    "RateLimiter",
    "RateState",
    "SlotLimits",
    "Slots",
    "TakenTokens",
    "get_rate_limit_scope",
]
