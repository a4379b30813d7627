"""Run jobs: in the API processes, or in `python -m app.worker`.

Any number of processes may run them. A lease in the database gives each job to one process at a time. A
crashed process keeps its lease until the lease expires. The job then runs in its next slot; a requested run
of a crashed process is lost. A job that failed in the middle runs again, so it must be idempotent.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Event
from typing import NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.clock import Now, monotonic_seconds
from app.correlation import correlate
from app.database import unit_of_work
from app.database.failures import format_reason
from app.errors import OmsError
from app.jobs import queries
from app.jobs.rules.schedule import JobReport, JobState, compute_lag, get_slot, is_due
from app.jobs.service.process_lease import build_holder_name
from app.timestamps import format_timestamp

POLL_SECONDS = 1.0
LEASE_DURATION = timedelta(seconds=60)
RENEW_SECONDS = 10.0
RESEND_DELAY = timedelta(seconds=15)  # after which a run that a queue has lost is sent again
MAX_KEPT_RUNS = 500  # of each job
_MAX_ERROR_LENGTH = 500
RunObserver = Callable[[str, float, bool], None]  # takes name, seconds, and whether the run failed
_LOG = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Raised when another process has the lease now, because this one was too slow."""


class Lease:
    """The right to run a job until the lease ends."""

    _renewed_at = -RENEW_SECONDS

    def __init__(self, engine: Engine, name: str, holder: str, now: Now) -> None:
        self._engine, self._name, self._holder, self._now = engine, name, holder, now

    def renew(self) -> None:
        """Extend the lease. A long job calls it between its steps. Raises LeaseLost."""
        with unit_of_work(self._engine) as connection:
            is_mine = queries.renew_lease(connection, self._name, self._holder, self._now() + LEASE_DURATION)
        if not is_mine:
            raise LeaseLost(f"The lease of {self._name} ended before its work was done.")

    def renew_if_old(self) -> None:
        """Extend the lease if that was not done for RENEW_SECONDS, so that it can be called often."""
        now = monotonic_seconds()
        if now - self._renewed_at > RENEW_SECONDS:
            self.renew()
            self._renewed_at = now


class Job(NamedTuple):
    """A recurring job. `run` is idempotent; it runs at most once in each `period`.

    An urgent job never waits for a job that is not urgent.
    """

    name: str
    period: timedelta
    run: Callable[[Lease], None]
    is_urgent: bool = False


class RunHistory:
    """The history of the runs of all jobs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def prune(self, _: Lease) -> None:
        """Delete all but the last MAX_KEPT_RUNS runs of each job."""
        with unit_of_work(self._engine) as connection:
            for state in queries.list_jobs(connection):
                queries.prune_runs(connection, state.name, MAX_KEPT_RUNS)


class JobRunner:
    """Runs the jobs that are due: the urgent ones one after another in a thread, the others in a second.

    `observe` is called after each run in this process.
    """

    def __init__(
        self, engine: Engine, jobs: Sequence[Job], now: Now, observe: RunObserver | None = None
    ) -> None:
        self._engine, self._jobs, self._now, self._observe = engine, jobs, now, observe
        self._holder = build_holder_name()
        urgent, normal = ([job for job in jobs if job.is_urgent is is_urgent] for is_urgent in (True, False))
        self._lanes = [lane for lane in (urgent, normal) if lane]
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="jobs")

    async def run(self) -> None:
        """Run due jobs repeatedly, until canceled."""
        await asyncio.gather(*map(self._repeat_lane, self._lanes))

    def run_until(self, stop: Event) -> None:
        """Run due jobs repeatedly, until `stop` is set. Running jobs are finished."""

        def repeat(lane: Sequence[Job]) -> None:
            while not stop.wait(POLL_SECONDS):
                self._run_lane(lane)

        for future in [self._threads.submit(repeat, lane) for lane in self._lanes]:
            future.result()

    def run_due(self) -> list[str]:
        """Run the jobs that are due now, and return the names of the jobs that this process ran."""
        return [name for lane in self._lanes for name in self._run_lane(lane)]

    async def _repeat_lane(self, lane: Sequence[Job]) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await asyncio.get_running_loop().run_in_executor(self._threads, self._run_lane, lane)

    def _run_lane(self, lane: Sequence[Job]) -> list[str]:
        try:
            with self._engine.connect() as connection:
                states = {state.name: state for state in queries.list_jobs(connection)}
            return [job.name for job in lane if self._run_if_due(job, states.get(job.name))]
        except SQLAlchemyError as error:
            _LOG.warning("the jobs did not run: %s", format_reason(error))
            return []

    def enqueue_due(self, *, is_urgent: bool | None = None) -> list[int]:
        """Store a run of each job that is due, for a queue, and return the ids of the runs to start.

        With `is_urgent`, only of the jobs that are urgent, or of the other jobs.
        """
        with self._engine.connect() as connection:
            states = {state.name: state for state in queries.list_jobs(connection)}
        run_ids = []
        for job in self._jobs:
            if is_urgent is not None and job.is_urgent is not is_urgent:
                continue
            state, now = states.get(job.name), self._now()
            if not is_due(state, job.period, now):
                continue
            requested_at = None if state is None else state.requested_at
            slot = requested_at or get_slot(job.period, now)
            with unit_of_work(self._engine) as connection:
                run_ids.append(queries.queue_run(connection, job.name, slot, now, now - RESEND_DELAY))
        return [run_id for run_id in run_ids if run_id is not None]

    def run_queued(self, run_id: int) -> bool:
        """Run the job of a stored run, and return whether this process did."""
        now = self._now()
        with unit_of_work(self._engine) as connection:
            run = queries.start_queued_run(connection, run_id, self._holder, now, now + LEASE_DURATION)
        job = next((other for other in self._jobs if run is not None and other.name == run.name), None)
        if run is None or job is None:
            return False
        with correlate(job=job.name, slot=format_timestamp(run.slot)):
            self._run_job(job, run.slot)
        return True

    def report(self, connection: Connection) -> list[JobReport]:
        """Return the state and the lag of each job. A job that never ran has no times."""
        states = {state.name: state for state in queries.list_jobs(connection)}
        now, reports = self._now(), []
        for job in self._jobs:
            state = states.get(job.name) or JobState(job.name, *[None] * 6)
            reports.append(JobReport(state, compute_lag(state, job.period, now).total_seconds()))
        return reports

    @property
    def jobs(self) -> Sequence[Job]:
        """All jobs, in the order in which they run."""
        return self._jobs

    def close(self) -> None:
        """Finish the running jobs and stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run_if_due(self, job: Job, state: JobState | None) -> bool:
        now = self._now()
        if not is_due(state, job.period, now):
            return False
        lease = (job.name, self._holder, get_slot(job.period, now), now, now + LEASE_DURATION)
        with unit_of_work(self._engine) as connection:
            slot = queries.acquire_slot(connection, *lease)
            if slot is None:
                return False
            is_new = queries.insert_run(connection, job.name, slot, self._holder, now)
            if not is_new:
                queries.drop_lease(connection, job.name, self._holder)
        if is_new:
            with correlate(job=job.name, slot=format_timestamp(slot)):
                self._run_job(job, slot)
        return is_new

    def _run_job(self, job: Job, slot: datetime) -> None:
        started, error = monotonic_seconds(), None
        try:
            job.run(Lease(self._engine, job.name, self._holder, self._now))
        except Exception as failure:  # noqa: BLE001  # the next jobs and the next slot must still run
            error = _describe_failure(failure)
            _LOG.exception("the job %s failed", job.name)
        seconds = monotonic_seconds() - started
        if self._observe is not None:
            self._observe(job.name, seconds, error is not None)
        duration_ms = int(seconds * 1000)
        with unit_of_work(self._engine) as connection:
            queries.release_lease(connection, job.name, self._holder, self._now(), duration_ms, error)
            queries.finish_run(connection, job.name, slot, duration_ms, error)


def _describe_failure(failure: Exception) -> str:
    """Return why a job failed.

    Of a database's message only the first line is used: the others quote the statement.
    """
    if isinstance(failure, OmsError):
        text = failure.detail
    elif isinstance(failure, SQLAlchemyError):
        text = str(getattr(failure, "orig", None) or type(failure).__name__).partition("\n")[0]
    else:
        text = f"{type(failure).__name__}: {failure}"
    return text[:_MAX_ERROR_LENGTH]
