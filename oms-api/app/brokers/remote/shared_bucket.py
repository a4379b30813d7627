"""A bucket of request tokens that all processes share through Redis.

Without an answer of Redis, the process uses its own tokens. A header of the broker
may then still state how many requests are left for all of them.
"""

import logging
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from app.brokers.remote.request_budget import REQUESTS_PER_MINUTE, WINDOW_SECONDS, LocalTokenBucket

TIMEOUT_SECONDS = 0.5
_KEPT_SECONDS = 2 * WINDOW_SECONDS  # then the bucket is full again
_KEY_PREFIX = "slackoms-broker-requests:"
# Returns the level after the call, and the seconds to wait if no token was taken. ARGV: capacity, tokens per
# second, tokens to leave (or -1 to take none), the level that the broker reports (or ""), tokens to return.
_SCRIPT = f"""
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local capacity, rate, reserved = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = capacity
if held[1] then
  level = math.min(capacity, tonumber(held[1]) + math.max(0, now - tonumber(held[2])) * rate)
end
level = math.min(capacity, level + tonumber(ARGV[5]))
if ARGV[4] ~= '' then level = math.min(level, tonumber(ARGV[4])) end
local wait = 0
if reserved >= 0 then
  if level >= reserved + 1 then level = level - 1 else wait = (reserved + 1 - level) / rate end
end
redis.call('HSET', KEYS[1], 'level', string.format('%.6f', level), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], {_KEPT_SECONDS})
return {{string.format('%.6f', level), string.format('%.6f', wait)}}
"""
_TAKE_NONE = -1
_LOG = logging.getLogger(__name__)


class RedisTokenBucket:
    """Implements `TokenBucket`. `name` identifies the account and the broker."""

    def __init__(
        self,
        redis_url: str,
        name: str,
        capacity: int = REQUESTS_PER_MINUTE,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self._own = LocalTokenBucket(capacity, window_seconds=window_seconds)
        self.capacity, self._window_seconds = capacity, window_seconds
        self._key = f"{_KEY_PREFIX}{name}"
        redis = Redis.from_url(
            redis_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._script: Any = redis.register_script(
            _SCRIPT
        )  # Any: redis types scripts for both clients together
        self._is_reachable = True

    def take(self, reserved: int) -> float:
        """Take a token, or return the seconds to wait."""
        result = self._call(reserved, "")
        return self._own.take(reserved) if result is None else result[1]

    def return_token(self) -> None:
        """Return a token that was taken and not used."""
        if self._call(_TAKE_NONE, "", 1) is None:
            self._own.return_token()

    def get_level(self) -> float:
        """Return the number of tokens that are left."""
        result = self._call(_TAKE_NONE, "")
        return self._own.get_level() if result is None else result[0]

    def set_level(self, level: float) -> None:
        """Lower the number of tokens to `level`."""
        self._own.set_level(level)
        self._call(_TAKE_NONE, f"{level:.6f}")

    def _call(self, reserved: int, reported: str, returned: int = 0) -> tuple[float, float] | None:
        arguments = (self.capacity, self.capacity / self._window_seconds, reserved, reported, returned)
        try:
            level, wait = self._script(keys=[self._key], args=arguments)
        except RedisError as error:
            if self._is_reachable:
                _LOG.warning(
                    "the rate limit of a broker is not shared: Redis failed (%s)", type(error).__name__
                )
            self._is_reachable = False
            return None
        self._is_reachable = True
        return float(level), float(wait)
