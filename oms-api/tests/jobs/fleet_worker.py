"""`python -m app.worker` with short leases, and with jobs that write each of their runs to a file first."""

import os
import sys
from datetime import timedelta
from pathlib import Path

import app.jobs.service
import app.worker
from app.correlation import get_correlation
from app.jobs.service import Job, JobRunner, Lease

PERIODS = {"each second": 1, "every two seconds": 2, "every five seconds": 5}
LEASE_SECONDS = 3


def add_counters(create_job_runner, journal: Path):
    """Return `create_job_runner` with the counting jobs added."""

    def count(_: Lease) -> None:
        correlation = get_correlation()
        line = f"{correlation['job']}|{correlation['slot']}|{os.getpid()}\n"
        descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, line.encode())  # one append: other processes write between lines only
        os.close(descriptor)

    def create(settings, engine, market, calendars, writer, now, metrics):
        runner = create_job_runner(settings, engine, market, calendars, writer, now, metrics)
        counters = [Job(name, timedelta(seconds=seconds), count) for name, seconds in PERIODS.items()]
        return JobRunner(engine, [*counters, *runner.jobs], now)

    return create


if __name__ == "__main__":
    app.jobs.service.LEASE_DURATION = timedelta(seconds=LEASE_SECONDS)
    vars(app.jobs.service)["POLL_SECONDS"] = 0.2
    create = add_counters(vars(app.worker)["create_job_runner"], Path(os.environ["JOURNAL"]))
    vars(app.worker)["create_job_runner"] = create
    sys.exit(app.worker.main())
