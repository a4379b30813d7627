"""Background jobs over REST: schedule, runs, and runs that somebody asks for."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.database import unit_of_work
from app.duties import queries
from app.duties.service import Duty, DutyRunner, RunHistory
from tests.factories import BOOTSTRAP_KEY, NOON
from tests.support.duties import EndlessLease
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
    runner = service.app.state.duty_runner
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

    runner = DutyRunner(engine, [Duty("count", MINUTE, fail)], lambda: at[0])
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
    monkeypatch.setattr("app.duties.service.KEPT_RUNS", 2)
    at = [NOON]
    runner = DutyRunner(engine, [Duty("count", MINUTE, lambda _: None)], lambda: at[0])
    for _ in range(4):
        runner.run_due()
        at[0] += MINUTE
    RunHistory(engine).prune(EndlessLease())
    with engine.connect() as connection:
        runs = queries.list_runs(connection, "count", 10)
    assert [run.slot for run in runs] == [NOON + 3 * MINUTE, NOON + 2 * MINUTE]
    runner.close()
