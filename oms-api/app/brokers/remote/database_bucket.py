"""A bucket of request tokens that all processes share through a row of the database.

A process takes tokens in portions, so that not every request costs a transaction, and takes the next portion
ahead while it uses tokens. Tokens that the process does not use soon are lost, at most one portion. Without
the database, the process uses its own tokens.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import cast

from sqlalchemy import Connection, Engine, Table, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from app.brokers.models import BrokerRateLimitRow
from app.brokers.remote.request_rate_limiter import LocalTokenBucket
from app.brokers.rules.rate_limits import RateLimit, refill
from app.clock import Now, monotonic_seconds, utc_now
from app.database import unit_of_work

PORTION_SHARE = 40  # a portion is the capacity divided by this, at least one token
PORTION_LIFETIME_SECONDS = 5.0  # a process drops unused tokens of a portion afterwards
RECENT_USE_SECONDS = 60.0  # after its last portion, a process takes none ahead
_MILLI = 1000
_LIMITS = cast("Table", BrokerRateLimitRow.__table__)
_LOG = logging.getLogger(__name__)


class DatabaseTokenBucket:
    """Implements `TokenBucket`. `name` identifies the account and the kind of requests."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        limit: RateLimit,
        now: Now = utc_now,
        clock: Callable[[], float] = monotonic_seconds,
    ) -> None:
        self._engine, self._name, self._limit, self._now, self._clock = engine, name, limit, now, clock
        self._own = LocalTokenBucket(limit.capacity, clock, limit.window_seconds)
        self.capacity = limit.capacity
        self._portion = max(limit.capacity // PORTION_SHARE, 1)
        self._portion_tokens, self._portion_since = 0.0, 0.0  # tokens of this process
        self._shared_level = float(limit.capacity)  # as read last
        self._taken_at: float | None = None  # the last portion
        self._is_reachable = True

    def take_token(self, reserved: int) -> float:
        """Take a token, or return the seconds to wait."""
        self._drop_unused()
        if self._portion_tokens >= 1 and self._shared_level + self._portion_tokens >= reserved + 1:
            self._portion_tokens -= 1
            return 0.0
        self._taken_at = self._clock()
        return self._run(partial(self._take_portion, reserved=reserved), self._own.take_token, reserved)

    def return_token(self) -> None:
        """Return a token that was taken and not used."""
        self._portion_tokens, self._portion_since = self._portion_tokens + 1, self._clock()

    def get_level(self) -> float:
        """Return the number of tokens that are left for all processes."""
        self._drop_unused()
        is_used = self._taken_at is not None and self._clock() - self._taken_at < RECENT_USE_SECONDS
        read = self._take_ahead if is_used and self._portion_tokens < self._portion else self._read_level
        return self._run(read, lambda _: self._own.get_level(), 0)

    def set_level(self, level: float) -> None:
        """Lower the number of tokens to `level`."""
        self._own.set_level(level)
        if level < self._shared_level + self._portion_tokens:
            self._portion_tokens = min(self._portion_tokens, level)
            self._run(lambda connection: self._lower(connection, level), lambda _: 0.0, 0)

    def _take_portion(self, connection: Connection, *, reserved: int) -> float:
        level = self._load(connection)
        if level < reserved + 1:
            self._save(connection, level)
            return self._get_wait(reserved + 1 - level)
        tokens = min(float(self._portion), float(int(level - reserved)))
        self._save(connection, level - tokens)
        self._portion_tokens, self._portion_since = tokens - 1, self._clock()
        return 0.0

    def _take_ahead(self, connection: Connection) -> float:
        level = self._load(connection)
        tokens = min(
            self._portion - self._portion_tokens, float(int(level / 2))
        )  # others may need the last ones
        self._save(connection, level - tokens)
        self._portion_tokens, self._portion_since = self._portion_tokens + tokens, self._clock()
        return self._shared_level + self._portion_tokens

    def _get_wait(self, missing: float) -> float:
        limit = self._limit  # the tokens of a day do not come back before it ends
        return limit.window_seconds if limit.resets_daily else missing * limit.window_seconds / limit.capacity

    def _read_level(self, connection: Connection) -> float:
        row = connection.execute(select(_LIMITS).where(_LIMITS.c.name == self._name)).one_or_none()
        if row is not None:
            self._shared_level = refill(self._limit, row.millitokens / _MILLI, row.updated_at, self._now())
        return self._shared_level + self._portion_tokens

    def _lower(self, connection: Connection, level: float) -> float:
        self._save(connection, min(self._load(connection), level))
        return 0.0

    def _load(self, connection: Connection) -> float:
        """Lock the row, which is created if there is none, and return its tokens of now."""
        statement = select(_LIMITS).where(_LIMITS.c.name == self._name).with_for_update()
        row = connection.execute(statement).one_or_none()
        if row is None:
            full = {"name": self._name, "millitokens": self.capacity * _MILLI, "updated_at": self._now()}
            connection.execute(insert(_LIMITS).values(**full))
            return float(self.capacity)
        return refill(self._limit, row.millitokens / _MILLI, row.updated_at, self._now())

    def _save(self, connection: Connection, level: float) -> None:
        self._shared_level = level
        values = {"millitokens": int(level * _MILLI), "updated_at": self._now()}
        connection.execute(update(_LIMITS).where(_LIMITS.c.name == self._name).values(**values))

    def _run(
        self, work: Callable[[Connection], float], alone: Callable[[int], float], argument: int
    ) -> float:
        """Return the result of a transaction, or of `alone` if the database does not answer."""
        try:
            try:
                with unit_of_work(self._engine) as connection:
                    result = work(connection)
            except IntegrityError:  # another process has created the row meanwhile
                with unit_of_work(self._engine) as connection:
                    result = work(connection)
        except SQLAlchemyError as error:
            if self._is_reachable:
                reason = type(error).__name__
                _LOG.warning("the rate limit of a broker is not shared: the database failed (%s)", reason)
            self._is_reachable = False
            return alone(argument)
        self._is_reachable = True
        return result

    def _drop_unused(self) -> None:
        if self._portion_tokens and self._clock() - self._portion_since > PORTION_LIFETIME_SECONDS:
            self._portion_tokens = 0.0
