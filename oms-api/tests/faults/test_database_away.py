"""PostgreSQL stopped or frozen: bounded waits, correct answers, and recovery without a restart."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.conftest import FaultSetup
from tests.faults.journal import Journal
from tests.faults.load import (
    PROMISED_SECONDS,
    Connection,
    resolve_open_requests,
    run_load,
    wait_for_more,
    wait_for_refusals,
)
from tests.faults.process_control import resume_processes, run_services, wait_until
from tests.faults.proxy import Network

READY_SECONDS = 60.0


@contextmanager
def freeze_postgres(stage: FaultSetup) -> Iterator[None]:
    """PostgreSQL's processes stand still, all connections open."""
    pids = stage.postgres.freeze()
    try:
        yield
    finally:
        resume_processes(pids)


def test_stopped_postgresql_rejects_writes_immediately_without_reconnect_storm(
    postgres_setup: FaultSetup, journal: Journal
):
    network = Network(postgres_setup.postgres.port)
    oms = postgres_setup.oms(database_url=network.address(postgres_setup.database_url))
    with run_services(oms):
        with run_load(journal, [oms.port], "stopped"):
            wait_for_more(journal, 50)
            postgres_setup.postgres.stop()
            wait_until(
                lambda: oms.readiness() == 503, READY_SECONDS, "readiness tells that the database is away"
            )
            before, intent_count, began = network.connections, len(journal.intents), time.monotonic()
            wait_for_refusals(journal, 100, READY_SECONDS)
            of_background_jobs = 10 + 10 * (time.monotonic() - began)
            assert network.connections - before <= len(journal.intents) - intent_count + of_background_jobs
            postgres_setup.postgres.start()
            assert oms.wait_ready() < READY_SECONDS
            wait_for_more(journal, 10)
        resolve_open_requests(journal, oms.port)
        network.close()
        postgres_setup.assert_books_consistent(journal)


@pytest.mark.parametrize(
    "seconds",
    [pytest.param("1", id="impatient"), pytest.param("5", id="as delivered", marks=pytest.mark.long)],
)
def test_frozen_postgresql_writes_are_answered_within_the_timeout(
    postgres_setup: FaultSetup, journal: Journal, seconds: str
):
    oms = postgres_setup.oms(DATABASE_TIMEOUT_SECONDS=seconds)
    with run_services(oms):
        with run_load(journal, [oms.port], "frozen", connections=24):
            wait_for_more(journal, 50)
            with freeze_postgres(postgres_setup):
                wait_until(lambda: oms.readiness() == 503, PROMISED_SECONDS, "readiness tells of it")
                wait_for_refusals(journal, 70, 2 * PROMISED_SECONDS)
            assert oms.wait_ready() < PROMISED_SECONDS
            wait_for_more(journal, 10)
        resolve_open_requests(journal, oms.port)
        postgres_setup.assert_books_consistent(journal)


def test_frozen_postgresql_reads_are_answered_within_the_timeout(
    postgres_setup: FaultSetup, journal: Journal
):
    oms = postgres_setup.oms(DATABASE_TIMEOUT_SECONDS="1")
    with run_services(oms), freeze_postgres(postgres_setup), Connection(oms.port) as connection:
        status, headers, body = connection.call("GET", "/api/v1/portfolios")
        assert (status, headers["retry-after"]) == (503, "1"), body
