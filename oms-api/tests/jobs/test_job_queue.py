"""Jobs by Celery: a task carries the id of a row, a lost message is sent again, a repeated one runs once."""

import os
import signal
import sys
import time
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import text

from app.config import ConfigurationError
from app.job_queue import ENQUEUE, QUEUE, RUN, URGENT_QUEUE, ProcessRunner, build_configuration, create_app
from app.job_queue_watchdog import SILENCE_SECONDS, JobQueueWatchdog, is_stuck
from app.jobs import queries
from app.jobs.service import LEASE_DURATION, RESEND_DELAY, Job, JobRunner
from tests.factories import NOON
from tests.support.conditions import WAIT_SECONDS
from tests.support.guarded_programs import start_guarded
from tests.support.processes import HOME, build_environment
from tests.support.service import build_settings

MINUTE = timedelta(minutes=1)


class Runs:
    """A job that counts its runs, in runners as several processes have them."""

    def __init__(self, engine):
        self.engine, self.at, self.slots = engine, [NOON], []
        self.on_run = lambda: None

    def create(self):
        return JobRunner(self.engine, [Job("count", MINUTE, self._run)], lambda: self.at[0])

    def _run(self, _):
        self.slots.append(self.at[0])
        self.on_run()


@pytest.fixture
def runs(engine):
    return Runs(engine)


@pytest.mark.any_database
def test_run_is_enqueued_once_and_a_repeated_message_does_nothing(runs):
    first, second = runs.create(), runs.create()
    [run_id] = first.enqueue_due()
    assert second.enqueue_due() == []
    assert first.run_queued(run_id)
    assert not second.run_queued(run_id)
    assert not second.run_queued(999)
    assert (len(runs.slots), first.enqueue_due()) == (1, [])
    runs.at[0] += MINUTE
    [later] = second.enqueue_due()
    assert second.run_queued(later)
    assert len(runs.slots) == 2


@pytest.mark.any_database
def test_message_that_was_lost_is_sent_again(runs):
    runner = runs.create()
    [run_id] = runner.enqueue_due()
    runs.at[0] += RESEND_DELAY / 2
    assert runner.enqueue_due() == []
    runs.at[0] += RESEND_DELAY
    assert runner.enqueue_due() == [run_id]
    assert runner.enqueue_due() == []
    assert runner.run_queued(run_id)


@pytest.mark.any_database
def test_message_of_a_killed_worker_runs_when_its_lease_has_ended(runs):
    killed, survivor = runs.create(), runs.create()
    [run_id] = killed.enqueue_due()

    def die():
        raise KeyboardInterrupt  # not an Exception: the runner stores no result

    runs.on_run = die
    with pytest.raises(KeyboardInterrupt):
        killed.run_queued(run_id)
    runs.on_run = lambda: None
    assert not survivor.run_queued(run_id)  # Redis delivered it again too early
    runs.at[0] += LEASE_DURATION
    assert survivor.run_queued(run_id)
    assert not killed.run_queued(run_id)


@pytest.mark.any_database
def test_requested_run_is_enqueued_besides_the_schedule(runs, engine):
    runner = runs.create()
    assert [runner.run_queued(run_id) for run_id in runner.enqueue_due()] == [True]
    runs.at[0] += timedelta(seconds=5)
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        queries.request_run(connection, "count", runs.at[0])
    [run_id] = runner.enqueue_due()
    assert runner.run_queued(run_id)
    assert runner.enqueue_due() == []


@pytest.mark.any_database
def test_tasks_run_all_jobs_by_their_row(database_url, engine):
    settings = build_settings(database_url, redis_url="redis://127.0.0.1:9/0", duties="celery")
    app = create_app(settings)
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    app.tasks[ENQUEUE].delay()
    with engine.connect() as connection:
        statuses = connection.execute(text("SELECT name, status FROM duty_runs")).all()
    assert len(statuses) >= 12
    assert {status for _, status in statuses} == {"succeeded"}
    assert {name for name in app.tasks if name.startswith("slackoms.")} == {ENQUEUE, RUN}


class StubRunner:
    """Has one urgent run that is due, and another one."""

    def enqueue_due(self, *, is_urgent):
        return [1] if is_urgent else [2]


def test_urgent_jobs_have_a_separate_queue(monkeypatch):
    monkeypatch.setattr(ProcessRunner, "get", lambda _: StubRunner())
    app, sent = create_app(build_settings("sqlite:///none.db", redis_url="redis://127.0.0.1:9/0")), []
    monkeypatch.setattr(app.tasks[RUN], "apply_async", lambda args, queue: sent.append((*args, queue)))
    app.tasks[ENQUEUE].run()
    assert sent == [(1, URGENT_QUEUE), (2, QUEUE)]
    assert app.conf.beat_schedule["enqueue due jobs"]["options"]["queue"] == URGENT_QUEUE


@pytest.mark.any_database
def test_runner_enqueues_urgent_jobs_apart(engine):
    jobs = [Job("slow", MINUTE, print), Job("quick", MINUTE, print, is_urgent=True)]
    runner = JobRunner(engine, jobs, lambda: NOON)
    assert len(runner.enqueue_due(is_urgent=True)) == len(runner.enqueue_due(is_urgent=False)) == 1
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name FROM duty_runs ORDER BY id")).scalars().all()
    assert rows == ["quick", "slow"]
    runner.close()


def test_messages_are_acknowledged_late_and_hold_json_only():
    configuration = build_configuration()
    assert configuration["task_acks_late"] is configuration["task_reject_on_worker_lost"] is True
    assert configuration["accept_content"] == ["json"]
    assert configuration["worker_prefetch_multiplier"] == 1
    assert configuration["broker_transport_options"]["visibility_timeout"] > LEASE_DURATION.total_seconds()


@pytest.mark.any_database
def test_each_process_has_a_separate_engine(database_url, monkeypatch):
    process = ProcessRunner(build_settings(database_url))
    first = process.get()
    assert process.get() is first
    monkeypatch.setattr("os.getpid", lambda: 1)
    second = process.get()
    assert second is not first
    process.close()
    first.close()


def test_celery_needs_redis():
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        create_app(build_settings("sqlite:///none.db"))


@pytest.mark.parametrize(
    ("waiting", "silence", "running", "stuck"),
    [(1, SILENCE_SECONDS + 1, 0, True), (0, 999, 0, False), (1, 1, 0, False), (9, 999, 1, False)],
)
def test_worker_is_stuck_if_it_is_idle_while_messages_wait(waiting, silence, running, stuck):
    assert is_stuck(waiting, silence, running) is stuck


def test_watchdog_ends_a_worker_that_receives_nothing(redis_server, monkeypatch):
    now, event = [0.0], Event()
    monkeypatch.setattr("app.job_queue_watchdog.monotonic_seconds", lambda: now[0])
    watchdog = JobQueueWatchdog(redis_server.url, ("idle", "stuck"), event.set)
    with redis_server.client() as client:
        client.rpush("stuck", "a message")
        now[0] = SILENCE_SECONDS + 1
        assert not watchdog.check(1)
        watchdog.note_receipt()
        assert not watchdog.check(0)
        now[0] += SILENCE_SECONDS + 1
        assert watchdog.check(0)
        assert event.is_set()
    away = JobQueueWatchdog("redis://127.0.0.1:9/0", ("stuck",), pytest.fail)
    now[0] += SILENCE_SECONDS + 1
    assert not away.check(0)


def test_watchdog_ends_a_worker_that_receives_nothing_after_an_outage_of_redis(redis_server, monkeypatch):
    now, event = [0.0], Event()
    monkeypatch.setattr("app.job_queue_watchdog.monotonic_seconds", lambda: now[0])
    watchdog = JobQueueWatchdog(redis_server.url, ("lost",), event.set)
    assert not watchdog.check(0)  # it is connected
    redis_server.kill()
    now[0] = SILENCE_SECONDS * 10
    assert not watchdog.check(0)
    redis_server.start()
    with redis_server.client() as client:
        client.rpush("lost", "a message")
    assert not watchdog.check(0)  # the worker gets the time to connect again
    assert not event.is_set()
    now[0] += SILENCE_SECONDS + 1
    assert watchdog.check(0)
    assert event.is_set()


@pytest.mark.any_database
def test_worker_and_beat_run_each_slot_once_although_redis_loses_everything(
    database_url, engine, redis_server, tmp_path
):
    environment = build_environment(
        DATABASE_URL=database_url, REDIS_URL=redis_server.url, DUTIES="celery", ENVIRONMENT="production",
        EQUITY_INTERVAL_SECONDS="1",
    )  # fmt: skip
    base = [sys.executable, "-m", "celery", "--app", "app.job_queue"]
    worker = [*base, "worker", "--concurrency", "1", "--loglevel", "WARNING"]
    beat = [*base, "beat", "--schedule", str(tmp_path / "beat"), "--pidfile", ""]
    with (tmp_path / "celery.log").open("wb") as log:
        processes = [
            start_guarded(command, cwd=HOME, env=environment, stdout=log, stderr=log, start_new_session=True)
            for command in (worker, beat)
        ]
        try:
            wait_for_runs(engine, 8, tmp_path / "celery.log")
            with redis_server.client() as client:
                client.flushall()
            wait_for_runs(engine, 14, tmp_path / "celery.log")
        finally:
            for process in processes:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)
    with engine.connect() as connection:
        runs = connection.execute(text("SELECT name, slot, status, error FROM duty_runs")).all()
    assert len({(name, slot) for name, slot, *_ in runs}) == len(runs)
    assert {error for *_, error in runs} == {None}


def wait_for_runs(engine, count, log):
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with engine.connect() as connection:
            statement = text("SELECT count(*) FROM duty_runs WHERE status = 'succeeded'")
            if connection.execute(statement).scalar_one() >= count:
                return
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
