"""Prometheus reads the metrics of a worker at a separate port."""

from datetime import timedelta
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from app.database import connect_engine
from app.jobs.service import Job, JobRunner
from app.metrics import Metrics
from app.worker_metrics import MetricsServer, WorkerMetrics
from tests.factories import NOON

pytestmark = pytest.mark.any_database
PERIOD = timedelta(minutes=1)


def fail_job(_):
    raise ZeroDivisionError


@pytest.fixture
def metrics_of_runs(engine):
    """Provide the metrics of a worker that has run two jobs. One job fails."""
    metrics = Metrics()
    jobs = [Job("good", PERIOD, lambda _: None), Job("bad", PERIOD, fail_job)]
    runner = JobRunner(engine, jobs, lambda: NOON, metrics.count_job_run)
    assert runner.run_due() == ["good", "bad"]
    yield metrics, runner
    runner.close()


def read_metrics(server, path="/metrics"):
    with urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=60) as response:  # of this test
        return response.read().decode()


def test_metrics_of_a_worker_have_its_runs_and_the_state_of_all_jobs(metrics_of_runs, engine):
    metrics, runner = metrics_of_runs
    server = MetricsServer("127.0.0.1", 0, WorkerMetrics(metrics, engine, runner).render)
    server.start()
    try:
        text = read_metrics(server)
        with pytest.raises(HTTPError, match="404"):
            read_metrics(server, "/")
    finally:
        server.close()
    assert 'oms_duty_runs_total{duty="good",outcome="succeeded"} 1.0' in text
    assert 'oms_duty_runs_total{duty="bad",outcome="failed"} 1.0' in text
    assert 'oms_duty_failed{duty="bad"} 1.0' in text
    assert 'oms_pending{kind="signals"} 0.0' in text


def test_worker_without_its_database_reports_metrics_of_the_process(metrics_of_runs, tmp_path):
    metrics, runner = metrics_of_runs
    empty = connect_engine(f"sqlite:///{tmp_path}/empty.db", readers=1)
    try:
        text = WorkerMetrics(metrics, empty, runner).render().decode()
    finally:
        empty.dispose()
    assert 'oms_duty_runs_total{duty="good",outcome="succeeded"} 1.0' in text
    assert "oms_pending{" not in text
