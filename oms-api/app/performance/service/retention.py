"""Delete old interval snapshots of equity. Snapshots at closes and flows are kept forever."""

from datetime import datetime, timedelta

from sqlalchemy import Engine

from app.clock import Now
from app.database import ALL_TENANTS, snapshot, unit_of_work
from app.jobs.service import Lease
from app.performance import queries
from app.performance.queries import OldSnapshots

MAX_PORTFOLIOS = 500  # per query
CHUNK = timedelta(days=1)  # of a portfolio, per transaction


class SnapshotRetention:
    """Prunes the interval snapshots of all tenants that are older than `retention`."""

    def __init__(self, engine: Engine, retention: timedelta, now: Now) -> None:
        self._engine, self._retention, self._now = engine, retention, now

    def prune(self, lease: Lease) -> None:
        """Delete the old snapshots of each portfolio, oldest first, one CHUNK per transaction."""
        before, after = self._now() - self._retention, 0
        while True:
            with snapshot(self._engine, ALL_TENANTS) as connection:
                page = queries.list_old_snapshots(connection, before, after, MAX_PORTFOLIOS)
            for old_snapshots in page:
                self._prune_portfolio(old_snapshots, before, lease)
            if len(page) < MAX_PORTFOLIOS:
                return
            after = page[-1].portfolio_id
            lease.renew()

    def _prune_portfolio(self, old_snapshots: OldSnapshots, before: datetime, lease: Lease) -> None:
        start = old_snapshots.first_at
        while start is not None and start < before:
            end = min(start + CHUNK, before)
            with unit_of_work(self._engine, ALL_TENANTS) as connection:
                queries.delete_interval_snapshots(connection, old_snapshots, end)
            lease.renew()
            start = end
