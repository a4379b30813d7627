"""A lease is held by one process at a time, and passes to another one when it ends."""

from datetime import UTC, datetime, timedelta

import pytest

from app.jobs.service import process_lease
from app.jobs.service.process_lease import LEASE_DURATION, RENEW_SECONDS, ProcessLease

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Clock:
    """A clock of the database's time and the process's time, in seconds since noon."""

    seconds = 0.0

    def now(self):
        return NOON + timedelta(seconds=self.seconds)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(process_lease, "monotonic_seconds", lambda: 1_000 + clock.seconds)
    return clock


@pytest.fixture
def leases(engine, clock):
    return [ProcessLease(engine, "host", clock.now, retry_seconds) for retry_seconds in (0.0, 1.0)]


@pytest.mark.any_database
def test_lease_of_a_dead_process_ends_and_the_dead_one_notices(leases, clock):
    dead, alive = leases
    assert dead.keep()
    assert not alive.keep()
    clock.seconds += RENEW_SECONDS
    assert dead.keep()  # extended
    clock.seconds += LEASE_DURATION.total_seconds() - 1
    assert not alive.keep()
    assert not dead.is_expired
    clock.seconds += 2
    assert dead.is_expired
    assert alive.keep()
    assert not dead.keep()


def test_released_lease_is_taken_at_the_next_try(leases, clock):
    first, second = leases
    assert first.keep()
    assert not second.keep()
    first.release()
    assert not second.keep()  # within `retry_seconds` of the last try
    clock.seconds += 1
    assert second.keep()
    assert not first.keep()
