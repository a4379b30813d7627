"""Run the background jobs by Celery: `celery --app app.job_queue worker`, and `beat`, with DUTIES=celery.

The tables `duties` and `duty_runs` remain the truth. Each second beat sends the task `enqueue_due_jobs`,
which stores a run of each job that is due, and then sends `run_job` with the id of its row. A lost
message is sent again, and a message that arrives twice runs once. So Redis may lose everything, and any
number of beats may run.

Urgent jobs have a separate queue. A worker reads both queues; `--queues slackoms-urgent` starts a worker that
reads only the queue of urgent jobs, so that they never wait for long jobs.
"""

import os
import sys
from contextlib import ExitStack
from typing import Any

import celery
from celery import signals

from app.config import ConfigurationError, Settings, load_settings
from app.error_reports import configure_error_reports
from app.job_queue_watchdog import JobQueueWatchdog
from app.jobs.service import JobRunner
from app.logs import configure_logging
from app.worker import open_job_runner

QUEUE, URGENT_QUEUE = "slackoms", "slackoms-urgent"
ENQUEUE, RUN = "slackoms.enqueue_due_jobs", "slackoms.run_job"
ENQUEUE_SECONDS = 1.0
EXPIRE_SECONDS = 10.0  # after which a message to enqueue is dropped, since newer ones do the same
VISIBILITY_SECONDS = 600  # after which Redis delivers a message again whose worker was killed


class ProcessRunner:
    """The runner of the jobs in this process. It has a separate engine: no connection survives a fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process_id: int | None = None
        self._runner: JobRunner | None = None
        self._resources = ExitStack()

    def get(self) -> JobRunner:
        """Return the runner. The first call in a process creates it."""
        if self._runner is None or self._process_id != os.getpid():
            self._process_id, self._resources = os.getpid(), ExitStack()
            configure_error_reports(self._settings)
            _, self._runner = self._resources.enter_context(open_job_runner(self._settings))
        return self._runner

    def close(self) -> None:
        """Close the runner of this process."""
        if self._process_id == os.getpid():
            self._resources.close()
            self._runner = None


def create_app(settings: Settings) -> Any:
    """Return the Celery application. Raises ConfigurationError without REDIS_URL."""
    if settings.redis_url is None:
        raise ConfigurationError("REDIS_URL is not set, and Celery needs it: set it to redis://host:6379/0")
    app = celery.Celery("slackoms", broker=_build_broker_url(settings.redis_url))
    app.conf.update(build_configuration())
    process = ProcessRunner(settings)

    def run_job(run_id: int) -> None:
        process.get().run_queued(run_id)

    # A shared task would also become one of every other application of this process.
    task = app.task(run_job, name=RUN, shared=False)

    def enqueue_due_jobs() -> None:
        for is_urgent, queue in ((True, URGENT_QUEUE), (False, QUEUE)):
            for run_id in process.get().enqueue_due(is_urgent=is_urgent):
                task.apply_async((run_id,), queue=queue)

    app.task(enqueue_due_jobs, name=ENQUEUE, shared=False)
    watchdog = JobQueueWatchdog(settings.redis_url, (QUEUE, URGENT_QUEUE))
    signals.worker_process_shutdown.connect(lambda **_: process.close(), weak=False)
    signals.task_received.connect(lambda **_: watchdog.note_receipt(), weak=False)
    signals.worker_ready.connect(
        lambda sender, **_: watchdog.start(sender.app.amqp.queues.consume_from), weak=False
    )
    return app


def build_configuration() -> dict[str, Any]:
    """Return the configuration of Celery."""
    return {
        "task_default_queue": QUEUE,
        "task_queues": {name: {"exchange": name, "routing_key": name} for name in (QUEUE, URGENT_QUEUE)},
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {"visibility_timeout": VISIBILITY_SECONDS},
        "timezone": "UTC",
        "beat_schedule": {
            "enqueue due jobs": {
                "task": ENQUEUE,
                "schedule": ENQUEUE_SECONDS,
                "options": {"expires": EXPIRE_SECONDS, "queue": URGENT_QUEUE},
            }
        },
    }


def _build_broker_url(redis_url: str) -> str:
    return redis_url.replace("unix://", "redis+socket://", 1)


def __getattr__(name: str) -> Any:
    """Create `app` when Celery asks for it, so that importing this module reads no settings."""
    if name != "app":
        raise AttributeError(name)
    try:
        settings = load_settings()
        app = create_app(settings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    configure = configure_logging
    signals.setup_logging.connect(
        lambda **_: configure(settings.logs_as_json, settings.log_level), weak=False
    )
    globals()["app"] = app
    return app
