"""Run duties: in the API processes, or in `python -m app.worker`.

Any number of processes may run them. A lease in the database gives each duty to one process at a time. A
crashed process keeps its lease until the lease expires; then another process runs the duty again. A duty must
therefore be idempotent.
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
from app.duties import queries
from app.duties.rules.schedule import DutyReport, DutyState, compute_lag, get_slot, is_due
from app.duties.service.process_lease import build_holder_name
from app.errors import OmsError
from app.timestamps import format_timestamp

POLL_SECONDS = 1.0
LEASE = timedelta(seconds=60)
RENEW_SECONDS = 10.0
RESEND = timedelta(seconds=15)  # after which a run that a queue has lost is sent again
KEPT_RUNS = 500  # of each duty
_MAX_ERROR_LENGTH = 500
RunObserver = Callable[[str, float, bool], None]  # takes name, seconds, and whether the run failed
_LOG = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Raised when another process has the lease now, because this one was too slow."""


class Lease:
    """The right to run a duty until the lease ends."""

    _renewed_at = -RENEW_SECONDS

    def __init__(self, engine: Engine, name: str, holder: str, now: Now) -> None:
        self._engine, self._name, self._holder, self._now = engine, name, holder, now

    def renew(self) -> None:
        """Extend the lease. A long duty calls it between its steps. Raises LeaseLost."""
        with unit_of_work(self._engine) as connection:
            is_mine = queries.renew_lease(connection, self._name, self._holder, self._now() + LEASE)
        if not is_mine:
            raise LeaseLost(f"The lease of {self._name} ended before its work was done.")

    def renew_if_old(self) -> None:
        """Extend the lease if that was not done for RENEW_SECONDS, so that it can be called often."""
        now = monotonic_seconds()
        if now - self._renewed_at > RENEW_SECONDS:
            self.renew()
            self._renewed_at = now


class Duty(NamedTuple):
    """A recurring job. `run` is idempotent; it runs once in each `period`.

    An urgent duty never waits for one that is not urgent.
    """

    name: str
    period: timedelta
    run: Callable[[Lease], None]
    is_urgent: bool = False


class RunHistory:
    """The history of the runs of all duties."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def prune(self, _: Lease) -> None:
        """Delete all but the last KEPT_RUNS runs of each duty."""
        with unit_of_work(self._engine) as connection:
            for state in queries.list_duties(connection):
                queries.prune_runs(connection, state.name, KEPT_RUNS)


class DutyRunner:
    """Runs the duties that are due: the urgent ones one after another in a thread, the others in a second.

    `observe` is called after each run in this process.
    """

    def __init__(
        self, engine: Engine, duties: Sequence[Duty], now: Now, observe: RunObserver | None = None
    ) -> None:
        self._engine, self._duties, self._now, self._observe = engine, duties, now, observe
        self._holder = build_holder_name()
        urgent, normal = (
            [duty for duty in duties if duty.is_urgent is is_urgent] for is_urgent in (True, False)
        )
        self._lanes = [lane for lane in (urgent, normal) if lane]
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="duties")

    async def run(self) -> None:
        """Run due duties repeatedly, until canceled."""
        await asyncio.gather(*map(self._repeat_lane, self._lanes))

    def run_until(self, stop: Event) -> None:
        """Run due duties repeatedly, until `stop` is set. Running duties are finished."""

        def repeat(lane: Sequence[Duty]) -> None:
            while not stop.wait(POLL_SECONDS):
                self._run_lane(lane)

        for future in [self._threads.submit(repeat, lane) for lane in self._lanes]:
            future.result()

    def run_due(self) -> list[str]:
        """Run the duties that are due now, and return the names of those that this process ran."""
        return [name for lane in self._lanes for name in self._run_lane(lane)]

    async def _repeat_lane(self, lane: Sequence[Duty]) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await asyncio.get_running_loop().run_in_executor(self._threads, self._run_lane, lane)

    def _run_lane(self, lane: Sequence[Duty]) -> list[str]:
        try:
            with self._engine.connect() as connection:
                states = {state.name: state for state in queries.list_duties(connection)}
            return [duty.name for duty in lane if self._run_if_due(duty, states.get(duty.name))]
        except SQLAlchemyError as error:
            _LOG.warning("the duties did not run: %s", format_reason(error))
            return []

    def enqueue_due(self, *, is_urgent: bool | None = None) -> list[int]:
        """Store a run of each duty that is due, for a queue, and return the ids of the runs to start.

        With `is_urgent`, only of the duties that are urgent, or of those that are not.
        """
        with self._engine.connect() as connection:
            states = {state.name: state for state in queries.list_duties(connection)}
        run_ids = []
        for duty in self._duties:
            if is_urgent is not None and duty.is_urgent is not is_urgent:
                continue
            state, now = states.get(duty.name), self._now()
            if not is_due(state, duty.period, now):
                continue
            requested_at = None if state is None else state.requested_at
            slot = requested_at or get_slot(duty.period, now)
            with unit_of_work(self._engine) as connection:
                run_ids.append(queries.queue_run(connection, duty.name, slot, now, now - RESEND))
        return [run_id for run_id in run_ids if run_id is not None]

    def run_queued(self, run_id: int) -> bool:
        """Run the duty of a stored run, and return whether this process did."""
        now = self._now()
        with unit_of_work(self._engine) as connection:
            run = queries.start_queued_run(connection, run_id, self._holder, now, now + LEASE)
        duty = next((other for other in self._duties if run is not None and other.name == run.name), None)
        if run is None or duty is None:
            return False
        with correlate(job=duty.name, slot=format_timestamp(run.slot)):
            self._run_duty(duty, run.slot)
        return True

    def report(self, connection: Connection) -> list[DutyReport]:
        """Return the state and the lag of each duty. One that never ran has no times."""
        states = {state.name: state for state in queries.list_duties(connection)}
        now, reports = self._now(), []
        for duty in self._duties:
            state = states.get(duty.name) or DutyState(duty.name, *[None] * 6)
            reports.append(DutyReport(state, compute_lag(state, duty.period, now).total_seconds()))
        return reports

    @property
    def duties(self) -> Sequence[Duty]:
        """All duties, in the order in which they run."""
        return self._duties

    def close(self) -> None:
        """Finish the running duties and stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run_if_due(self, duty: Duty, state: DutyState | None) -> bool:
        now = self._now()
        if not is_due(state, duty.period, now):
            return False
        lease = (duty.name, self._holder, get_slot(duty.period, now), now, now + LEASE)
        with unit_of_work(self._engine) as connection:
            slot = queries.acquire_slot(connection, *lease)
            if slot is None:
                return False
            is_new = queries.insert_run(connection, duty.name, slot, self._holder, now)
            if not is_new:
                queries.drop_lease(connection, duty.name, self._holder)
        if is_new:
            with correlate(job=duty.name, slot=format_timestamp(slot)):
                self._run_duty(duty, slot)
        return is_new

    def _run_duty(self, duty: Duty, slot: datetime) -> None:
        started, error = monotonic_seconds(), None
        try:
            duty.run(Lease(self._engine, duty.name, self._holder, self._now))
        except Exception as failure:  # noqa: BLE001  # the next duties and the next slot must still run
            error = _describe_failure(failure)
            _LOG.exception("the duty %s failed", duty.name)
        seconds = monotonic_seconds() - started
        if self._observe is not None:
            self._observe(duty.name, seconds, error is not None)
        duration_ms = int(seconds * 1000)
        with unit_of_work(self._engine) as connection:
            queries.release_lease(connection, duty.name, self._holder, self._now(), duration_ms, error)
            queries.finish_run(connection, duty.name, slot, duration_ms, error)


def _describe_failure(failure: Exception) -> str:
    """Return why a duty failed.

    Of a database's message only the first line is used: the others quote the statement.
    """
    if isinstance(failure, OmsError):
        text = failure.detail
    elif isinstance(failure, SQLAlchemyError):
        text = str(getattr(failure, "orig", None) or type(failure).__name__).partition("\n")[0]
    else:
        text = f"{type(failure).__name__}: {failure}"
    return text[:_MAX_ERROR_LENGTH]
