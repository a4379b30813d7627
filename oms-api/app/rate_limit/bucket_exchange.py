"""Rate limit buckets that processes share through Redis, without delaying any request.

Each process takes from its own buckets. Every EXCHANGE_SECONDS it sends Redis what it took, and receives the
shared levels, which a script maintains. Between two exchanges a process may admit requests for tokens that
another process has already used. The shared bucket then has a negative level, which all of them refill.
Without Redis each process uses its own buckets.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Protocol

from app.clock import monotonic_seconds
from app.rate_limit.buckets import WINDOW_SECONDS, Bucket, TakenTokens
from app.rate_limit.limiter import RateLimiter

if TYPE_CHECKING:
    from redis.asyncio import Redis

EXCHANGE_SECONDS = 0.1
RETRY_SECONDS = 1.0
REDIS_TIMEOUT_SECONDS = 0.5
_QUIET_SECONDS = 1.0  # the interval of connection checks when there is nothing to send
_MAX_BUCKETS_PER_CALL = 200  # keeps the calls short for Redis and the event loop
_KEY_PREFIX = "{slackoms-rates}"  # the braces keep all keys of a call on one cluster node
_SCRIPT = f"""
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local levels = {{}}
for i, key in ipairs(KEYS) do
  local capacity, taken = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i])
  local rate = tonumber(ARGV[3 * i - 1])
  local held = redis.call('HMGET', key, 'level', 'at')
  local level = capacity
  if held[1] then
    local earned = math.max(0, now - tonumber(held[2])) * rate
    level = math.min(capacity, tonumber(held[1]) + earned)
  end
  levels[i] = string.format('%.6f', math.min(capacity, math.max(level - taken, -capacity)))
  redis.call('HSET', key, 'level', levels[i], 'at', string.format('%.6f', now))
  redis.call('EXPIRE', key, rate > 0 and math.ceil(2 * capacity / rate) or {2 * WINDOW_SECONDS})
end
return levels
"""
RateLimitScope = Literal["shared", "per process", "off"]
_LOG = logging.getLogger(__name__)


class BucketPool(Protocol):
    """Buckets of one process that are shared with other processes."""

    def start_recording(self) -> None:
        """Start to record the taken tokens."""

    @property
    def has_changes(self) -> bool:
        """Return whether anything was taken since the last `drain`."""

    def drain(self) -> list[TakenTokens]:
        """Return the tokens taken since the last call, by bucket."""

    def update_level(self, bucket: Bucket, level: float) -> None:
        """Set the level that all processes share."""


class BucketExchange:
    """Exchanges pools of buckets with other processes through `redis_url`, as a task of the event loop."""

    def __init__(self, redis_url: str, *pools: BucketPool) -> None:
        self._pools = pools
        self._url = redis_url
        self._redis: Redis | None = None
        self._script: Any = None  # Any: redis types its scripts for its sync and async clients together
        self._task: asyncio.Task[None] | None = None
        self.is_shared = False

    def connect(self) -> None:
        """Prepare the client. The connection is opened on first use."""
        from redis.asyncio import Redis  # noqa: PLC0415  # The client imports slowly, and most installations have no Redis.
        from redis.asyncio.retry import Retry  # noqa: PLC0415  # The client imports slowly, and most installations have no Redis.
        from redis.backoff import NoBackoff  # noqa: PLC0415  # The client imports slowly, and most installations have no Redis.

        self._redis = Redis.from_url(
            self._url,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            max_connections=1,
            protocol=2,
        )
        self._script = self._redis.register_script(_SCRIPT)
        for pool in self._pools:
            pool.start_recording()

    def start(self) -> None:
        """Start the exchange. Redis need not be available."""
        self.connect()
        self._task = asyncio.get_running_loop().create_task(self._exchange_forever())

    async def close(self) -> None:
        """Stop the exchange and close the connection."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._redis is not None:
            await self._redis.aclose()

    async def exchange(self) -> None:
        """Send the taken tokens and receive the shared levels. With nothing to send, check the connection.

        If a call fails, its counts and those of the calls that would follow are dropped: the process's own
        buckets already include them, and those of the failed call may have arrived. Other processes may then
        admit that many requests more.
        """
        counts = [(pool, count) for pool in self._pools for count in pool.drain()]
        for start in range(0, max(1, len(counts)), _MAX_BUCKETS_PER_CALL):
            await self._exchange_counts(counts[start : start + _MAX_BUCKETS_PER_CALL])

    async def _exchange_counts(self, counts: Sequence[tuple[BucketPool, TakenTokens]]) -> None:
        keys = [f"{_KEY_PREFIX}:{bucket.limit.name}:{bucket.key}" for _, (bucket, _) in counts]
        numbers = [
            number
            for _, (bucket, count) in counts
            for number in (int(bucket.limit.capacity), bucket.limit.per_second, count)
        ]
        levels = await self._script(keys=keys, args=numbers)
        for (pool, (bucket, _)), level in zip(counts, levels, strict=True):
            pool.update_level(bucket, float(level))

    @property
    def _has_changes(self) -> bool:
        return any(pool.has_changes for pool in self._pools)

    async def _exchange_forever(self) -> None:
        exchanged_at = -_QUIET_SECONDS
        while True:
            try:
                if self._has_changes or monotonic_seconds() - exchanged_at >= _QUIET_SECONDS:
                    exchanged_at = monotonic_seconds()
                    async with asyncio.timeout(4 * REDIS_TIMEOUT_SECONDS):
                        await self.exchange()
            except Exception as error:  # noqa: BLE001  # the limits must work without Redis
                self._report_state(is_shared=False, reason=type(error).__name__)
            else:
                self._report_state(is_shared=True)
            await asyncio.sleep(EXCHANGE_SECONDS if self.is_shared else RETRY_SECONDS)

    def _report_state(self, *, is_shared: bool, reason: str = "") -> None:
        if is_shared and not self.is_shared:
            _LOG.info("rate limits are shared")
        if self.is_shared and not is_shared:
            _LOG.warning("rate limits are per process: Redis is unavailable", extra={"reason": reason})
        self.is_shared = is_shared


def get_rate_limit_scope(limiter: RateLimiter, bucket_exchange: BucketExchange | None) -> RateLimitScope:
    """Return the state of the limits for the readiness check."""
    if not limiter.is_on:
        return "off"
    return "shared" if bucket_exchange is not None and bucket_exchange.is_shared else "per process"
