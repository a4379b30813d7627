"""Runs the background jobs outside of the API processes: `python -m app.worker`, with DUTIES=worker.

Start any number of workers. Exit status: 0 stopped by SIGTERM or SIGINT, 2 the settings, the
database or the port of the metrics cannot be used.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from sqlalchemy import Engine

from app.assembly.background_jobs import create_delivery_runner, create_job_runner
from app.assembly.components import create_market, create_writer
from app.backtests.service.process_runner import BacktestRunner
from app.calendars.service import Calendars
from app.clock import SteadyClock
from app.command_line import CannotRun, open_database, require_tables, run_program
from app.config import Settings, load_settings
from app.error_reports import configure_error_reports
from app.jobs.service import JobRunner
from app.logs import configure_logging
from app.metrics import Metrics
from app.worker_metrics import MetricsServer, WorkerMetrics

STOPPED = 0


@contextmanager
def open_job_runner(settings: Settings, metrics: Metrics | None = None) -> Iterator[tuple[Engine, JobRunner]]:
    """Yield the runner of the jobs with its engine, which are closed at the end. Raises CannotRun."""
    with open_database(settings) as (engine, readers):
        require_tables(engine)
        calendars = Calendars.load()
        market = create_market(settings, engine, readers, calendars)
        writer = create_writer(settings, engine, market, calendars, metrics)
        runner = create_job_runner(settings, engine, market, calendars, writer, SteadyClock(), metrics)
        if metrics is not None:
            metrics.watch_queue(lambda: writer.queue_depth)
        writer.start()
        try:
            yield engine, runner
        finally:
            runner.close()
            writer.close()


def run(settings: Settings, stop: Event) -> None:
    """Run the jobs of an installation until `stop` is set. Raises CannotRun."""
    metrics = Metrics()
    with open_job_runner(settings, metrics) as (engine, runner):
        delivery_runner = create_delivery_runner(settings, engine, SteadyClock(), metrics)
        backtests = Thread(target=BacktestRunner(engine, SteadyClock()).run_until, args=(stop,))
        delivery_runner.start()
        backtests.start()
        try:
            with _serve_metrics(settings, WorkerMetrics(metrics, engine, runner)):
                runner.run_until(stop)
        finally:
            stop.set()
            backtests.join()
            delivery_runner.close()


@contextmanager
def _serve_metrics(settings: Settings, metrics: WorkerMetrics) -> Iterator[None]:
    """Serve the metrics during the block, if WORKER_METRICS_PORT is set. Raises CannotRun."""
    if settings.worker_metrics_port is None:
        yield
        return
    try:
        server = MetricsServer(settings.host, settings.worker_metrics_port, metrics.render)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CannotRun(
            f"WORKER_METRICS_PORT={settings.worker_metrics_port} cannot be used: {reason}."
        ) from None
    server.start()
    try:
        yield
    finally:
        server.close()


def main() -> int:
    """Work until a signal arrives, and return the exit status."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def work() -> int:
        settings = load_settings()
        configure_logging(settings.logs_as_json, settings.log_level)
        configure_error_reports(settings)
        run(settings, stop)
        return STOPPED

    return run_program(work, CannotRun)


if __name__ == "__main__":
    sys.exit(main())
