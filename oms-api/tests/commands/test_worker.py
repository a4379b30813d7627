"""`python -m app.worker` runs jobs until it is stopped."""

import time
from threading import Event, Thread

import pytest
from sqlalchemy import text

from app.command_line import CannotRun
from app.worker import run
from tests.support.conditions import WAIT_SECONDS
from tests.support.service import build_settings

pytestmark = pytest.mark.any_database


def count_finished(engine):
    with engine.connect() as connection:
        statement = text("SELECT count(*) FROM duties WHERE finished_at IS NOT NULL")
        return connection.execute(statement).scalar_one()


def test_worker_runs_due_jobs_and_stops(database_url, engine):
    stop = Event()

    def stop_after_a_round():
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline and count_finished(engine) < 10:
            time.sleep(0.05)
        stop.set()

    Thread(target=stop_after_a_round).start()
    run(build_settings(database_url), stop)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name, leased_until, error FROM duties ORDER BY name")).all()
    assert [tuple(row) for row in rows] == [
        (name, None, None)
        for name in (
            *("broker instruments", "broker logins", "daily statistics", "day closes"),
            *("encrypt webhook secrets again", "equity snapshots", "flow snapshots"),
            *("interest and borrow fees", "intraday square-off", "order and approval expiry"),
            *("portfolio alerts", "position records", "prune equity snapshots"),
            *("prune job history", "prune strategy journals", "prune ticks"),
            *("prune webhook deliveries", "roll up bars", "stale price feed", "strategy parity"),
            *("the price feed is stale", "verify chains", "webhook deliveries"),
        )
    ]


def test_worker_requires_migrated_tables(backend, new_database):
    with pytest.raises(CannotRun, match=r"app\.migrate"):
        run(build_settings(new_database(backend, migrated=False)), Event())
