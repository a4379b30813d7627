"""`python -m app.worker` runs duties until it is stopped."""

from threading import Event, Timer

import pytest
from sqlalchemy import text

from app.worker import CannotWork, run
from tests.support.service import settings_for

pytestmark = pytest.mark.any_database


def test_worker_runs_due_duties_and_stops(database_url, engine):
    stop = Event()
    Timer(3, stop.set).start()
    run(settings_for(database_url), stop)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT name, leased_until, error FROM duties ORDER BY name")).all()
    assert [tuple(row) for row in found] == [
        (name, None, None)
        for name in (
            *("day closes", "encrypt webhook secrets again", "equity snapshots", "flow snapshots"),
            *("interest and borrow fees",),
            *("portfolio alerts", "position records", "prune equity snapshots", "prune ticks"),
            *("prune webhook deliveries", "roll up bars", "webhook deliveries"),
        )
    ]


def test_worker_requires_migrated_tables(backend, new_database):
    with pytest.raises(CannotWork, match=r"app\.migrate"):
        run(settings_for(new_database(backend, migrated=False)), Event())
