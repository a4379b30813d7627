"""Any number of processes run jobs, and each job runs in one at a time."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.database import unit_of_work
from app.errors import Unavailable
from app.jobs.service import LEASE_DURATION, Job, JobRunner, Lease, LeaseLost

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


class Clock:
    """A clock that a test turns."""

    def __init__(self):
        self.at = NOON

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def create_process(engine, clock):
    """`process(work)` returns a runner of one job, as another process would have."""
    runners = []

    def start(work, name="count"):
        runners.append(JobRunner(engine, [Job(name, MINUTE, work)], clock))
        return runners[-1]

    yield start
    for runner in runners:
        runner.close()


def run_and_report(runner, engine):
    with engine.connect() as connection:
        [report] = runner.report(connection)
    return report


def test_two_processes_run_a_job_once_in_a_slot(create_process, clock):
    runs = []
    first, second = (create_process(lambda _, name=name: runs.append(name)) for name in ("one", "other"))
    assert (first.run_due(), second.run_due(), first.run_due()) == (["count"], [], [])
    clock.at += MINUTE
    assert (second.run_due(), first.run_due()) == (["count"], [])
    assert runs == ["one", "other"]


def test_running_job_is_not_started_by_another_process(create_process, clock):
    def work(_):
        clock.at += MINUTE - SECOND
        assert other.run_due() == []

    other = create_process(pytest.fail)
    assert create_process(work).run_due() == ["count"]


def test_job_of_a_killed_process_is_run_by_another(create_process, engine, clock):
    def die(_):
        raise KeyboardInterrupt  # as a kill: nothing of the runner follows

    with pytest.raises(KeyboardInterrupt):
        create_process(die).run_due()
    runs: list[object] = []
    other = create_process(runs.append)
    clock.at += LEASE_DURATION - SECOND
    assert other.run_due() == []
    clock.at += SECOND
    assert other.run_due() == ["count"]
    assert len(runs) == 1
    assert run_and_report(other, engine).state.leased_until is None


def test_process_with_an_expired_lease_changes_nothing_more(create_process, engine, clock):
    def take_over_and_renew(lease):
        lease.renew()
        clock.at += LEASE_DURATION
        assert other.run_due() == ["count"]
        clock.at += SECOND
        lease.renew()

    other = create_process(lambda _: None)
    slow = create_process(take_over_and_renew)
    assert slow.run_due() == ["count"]
    state = run_and_report(slow, engine).state
    assert (state.finished_at, state.error) == (NOON + LEASE_DURATION, None)
    with pytest.raises(LeaseLost):
        Lease(engine, "count", "a stranger", clock).renew()


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (Unavailable("The database is slow."), "The database is slow."),
        (ValueError("no price"), "ValueError: no price"),
    ],
)
def test_failed_job_is_recorded_and_runs_again_in_the_next_slot(
    create_process, engine, clock, failure, message
):
    def fail(_):
        raise failure

    runner = create_process(fail)
    assert runner.run_due() == ["count"]
    report = run_and_report(runner, engine)
    assert (report.state.error, report.state.finished_at) == (message, None)
    clock.at += 2 * MINUTE
    assert run_and_report(runner, engine).lag_seconds == 120
    healed = create_process(lambda _: None)
    assert healed.run_due() == ["count"]
    assert run_and_report(healed, engine)[0].error is None
    assert run_and_report(healed, engine).lag_seconds == 0


def test_database_error_is_reported_without_parameters(create_process, engine):
    def fail(_):
        with unit_of_work(engine) as connection:
            connection.execute(text("SELECT 1 FROM nowhere WHERE 'canary' = :value"), {"value": "canary"})

    runner = create_process(fail)
    runner.run_due()
    error = run_and_report(runner, engine).state.error
    assert "nowhere" in error
    assert "canary" not in error


def test_jobs_do_not_run_without_a_database(create_process, engine):
    runner = create_process(pytest.fail)
    with unit_of_work(engine) as connection:
        connection.execute(text("ALTER TABLE duties RENAME TO elsewhere"))
    assert runner.run_due() == []
