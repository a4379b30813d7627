"""Fixtures of tests of administration: a service and adjustable clocks."""

from datetime import timedelta

import pytest

from tests.factories import NOON
from tests.support import service as support
from tests.support.people import create_person, run_session_services


class Clock:
    """The service's wall clock and its memory's, moved together."""

    def __init__(self) -> None:
        self.now = NOON
        self.seconds = 0.0

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)
        self.seconds += timedelta(**time).total_seconds()


@pytest.fixture
def clock(monkeypatch):
    """Provide the clock that decides how long cached values last."""
    moved_clock = Clock()
    for module in ("authenticator", "sessions"):
        monkeypatch.setattr(f"app.identity.service.{module}.monotonic_seconds", lambda: moved_clock.seconds)
    return moved_clock


@pytest.fixture
def timed_api(clock, database_url):
    """Provide a desk whose service takes its time from `clock`."""
    with support.run_service(database_url, now=lambda: clock.now) as service:
        yield service.create_client()


@pytest.fixture
def fresh_service(database_url):
    """Provide a service on a database of the test's own."""
    with support.run_service(database_url) as service:
        yield service


@pytest.fixture
def session_services(database_url):
    """Logins and sessions on a database of the test's own."""
    with run_session_services(database_url) as (session_services,):
        yield session_services


@pytest.fixture
def alice(engine):
    """Somebody who can log in."""
    return create_person(engine)
