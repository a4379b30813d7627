"""Delete old inputs of strategies. The head of each journal is kept with its state."""

from datetime import timedelta

from sqlalchemy import Engine

from app.clock import Now
from app.database import ALL_TENANTS, unit_of_work
from app.jobs.service import Lease
from app.strategies.queries.journal import delete_inputs


class JournalRetention:
    """Deletes the inputs of all tenants that are older than `retention`."""

    def __init__(self, engine: Engine, retention: timedelta, now: Now) -> None:
        self._engine, self._retention, self._now = engine, retention, now

    def prune(self, _: Lease) -> None:
        """Delete old inputs."""
        with unit_of_work(self._engine, ALL_TENANTS) as connection:
            delete_inputs(connection, self._now() - self._retention)
