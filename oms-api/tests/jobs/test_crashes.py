"""Every job of the service survives a process that dies between its work and the end of its lease.

The next process repeats the work, which must change nothing that the first one committed.
`tests/orders/test_order_jobs.py` gives the jobs of orders something to do.
"""

from contextlib import contextmanager

import pytest
from sqlalchemy import MetaData, select

from app.assembly.background_jobs import create_jobs, create_order_jobs
from app.assembly.components import create_writer
from app.calendars.service import Calendars
from app.database import Readers, connect_engine
from app.jobs.service import LEASE_DURATION, Job, JobRunner
from app.market_data.service import Market
from app.market_data.sources.manual import ManualSource
from tests.support.clock import SetClock
from tests.support.service import build_settings, run_service

DATE = "2026-11-20"
JOB_TABLES = frozenset({"duties", "duty_runs", "chain_verifications"})  # who ran what, when and how far


class Killed(BaseException):
    """The end of a process: nothing of it follows."""


@pytest.fixture(scope="module")
def clock():
    return SetClock(f"{DATE}T12:00")


@pytest.fixture(scope="module")
def timed_service(backend, new_database, clock):
    """Provide a service with a desk of which every job has something to do."""
    clock.set(f"{DATE}T12:00")
    with run_service(new_database(backend), now=clock, price_source="manual") as service:
        api = service.create_client()
        body = {"name": "Growth", "opening_cash": "100000"}
        assert api.post("/portfolios", body).status_code == 201
        for minute, price in enumerate(("50", "52", "49")):
            clock.set(f"{DATE}T12:0{minute}:30")
            api.set_quote("AAPL", price, price, price)
        api.buy("100", "50", charges="1")
        deposit = {"kind": "deposit", "amount": "500", "currency": "USD", "reason": "capital"}
        assert api.post("/portfolios/Growth/cash", deposit).status_code == 201
        yield service


@contextmanager
def job_process(service, clock):
    """Provide the registered jobs, on an engine that sees all tenants as that of a worker does."""
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    market, calendars = Market(ManualSource(), Readers(engine, 1)), Calendars.load()
    settings = build_settings(service.database_url, price_source="manual")
    writer = create_writer(settings, engine, market, calendars)
    writer.start()
    jobs = create_order_jobs(engine, writer, calendars, clock)
    yield engine, jobs + create_jobs(settings, engine, market, calendars, clock)
    writer.close()
    engine.dispose()


@pytest.fixture(scope="module")
def read_tables(timed_service):
    """`contents()` returns all rows of all tables but those of the jobs themselves."""
    tables = MetaData()
    tables.reflect(timed_service.engine)

    def read():
        with timed_service.engine.connect() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(select(table))))
                for table in tables.sorted_tables
                if table.name not in JOB_TABLES
            }

    return read


@pytest.fixture
def two_processes(timed_service, clock):
    """Provide the engine and the jobs of two processes that share no memory."""
    with job_process(timed_service, clock) as first, job_process(timed_service, clock) as other:
        yield first, other


def test_repeated_job_changes_nothing_that_a_killed_process_did(read_tables, two_processes, clock):
    clock.set("2026-11-21T00:05:30")
    at = clock()
    (engine, jobs), (other_engine, again) = two_processes
    changed = set()
    for job, repeated in zip(jobs, again, strict=True):
        before = read_tables()

        def work_and_crash(lease, job: Job = job):
            job.run(lease)
            raise Killed

        def repeat(lease, repeated: Job = repeated):
            clock.at = at
            repeated.run(lease)

        with pytest.raises(Killed):
            JobRunner(engine, [job._replace(run=work_and_crash)], clock).run_due()
        tables = read_tables()
        changed |= {job.name} if tables != before else set()
        survivor = JobRunner(other_engine, [repeated._replace(run=repeat)], clock)
        assert survivor.run_due() == []  # the dead process still has the lease
        clock.at += max(LEASE_DURATION, job.period)
        assert survivor.run_due() == [job.name]
        assert read_tables() == tables, job.name
    assert changed >= {"equity snapshots", "flow snapshots", "day closes", "position records", "roll up bars"}
    assert "daily statistics" in changed


def test_two_concurrent_runs_of_a_job_have_the_result_of_one_run(read_tables, two_processes, clock):
    """A process that was too slow loses its lease, and both do the work."""
    clock.set("2026-11-23T00:00:30")  # every job is due again after the test before
    at = clock()
    (engine, jobs), (other_engine, again) = two_processes
    for job, repeated in zip(jobs, again, strict=True):

        def work(lease, repeated: Job = repeated):
            clock.at = at
            repeated.run(lease)

        other = JobRunner(other_engine, [repeated._replace(run=work)], clock)

        def race(lease, job: Job = job, other: JobRunner = other):
            clock.at += max(LEASE_DURATION, job.period)
            assert other.run_due() == [job.name]
            tables = read_tables()
            job.run(lease)
            assert read_tables() == tables, job.name

        assert JobRunner(engine, [job._replace(run=race)], clock).run_due() == [job.name]
