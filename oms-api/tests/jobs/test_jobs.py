"""Background jobs over REST: schedule, runs and requested runs."""

import os
import socket
from datetime import timedelta
from threading import Barrier, Event, Thread

import pytest
from sqlalchemy import text

from app.database import unit_of_work
from app.jobs import queries
from app.jobs.service import Job, JobRunner, RunHistory
from tests.factories import BOOTSTRAP_KEY, NOON
from tests.support.jobs import EndlessLease
from tests.support.service import ApiClient

MINUTE = timedelta(minutes=1)


@pytest.fixture
def operator(service):
    return ApiClient(service, 1, BOOTSTRAP_KEY)


def find_job(operator, name):
    response = operator.get("/jobs")
    assert response.status_code == 200, response.text
    return next(job for job in response.json()["items"] if job["name"] == name)


def test_requested_job_runs_at_once_and_is_in_the_history(operator, service):
    runner = service.app.state.job_runner
    runner.run_due()
    before = find_job(operator, "prune ticks")
    assert (before["schedule"], before["last_run"]["status"]) == ("every 1 h", "succeeded")
    assert "prune ticks" not in runner.run_due()
    response = operator.post("/jobs/prune-ticks:run")
    assert (response.status_code, response.json()["name"]) == (202, "prune ticks")
    assert "prune ticks" in runner.run_due()
    assert "prune ticks" not in runner.run_due()
    after = find_job(operator, "prune ticks")
    assert after["last_run"]["slot"] == response.json()["requested_at"]
    assert [run["slot"] for run in after["runs"]][1] == before["last_run"]["slot"]
    assert after["last_run"]["process"] == f"{socket.gethostname()}:{os.getpid()}"
    assert operator.get("/audit", action="job.requested").json()[0]["target"] == "job:prune ticks"


@pytest.mark.any_database
def test_unknown_job_and_other_tenants_are_refused(operator, api):
    assert operator.post("/jobs/unknown:run").status_code == 404
    assert api.post("/jobs/prune-ticks:run").status_code == 403
    assert api.get("/jobs").status_code == 403


@pytest.mark.any_database
def test_failure_and_slot_are_recorded_and_a_slot_runs_once(engine):
    at = [NOON]

    def fail(_):
        raise ValueError("no price")

    runner = JobRunner(engine, [Job("count", MINUTE, fail)], lambda: at[0])
    assert runner.run_due() == ["count"]
    with unit_of_work(engine) as connection:
        (run,) = queries.list_runs(connection, "count", 10)
        connection.execute(text("UPDATE duties SET started_at = NULL"))  # as if the lease had been lost
    assert (run.slot, run.status, run.error) == (NOON, "failed", "ValueError: no price")
    assert runner.run_due() == []
    at[0] += MINUTE
    assert runner.run_due() == ["count"]
    runner.close()


@pytest.mark.any_database
def test_only_the_last_runs_are_kept(engine, monkeypatch):
    monkeypatch.setattr("app.jobs.service.MAX_KEPT_RUNS", 2)
    at = [NOON]
    runner = JobRunner(engine, [Job("count", MINUTE, lambda _: None)], lambda: at[0])
    for _ in range(4):
        runner.run_due()
        at[0] += MINUTE
    RunHistory(engine).prune(EndlessLease())
    with engine.connect() as connection:
        runs = queries.list_runs(connection, "count", 10)
    assert [run.slot for run in runs] == [NOON + 3 * MINUTE, NOON + 2 * MINUTE]
    runner.close()


def request_run(engine, at):
    with unit_of_work(engine) as connection:
        queries.request_run(connection, "count", at)


def list_slots(engine):
    with engine.connect() as connection:
        return [run.slot for run in queries.list_runs(connection, "count", 10)][::-1]


@pytest.mark.any_database
def test_request_is_run_although_the_process_has_read_an_older_state(engine):
    """Another process runs the slot, and a person requests a run, before this process comes to the job."""
    other = JobRunner(engine, [Job("count", MINUTE, lambda _: None)], lambda: NOON)

    def let_others_act(_):
        assert other.run_due() == ["count"]
        request_run(engine, NOON + MINUTE / 4)
        if is_run_twice:
            assert other.run_due() == ["count"]
            request_run(engine, NOON + MINUTE / 2)

    for is_run_twice in (False, True):
        with unit_of_work(engine) as connection:
            connection.execute(text("DELETE FROM duties"))
            connection.execute(text("DELETE FROM duty_runs"))
        jobs = [Job("first", MINUTE, let_others_act), Job("count", MINUTE, lambda _: None)]
        runner = JobRunner(engine, jobs, lambda: NOON)
        assert runner.run_due() == ["first", "count"]
        requested = [NOON + MINUTE / 4, NOON + MINUTE / 2] if is_run_twice else [NOON + MINUTE / 4]
        assert list_slots(engine) == [NOON, *requested]
        assert runner.run_due() == other.run_due() == []
        runner.close()
    other.close()


@pytest.mark.any_database
def test_two_requests_at_once_are_run_once_by_one_of_the_processes(engine):
    runs: list[object] = []
    runners = [JobRunner(engine, [Job("count", MINUTE, runs.append)], lambda: NOON) for _ in range(4)]
    runners[0].run_due()
    requests = [Thread(target=request_run, args=(engine, NOON + MINUTE / 4)) for _ in range(2)]
    for thread in requests:
        thread.start()
    for thread in requests:
        thread.join()
    barrier = Barrier(len(runners))

    def run(runner):
        barrier.wait(30)
        runner.run_due()

    threads = [Thread(target=run, args=(runner,)) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list_slots(engine) == [NOON, NOON + MINUTE / 4]
    assert len(runs) == 2
    for runner in runners:
        runner.close()


@pytest.mark.any_database
def test_slot_that_ran_before_does_not_count_as_a_success(engine):
    def fail(_):
        raise ZeroDivisionError("no rows")

    runner = JobRunner(engine, [Job("count", MINUTE, fail)], lambda: NOON)
    runner.run_due()
    with unit_of_work(engine) as connection:
        connection.execute(text("UPDATE duties SET started_at = NULL"))
    assert runner.run_due() == []
    with engine.connect() as connection:
        (state,) = queries.list_jobs(connection)
    assert (state.finished_at, state.leased_until) == (None, None)
    assert state.error == "ZeroDivisionError: no rows"
    runner.close()


@pytest.mark.any_database
def test_hanging_job_blocks_neither_urgent_jobs_nor_other_processes(engine):
    """Its lease ends, so that another process runs its next slot and the other jobs."""
    at, is_hanging, go_on, ran = [NOON], Event(), Event(), []

    def hang(_):
        is_hanging.set()
        assert go_on.wait(60)

    def create(name, work):
        jobs = [Job("count", MINUTE, work), Job("next", MINUTE, lambda _: ran.append(f"{name} next"))]
        jobs.append(Job("expiry", MINUTE, lambda _: ran.append(f"{name} expiry"), is_urgent=True))
        return JobRunner(engine, jobs, lambda: at[0])

    stuck, other, stop = create("stuck", hang), create("other", lambda _: ran.append("other count")), Event()
    thread = Thread(target=stuck.run_until, args=(stop,))
    thread.start()
    try:
        assert is_hanging.wait(60)
        deadline = 600
        while "stuck expiry" not in ran and deadline:
            deadline -= not stop.wait(0.1)
        assert ran == ["stuck expiry"]
        assert other.run_due() == ["next"]
        at[0] += MINUTE
        assert "count" in other.run_due()
        with engine.connect() as connection:
            statuses = [run.status for run in queries.list_runs(connection, "count", 10)]
        assert statuses == ["succeeded", "running"]
    finally:
        go_on.set()
        stop.set()
        thread.join()
        stuck.close()
        other.close()
    assert list_slots(engine)[:2] == [NOON, NOON + MINUTE]
