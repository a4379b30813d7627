"""The lease that lets one process at a time do something, such as run the session of a broker."""

import os
import secrets
import socket
from datetime import timedelta

from sqlalchemy import Engine

from app.clock import Now, monotonic_seconds
from app.database import unit_of_work
from app.jobs import queries

LEASE_DURATION = timedelta(seconds=15)
RENEW_SECONDS = 4.0


def build_holder_name() -> str:
    """Return a name of this process: its host, its process id, and a random part."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


class ProcessLease:
    """A lease by its name. Its functions raise SQLAlchemyError.

    A process without it tries to take it at each call of `keep`, at most once in `retry_seconds`.
    """

    def __init__(self, engine: Engine, name: str, now: Now, retry_seconds: float = 0.0) -> None:
        self._engine, self._name, self._now, self._retry_seconds = engine, name, now, retry_seconds
        self._holder = build_holder_name()
        self._kept_at = self._next_attempt_at = 0.0  # monotonic times
        self.is_held = False

    @property
    def is_expired(self) -> bool:
        """Whether the lease was not extended in time, so that another process may have it."""
        return monotonic_seconds() - self._kept_at > LEASE_DURATION.total_seconds()

    def keep(self) -> bool:
        """Take or extend the lease if that is due. Return whether this process has it."""
        moment, now = monotonic_seconds(), self._now()
        if moment < self._next_attempt_at:
            return self.is_held
        with unit_of_work(self._engine) as connection:
            if self.is_held:
                is_mine = queries.renew_lease(connection, self._name, self._holder, now + LEASE_DURATION)
            else:
                is_mine = queries.acquire_lease(
                    connection, self._name, self._holder, now, now, now + LEASE_DURATION
                )
        self.is_held, self._kept_at = is_mine, moment
        self._next_attempt_at = moment + (RENEW_SECONDS if is_mine else self._retry_seconds)
        return is_mine

    def release(self, duration_ms: int = 0) -> None:
        """Give the lease back, so that another process can go on at once."""
        if self.is_held:
            with unit_of_work(self._engine) as connection:
                queries.release_lease(connection, self._name, self._holder, self._now(), duration_ms, None)
            self.is_held, self._next_attempt_at = False, 0.0
