"""Jobs that a test runs itself, at a time that it chooses."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from typing_extensions import override

from app.carry.service import CarryService
from app.database import connect_engine
from app.jobs.service import Lease
from app.market_data.service.bar_rollup import BarRollup
from app.performance.service.snapshots import WRITE_DELAY, SnapshotService
from app.reports.service.daily_stats import STORING_DELAY, DailyStatistics
from tests.support.service import Service

MINUTE = timedelta(minutes=1)


class EndlessLease(Lease):
    """A lease that never ends."""

    def __init__(self) -> None:
        """Need no database."""

    @override
    def renew(self) -> None:
        """Do nothing."""


@contextmanager
def run_snapshot_service(
    service: Service, at: datetime, interval: timedelta = MINUTE
) -> Iterator[SnapshotService]:
    """Yield the service of snapshots as it works shortly after an instant."""
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    read_quotes = service.app.state.market.load_past_marks
    try:
        yield SnapshotService(
            engine, read_quotes, service.app.state.calendars, interval, lambda: at + WRITE_DELAY
        )
    finally:
        engine.dispose()


@contextmanager
def run_carry_service(service: Service, at: datetime) -> Iterator[CarryService]:
    """Yield the service of interest and borrow fees as it works shortly after an instant."""
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    state = service.app.state
    try:
        yield CarryService(engine, state.market.load_past_marks, state.calendars, lambda: at + WRITE_DELAY)
    finally:
        engine.dispose()


def book_carry(service: Service, at: datetime) -> None:
    """Book the interest and the borrow fees that are due at an instant."""
    with run_carry_service(service, at) as carry:
        carry.book(EndlessLease())


def take_snapshots(service: Service, at: datetime) -> None:
    """Take the snapshots that are due at an instant."""
    with run_snapshot_service(service, at) as snapshots:
        snapshots.take_interval_snapshots(EndlessLease())
        snapshots.take_flow_snapshots(EndlessLease())
        snapshots.take_close_snapshots(EndlessLease())


def roll_up_bars(service: Service, at: datetime) -> None:
    """Roll ticks up into bars as at an instant."""
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    try:
        BarRollup(engine, lambda: at).roll_up(EndlessLease())
    finally:
        engine.dispose()


def store_daily_stats(service: Service, at: datetime) -> None:
    """Store the statistics of the days that are over at an instant."""
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    try:
        DailyStatistics(engine, lambda: at + STORING_DELAY).store(EndlessLease())
    finally:
        engine.dispose()
